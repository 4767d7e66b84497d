package metainfo

import (
	"fmt"
	"strings"
	"testing"
)

// TestSymlinks: "path->target" is a link, everything else an empty file; elements
// are separated by slashes. Wanted are the targets of the links, "!" for one that
// points to itself, "file" for what is no link.
func TestSymlinks(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"to a file", "a l->a", "a"},
		{"to a file below", "d/a l->d/a", "d/a"},
		{"to a folder", "d/a l->d", "d"},
		{"to a folder of folders", "d/e/a l->d", "d"},
		{"to a file above", "a d/l->a", "a"},
		{"seen from the link", "d/a d/l->a", "d/a"},
		{"seen from the link, a folder", "d/e/a d/l->e", "d/e"},
		{"the root counts first", "a d/a d/l->a", "a"},
		{"to nothing", "a l->b", "!"},
		{"below a file", "a l->a/b", "!"},
		{"to itself", "l->l", "!"},
		{"through a link to a folder", "d/a k->d l->k/a", "d k/a"},
		{"through two links", "d/e/a k->d j->k/e l->j/a", "d k/e j/a"},
		{"to a link", "a k->a l->k", "a k"},
		{"through a link to nothing", "k->x l->k/a", "! !"},
		{"in a circle", "k->l/x l->k/x", "! !"},
		{"two that point to each other", "k->l l->k", "l k"},
		{"dots are left out", "a l->../../a", "a"},
		{"absolute", "a l->/a", "!"},
		{"only dots", "a l->../..", "file"},
		{"of the same names as the repaired file", "_/a l->\x00/a", "_/a"},
		{"a folder that begins like another", "d.x/a l->d", "!"},
	} {
		if got := linkTargets(t, c.in); got != c.want {
			t.Errorf("%s (%s): got %s, want %s", c.name, c.in, got, c.want)
		}
	}
}

func linkTargets(t *testing.T, in string) string {
	t.Helper()
	files := []M{file(1, "zz")}
	links := map[int]bool{}
	for f := range strings.FieldsSeq(in) {
		path, target, isLink := strings.Cut(f, "->")
		if isLink {
			links[len(files)] = true
			files = append(files, symlink(strings.Split(target, "/"), strings.Split(path, "/")...))
		} else {
			files = append(files, file(0, strings.Split(path, "/")...))
		}
	}
	tor := mustLoadInfo(t, v1Files(files...))
	var out []string
	for i, f := range tor.Files {
		switch {
		case !links[i]:
		case !f.Symlink():
			out = append(out, "file")
		case f.BrokenLink():
			out = append(out, "!")
		default:
			out = append(out, strings.TrimPrefix(f.Target.String(), "x/"))
		}
	}
	return strings.Join(out, " ")
}

// TestLinkText is what to write into the link on disk.
func TestLinkText(t *testing.T) {
	for _, c := range []struct{ path, target, want string }{
		{"x/l", "x/a", "a"}, {"x/l", "x/d/a", "d/a"}, {"x/d/l", "x/a", "../a"}, {"x/d/l", "x/d/a", "a"},
		{"x/d/e/l", "x/f/a", "../../f/a"}, {"x/d/l", "x/d", "../d"}, {"x/d/e/l", "x/d", "../../d"},
	} {
		f := File{Path: Path{c.path}, Target: Path{c.target}, Attr: AttrSymlink}
		if got := f.LinkText(); got != c.want {
			t.Errorf("%s to %s is %q, want %q", c.path, c.target, got, c.want)
		}
	}
}

// TestLinkBombs: long chains of links are refused, and cheap.
func TestLinkBombs(t *testing.T) {
	files := []M{file(1, "d", "a")}
	const n = 3000
	for i := range n {
		files = append(files, symlink([]string{fmt.Sprintf("l%d", i+1), "x"}, fmt.Sprintf("l%d", i)))
	}
	files = append(files, symlink([]string{"d"}, fmt.Sprintf("l%d", n)))
	tor := mustLoadInfo(t, v1Files(files...))
	if !tor.Files[1].BrokenLink() || tor.Files[n+1].BrokenLink() {
		t.Errorf("the first of the chain leads to %s, the last to %s", tor.Files[1].Target, tor.Files[n+1].Target)
	}
}

// TestLinkAttrOnly: BEP 47's attribute without a target is an empty file.
func TestLinkAttrOnly(t *testing.T) {
	tor := mustLoadInfo(t, v1Files(file(1, "a"), M{"length": 77, "attr": "l", "path": L{"b"}}))
	if f := tor.Files[1]; f.Symlink() || f.Length != 0 || !f.Target.IsZero() {
		t.Errorf("got %+v", f)
	}
}
