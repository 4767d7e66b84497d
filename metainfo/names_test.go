package metainfo

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// names are the paths of a torrent of empty files with these paths, and one file
// of a byte behind them.
func names(t *testing.T, paths ...string) (string, error) {
	t.Helper()
	var files []M
	for _, p := range paths {
		files = append(files, file(0, strings.Split(p, "|")...))
	}
	tor, err := Options{}.LoadInfo(encode(t, v1Files(append(files, file(1, "zz"))...)))
	if err != nil {
		return "", err
	}
	out := strings.TrimSuffix(pathsOf(tor), " x/zz")
	return strings.ReplaceAll(out, "x/", ""), nil
}

// TestDuplicates: later files give way, and to folders all do.
func TestDuplicates(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a b", "a b"},
		{"a a", "a a.1"},
		{"a a a", "a a.1 a.2"},
		{"a.txt a.txt", "a.txt a.1.txt"},
		{"d|a.txt d|a.txt e|a.txt", "d/a.txt d/a.1.txt e/a.txt"},
		{"README readme Readme.txt", "README readme.1 Readme.txt"},
		{"ÉTÉ été", "ÉTÉ été.1"},
		{"K \u212a", "K \u212a.1"}, // the Kelvin sign
		{"D|a d|A", "D/a d/A.1"},
		{"D|a d|b", "D/a d/b"},
		{"a a|b", "a.1 a/b"},
		{"a|b a", "a/b a.1"},
		{"A|b a", "A/b a.1"},
		{"a a.1 a", "a a.1 a.2"},
		{"a a a.1", "a a.1 a.1.1"},
		{"a|b|c a|b a", "a/b/c a/b.1 a.1"},
		{".a .a", ".a .1.a"},
		{"/ \\ ..", "_ _.1 _.2"},
		{"a|. a|..", "a/_ a/_.1"},
	} {
		got, err := names(t, strings.Split(c.in, " ")...)
		if err != nil || got != c.want {
			t.Errorf("%s: got %s %v, want %s", c.in, got, err, c.want)
		}
	}
}

// TestTooManyDuplicates: renaming is not for free.
func TestTooManyDuplicates(t *testing.T) {
	var same []string
	for range 100 {
		same = append(same, "a")
	}
	if _, err := names(t, same...); CodeOf(err) != TooManyDuplicates {
		t.Errorf("got %v", err)
	}
}

// TestLongDuplicates: a number still fits into a name that was cut.
func TestLongDuplicates(t *testing.T) {
	for _, base := range []string{strings.Repeat("a", 300) + ".jpegs123", strings.Repeat("é", 300), "." + strings.Repeat("b", 239)} {
		got, err := names(t, base, base, base)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range strings.Fields(got) {
			if len(n) > maxName || (i > 0) != strings.Contains(n, fmt.Sprintf(".%d", i)) {
				t.Errorf("name %d has %d bytes: %s", i, len(n), n)
			}
			if _, err := ParsePath(n); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestNumberedOverflow: where the number would not fit, the name gives way.
func TestNumberedOverflow(t *testing.T) {
	p := Path{"d/" + strings.Repeat("é", 127)}
	if q := numbered(p, 123); len(q.Base()) > maxName || !strings.HasSuffix(q.s, "é.123") {
		t.Errorf("%d bytes: %s", len(q.Base()), q)
	}
	p = Path{"." + strings.Repeat("x", 254)}
	if q := numbered(p, 1); len(q.Base()) > maxName || !strings.HasSuffix(q.s, "x.1") {
		t.Errorf("%d bytes: %s", len(q.Base()), q)
	}
}

// TestUnique: random torrents out of few names never have two files in one
// place, whatever the file system thinks of case, nor a file where a folder is.
func TestUnique(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	words := []string{"a", "A", "b", "a.1", "é", "É", "..", "c.txt", "C.TXT"}
	for range 300 {
		files := make([]File, 2+r.IntN(12))
		for i := range files {
			var e []string
			for range 1 + r.IntN(3) {
				e = append(e, words[r.IntN(len(words))])
			}
			files[i].Path = CleanPath(e...)
			if r.IntN(5) == 0 {
				files[i].Attr, files[i].Target = AttrSymlink, files[i].Path
			}
		}
		if err := uniquePaths(files); err != nil {
			t.Fatal(err)
		}
		if problem := clash(files); problem != "" {
			t.Fatal(problem)
		}
	}
}

// clash finds two files in one place, or a file where a folder is.
func clash(files []File) string {
	low := func(s string) string { return strings.ToLower(s) }
	seen := map[string]bool{}
	for _, f := range files {
		if p := low(f.Path.s); seen[p] {
			return fmt.Sprintf("%s twice in %v", f.Path, files)
		} else {
			seen[p] = true
		}
		if f.Symlink() && !f.BrokenLink() {
			return fmt.Sprintf("%s no longer points to itself", f.Path)
		}
	}
	for _, f := range files {
		for d := low(f.Path.Dir().s); d != ""; d = parent(d) {
			if seen[d] {
				return fmt.Sprintf("%s is a file and a folder in %v", d, files)
			}
		}
	}
	return ""
}

// TestOnDisk makes real files of all hostile names of testdata/names.txt at once:
// every one can be created, and none lands outside.
func TestOnDisk(t *testing.T) {
	text, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	var files []M
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			in, _, _ := nameLine(t, line)
			files = append(files, file(1, in), file(1, "..", in, in))
		}
	}
	tor, err := Load(encode(t, M{"info": v1Files(files...)}))
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for i := range tor.Files {
		name := filepath.FromSlash(tor.Files[i].Path.String())
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		f.Close()
	}
}

// TestPortable: fit for Windows, and still different from each other.
func TestPortable(t *testing.T) {
	info := v1Files(file(1, "a."), file(1, "a"), file(1, "CON"), file(1, "d ", "x:y"), file(1, "d", "x_y"), symlink([]string{"d ", "x:y"}, "l"))
	info["name"] = "what?"
	tor, err := Options{Portable: true}.LoadInfo(encode(t, info))
	if err != nil {
		t.Fatal(err)
	}
	if got := pathsOf(tor); got != "what_/a what_/a.1 what_/_CON what_/d/x_y what_/d/x_y.1 what_/l" || tor.Files[5].Target != tor.Files[3].Path {
		t.Errorf("files are %s, the link points to %s", got, tor.Files[5].Target)
	}
	if got := pathsOf(mustLoadInfo(t, info)); got != "what?/a. what?/a what?/CON what?/d /x:y what?/d/x_y what?/l" {
		t.Errorf("elsewhere the files are %s", got)
	}
}
