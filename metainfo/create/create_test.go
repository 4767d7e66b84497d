package create

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

// tree writes files below a new folder "data" and answers its path. A content
// that begins with "->" is a symbolic link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "data")
	for name, content := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, isLink := strings.CutPrefix(content, "->"); isLink {
			err = os.Symlink(target, p)
		} else {
			err = os.WriteFile(p, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func mustCreate(t *testing.T, path string, o Options) *Result {
	t.Helper()
	r, err := FromPath(t.Context(), path, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pathsOf(r *Result) string {
	var out []string
	for i := range r.Torrent.Files {
		out = append(out, r.Torrent.Files[i].Path.String())
	}
	return strings.Join(out, " ")
}

func skippedOf(r *Result) string {
	var out []string
	for _, s := range r.Skipped {
		out = append(out, filepath.Base(s.Path)+":"+s.Reason)
	}
	return strings.Join(out, " ")
}

// check hashes the files of a torrent where they lie, the plain way.
func check(t *testing.T, r *Result) {
	t.Helper()
	var all []byte
	for i := range r.Torrent.Files {
		f := &r.Torrent.Files[i]
		if f.Symlink() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(f.Path.String())))
		if err != nil || int64(len(b)) != f.Length {
			t.Fatalf("%s: %d bytes, %v", f.Path, len(b), err)
		}
		all = append(all, b...)
	}
	for p := range metainfo.PieceIndex(r.Torrent.Lengths.Pieces()) {
		off := r.Torrent.Lengths.PieceOffset(p)
		want := sha1.Sum(all[off : off+r.Torrent.Lengths.PieceSize(p)])
		if got, ok := r.Torrent.PieceHash(p); !ok || got != want {
			t.Fatalf("piece %d of %d is wrong", p, r.Torrent.Lengths.Pieces())
		}
	}
}

func randomText(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// TestFolder: files in the byte order of their names, empty ones too, hashes that
// are right for any number of workers and any piece length.
func TestFolder(t *testing.T) {
	root := tree(t, map[string]string{
		"b": randomText(1, 3_000_000), "a/z": randomText(2, 5), "a/é": "", "Z": randomText(3, 1), "c/d/e": randomText(4, 1<<20),
	})
	first := mustCreate(t, root, Options{})
	if got := pathsOf(first); got != "data/Z data/a/z data/a/é data/b data/c/d/e" || first.Dir != filepath.Dir(root) {
		t.Errorf("files are %s in %s", got, first.Dir)
	}
	for _, pieceLen := range []int64{1000, 16384, 1 << 20, 1<<20 + 1, 3 << 20, 16 << 20} {
		for _, workers := range []int{1, 2, 5} {
			r := mustCreate(t, root, Options{PieceLength: pieceLen, Workers: workers})
			check(t, r)
		}
	}
	if again := mustCreate(t, root, Options{}); !bytes.Equal(again.Torrent.Encode(), first.Torrent.Encode()) {
		t.Error("the same files gave another torrent")
	}
}

// TestFile: one file is a torrent without a folder.
func TestFile(t *testing.T) {
	root := tree(t, map[string]string{"x.bin": randomText(5, 100_000)})
	o := Options{Private: true, Source: "s", Outer: metainfo.Outer{Comment: "c", CreatedBy: "me", CreationDate: 1}}
	r := mustCreate(t, filepath.Join(root, "x.bin"), o)
	check(t, r)
	if tor := r.Torrent; tor.MultiFile || tor.Name != "x.bin" || !tor.Private || tor.Source != "s" || tor.Comment != "c" || tor.CreationDate != 1 {
		t.Errorf("%+v", tor)
	}
	if r := mustCreate(t, root, Options{Name: "other"}); pathsOf(r) != "other/x.bin" {
		t.Errorf("files are %s", pathsOf(r))
	}
}

// TestJunk: what desktops drop is left out and named; hidden files stay unless
// they are not wanted.
func TestJunk(t *testing.T) {
	root := tree(t, map[string]string{
		"a": "1", ".hidden": "2", ".DS_Store": "x", "d/Thumbs.db": "x", "d/b": "3", "._a": "x", "a~": "x", ".a.swp": "x", ".Trashes/x": "x",
	})
	r := mustCreate(t, root, Options{})
	if pathsOf(r) != "data/.hidden data/a data/d/b" {
		t.Errorf("files are %s", pathsOf(r))
	}
	if got := skippedOf(r); got != ".DS_Store:junk .Trashes:junk ._a:junk .a.swp:junk a~:junk Thumbs.db:junk" {
		t.Errorf("left out: %s", got)
	}
	if r = mustCreate(t, root, Options{SkipHidden: true, KeepJunk: true}); pathsOf(r) != "data/a data/a~ data/d/Thumbs.db data/d/b" {
		t.Errorf("files are %s", pathsOf(r))
	}
	if r = mustCreate(t, root, Options{Exclude: []string{"d/*", "*.swp", ".h*"}, KeepJunk: true}); pathsOf(r) != "data/.DS_Store data/.Trashes/x data/._a data/a data/a~" {
		t.Errorf("files are %s", pathsOf(r))
	}
	for _, name := range []string{"~", "junk", "ds_store", ".nfs", "x.swp", ".swpx"} {
		if Junk(name) {
			t.Errorf("%s is called junk", name)
		}
	}
}

// TestFollowLinks: the default is to share what links point to.
func TestFollowLinks(t *testing.T) {
	root := tree(t, map[string]string{"a": "1", "d/b": "22", "l": "->a", "k": "->d"})
	r := mustCreate(t, root, Options{})
	check(t, r)
	if pathsOf(r) != "data/a data/d/b data/k/b data/l" || r.Torrent.Size() != 6 {
		t.Errorf("files are %s", pathsOf(r))
	}
	if r = mustCreate(t, filepath.Join(root, "l"), Options{Symlinks: Skip}); pathsOf(r) != "l" || r.Torrent.Size() != 1 {
		t.Errorf("a link as the path: %s", pathsOf(r))
	}
}

// TestKeepLinks stores them, seen from the torrent's folder.
func TestKeepLinks(t *testing.T) {
	root := tree(t, map[string]string{"a": "1", "d/b": "22", "d/l": "->../a", "k": "->d"})
	r := mustCreate(t, root, Options{Symlinks: Keep})
	check(t, r)
	if pathsOf(r) != "data/a data/d/b data/d/l data/k" {
		t.Fatalf("files are %s", pathsOf(r))
	}
	if l := r.Torrent.Files[2]; l.Target.String() != "data/a" || l.LinkText() != "../a" {
		t.Errorf("d/l points to %s", l.Target)
	}
	if k := r.Torrent.Files[3]; k.Target.String() != "data/d" {
		t.Errorf("k points to %s", k.Target)
	}
	if r := mustCreate(t, root, Options{Symlinks: Skip}); pathsOf(r) != "data/a data/d/b" || skippedOf(r) != "l:symbolic link k:symbolic link" {
		t.Errorf("without links: %s, %s", pathsOf(r), skippedOf(r))
	}
}

// TestExecutable is stored when asked for; Windows has no such bit.
func TestExecutable(t *testing.T) {
	if runtime.GOOS == "windows" {
		return
	}
	root := tree(t, map[string]string{"run": "1", "data": "2"})
	if err := os.Chmod(filepath.Join(root, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := mustCreate(t, root, Options{Executable: true})
	if r.Torrent.Files[0].Attr != 0 || r.Torrent.Files[1].Attr != metainfo.AttrExecutable {
		t.Errorf("%+v", r.Torrent.Files)
	}
}

// TestErrors: one line each, with the name of the file.
func TestErrors(t *testing.T) {
	foreign := map[string]string{"caf\xe9": "1", "a": "1", "A": "2"}
	if runtime.GOOS != "linux" {
		foreign = map[string]string{"a\u202eb": "1"} // other systems have no such names
	}
	for name, c := range map[string]struct {
		files map[string]string
		path  string
		opts  Options
		want  string
	}{
		"no such path":          {nil, "nothing", Options{}, "nothing"},
		"nothing in it":         {map[string]string{"d/e": ""}, "", Options{}, "nothing to share"},
		"an empty file":         {map[string]string{"e": ""}, "e", Options{}, "nothing to share"},
		"only junk":             {map[string]string{".DS_Store": "x"}, "", Options{}, "nothing to share"},
		"a dangling link":       {map[string]string{"a": "1", "l": "->nowhere"}, "", Options{}, "symbolic link"},
		"a circle":              {map[string]string{"a": "1", "d/l": "->.."}, "", Options{}, "circle"},
		"a link out":            {map[string]string{"a": "1", "l": "->../x"}, "", Options{Symlinks: Keep}, "outside the torrent"},
		"an absolute link":      {map[string]string{"a": "1", "l": "->/etc/passwd"}, "", Options{Symlinks: Keep}, "outside the torrent"},
		"a link to the root":    {map[string]string{"a": "1", "l": "->."}, "", Options{Symlinks: Keep}, "outside the torrent"},
		"a link to what is not": {map[string]string{"a": "1", "l": "->b"}, "", Options{Symlinks: Keep}, "not in the torrent"},
		"names to be repaired":  {foreign, "", Options{}, "would become"},
		"a bad pattern":         {map[string]string{"a": "1"}, "", Options{Exclude: []string{"["}}, `"["`},
		"a bad piece length":    {map[string]string{"a": "1"}, "", Options{PieceLength: 1 << 40}, "piece length"},
		"too many pieces":       {map[string]string{"a": strings.Repeat("x", 3<<20)}, "", Options{PieceLength: 1}, "too many pieces"},
		"a bad tracker":         {map[string]string{"a": "1"}, "", Options{Outer: metainfo.Outer{Trackers: [][]string{{"x"}}}}, `"x" is no tracker`},
	} {
		path := filepath.Join(tree(t, c.files), c.path)
		r, err := FromPath(t.Context(), path, c.opts, nil)
		if err == nil || r != nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
}

// TestChanged: a file that is not what it was when it was listed is an error.
func TestChanged(t *testing.T) {
	root := tree(t, map[string]string{"a": strings.Repeat("x", 100), "b": "y"})
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	for name, c := range map[string]struct {
		files []source
		want  string
	}{
		"as it was":  {[]source{{a, 100}, {b, 1}}, ""},
		"shorter":    {[]source{{a, 101}, {b, 1}}, "a changed"},
		"longer":     {[]source{{a, 99}, {b, 1}}, "a changed"},
		"last grew":  {[]source{{b, 1}, {a, 50}}, "a changed"},
		"is gone":    {[]source{{a, 100}, {filepath.Join(root, "c"), 5}}, "no such file"},
		"a folder":   {[]source{{root, 5}}, "data"},
		"last short": {[]source{{b, 2}}, "b changed"},
	} {
		var total int64
		for _, f := range c.files {
			total += f.size
		}
		l, err := metainfo.NewLengths(total, 16384)
		if err != nil {
			t.Fatal(err)
		}
		_, err = newHashing(l, 2, nil).run(t.Context(), c.files)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestProgress: rises, ends at the total, and stops when the context does.
func TestProgress(t *testing.T) {
	root := tree(t, map[string]string{"a": randomText(9, 5<<20), "b": randomText(10, 100)})
	var last, calls int64
	_, err := FromPath(t.Context(), root, Options{}, func(done, total int64) {
		if done <= last || total != 5<<20+100 {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last, calls = done, calls+1
	})
	if err != nil || last != 5<<20+100 || calls < 5 {
		t.Errorf("ended at %d after %d calls: %v", last, calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = FromPath(ctx, root, Options{Workers: 1}, func(int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err = FromPath(ctx, root, Options{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
}

// TestNotExist keeps the error of the disk, so that its kind can be told.
func TestNotExist(t *testing.T) {
	if _, err := FromPath(t.Context(), filepath.Join(t.TempDir(), "x"), Options{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// BenchmarkHash is the rate of reading and hashing 64 MiB from the page cache.
func BenchmarkHash(b *testing.B) {
	p := filepath.Join(b.TempDir(), "x")
	if err := os.WriteFile(p, make([]byte, 64<<20), 0o600); err != nil {
		b.Fatal(err)
	}
	l, err := metainfo.NewLengths(64<<20, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	o := Options{}
	b.SetBytes(64 << 20)
	for b.Loop() {
		if _, err := newHashing(l, o.workers(), nil).run(b.Context(), []source{{p, 64 << 20}}); err != nil {
			b.Fatal(err)
		}
	}
}
