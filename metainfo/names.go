package metainfo

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// uniquePaths renames files so that no two paths collide, also on file systems
// that do not tell upper from lower case, and no file has the path of a folder:
// so no symbolic link of the torrent can stand in another file's way. Pad files
// are never stored and may have any path.
func uniquePaths(files []File) error {
	if distinct(files) {
		return nil
	}
	taken := map[string]bool{}
	for i := range files {
		if !files[i].Pad() {
			for d := parent(files[i].Path.s); d != "" && !taken[fold(d)]; d = parent(d) {
				taken[fold(d)] = true
			}
		}
	}
	tries := 0
	for i := range files {
		if files[i].Pad() {
			continue
		}
		p, err := freePath(files[i].Path, taken, &tries)
		if err != nil {
			return err
		}
		if files[i].BrokenLink() {
			files[i].Target = p
		}
		files[i].Path = p
		taken[fold(p.s)] = true
	}
	return nil
}

// distinct says that certainly nothing collides, without keeping the paths.
func distinct(files []File) bool {
	seen, dirs := make(map[uint64]struct{}, len(files)), map[uint64]struct{}{}
	for i := range files {
		if files[i].Pad() {
			continue
		}
		p := fold(files[i].Path.s)
		h := xxhash.Sum64String(p)
		if has(seen, h) || has(dirs, h) {
			return false
		}
		seen[h] = struct{}{}
		if !noteDirs(p, seen, dirs) {
			return false
		}
	}
	return true
}

func has(set map[uint64]struct{}, h uint64) bool {
	_, ok := set[h]
	return ok
}

// noteDirs notes the folders that p is in; false if one is a file.
func noteDirs(p string, files, dirs map[uint64]struct{}) bool {
	for d := parent(p); d != ""; d = parent(d) {
		h := xxhash.Sum64String(d)
		if has(files, h) {
			return false
		}
		if has(dirs, h) {
			return true
		}
		dirs[h] = struct{}{}
	}
	return true
}

// freePath finds a path that is not taken: with ".1", ".2" and so on before the
// extension.
func freePath(p Path, taken map[string]bool, tries *int) (Path, error) {
	if !taken[fold(p.s)] {
		return p, nil
	}
	for n := 1; ; n++ {
		q := numbered(p, n)
		if !taken[fold(q.s)] {
			return q, nil
		}
		if *tries++; *tries > maxDuplicates {
			return p, &Error{TooManyDuplicates, fmt.Sprintf("such as %s", quote(p.s))}
		}
	}
}

// numbered is p with a number before its extension, within maxName bytes.
func numbered(p Path, n int) Path {
	base := p.Base()
	mark := "." + strconv.Itoa(n)
	dot := strings.LastIndexByte(base, '.')
	if dot < 0 || len(mark)+len(base)-dot > maxName {
		dot = len(base)
	}
	stem := base[:dot]
	for len(stem)+len(mark)+len(base)-dot > maxName {
		_, n := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-n]
	}
	return p.Dir().Join(Path{stem + mark + base[dot:]})
}

// fold maps paths that differ only in case to one string.
func fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c >= 'a' && c <= 'z' {
			return strings.Map(foldRune, s)
		}
	}
	return s
}

// foldRune is the smallest rune of those that are equal but for case; A to Z are
// smaller than all that equal them.
func foldRune(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r - 'a' + 'A'
	}
	if r < utf8.RuneSelf {
		return r
	}
	low := r
	for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
		low = min(low, c)
	}
	return low
}
