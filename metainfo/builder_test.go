package metainfo

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestBuild: a folder with attributes, a link and an empty file.
func TestBuild(t *testing.T) {
	b := Builder{
		Name: "folder", PieceLength: 16384, Private: true, Source: "SRC", Pieces: make([]byte, 40),
		Files: []BuildFile{
			{Path: []string{"a", "run.sh"}, Length: 20000, Attr: AttrExecutable | AttrHidden},
			{Path: []string{"empty"}},
			{Path: []string{"link"}, Attr: AttrSymlink, Target: []string{"a", "run.sh"}},
		},
		Outer: Outer{Trackers: [][]string{{"http://t/announce"}, {"udp://u:1"}}, WebSeeds: []string{"http://w/"}, Comment: "c", CreatedBy: "me", CreationDate: 9},
	}
	tor, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	want := "d8:announce17:http://t/announce13:announce-listll17:http://t/announceel9:udp://u:1ee7:comment1:c10:created by2:me13:creation datei9e" +
		"4:infod5:filesld4:attr2:hx6:lengthi20000e4:pathl1:a6:run.sheed6:lengthi0e4:pathl5:emptyeed4:attr1:l6:lengthi0e4:pathl4:linke" +
		"12:symlink pathl1:a6:run.sheee4:name6:folder12:piece lengthi16384e6:pieces40:" + strings.Repeat("\x00", 40) + "7:privatei1e6:source3:SRCe" +
		"8:url-listl9:http://w/ee"
	if got := string(tor.Encode()); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	if again, err := Load(tor.Encode()); err != nil || again.Hash != tor.Hash || !again.Private || again.Comment != "c" {
		t.Errorf("%+v %v", again, err)
	}
}

func TestBuildSingle(t *testing.T) {
	b := Builder{Name: "file.bin", Length: 1 << 30, Outer: Outer{Trackers: [][]string{{"http://t"}}}}
	l, err := b.Lengths()
	if err != nil {
		t.Fatal(err)
	}
	b.Pieces = make([]byte, 20*l.Pieces())
	tor, err := b.Build()
	if err != nil || tor.MultiFile || tor.Lengths != l || tor.Name != "file.bin" || strings.Contains(string(tor.Encode()), "announce-list") {
		t.Errorf("%+v %v", tor, err)
	}
}

// TestBuildRefused: a torrent that would not be what was asked for is not made.
func TestBuildRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *Builder)
		want   Code
		says   string
	}{
		"sound":                  {func(*Builder) {}, 0, ""},
		"a name with a slash":    {func(b *Builder) { b.Name = "a/b" }, InvalidName, `"a/b/f"`},
		"a name of dots":         {func(b *Builder) { b.Name = ".." }, InvalidName, `"../f"`},
		"a name that hides text": {func(b *Builder) { b.Files[0].Path = []string{"a\u202eb"} }, InvalidName, "rename it"},
		"a name not in UTF-8":    {func(b *Builder) { b.Files[0].Path = []string{"caf\xe9"} }, InvalidName, `"x/caf_"`},
		"names that collide":     {func(b *Builder) { b.Files[1].Path = []string{"F"} }, InvalidName, `"x/F.1"`},
		"a link to nowhere": {func(b *Builder) {
			b.Files[1] = BuildFile{Path: []string{"l"}, Attr: AttrSymlink, Target: []string{"z"}}
		}, InvalidName, `"x/z"`},
		"no bytes":           {func(b *Builder) { b.Files = []BuildFile{{Path: []string{"f"}}} }, InvalidLength, ""},
		"no files":           {func(b *Builder) { b.Files = []BuildFile{} }, InvalidLength, ""},
		"too few hashes":     {func(b *Builder) { b.Pieces = nil }, InvalidHashes, ""},
		"a bad piece length": {func(b *Builder) { b.PieceLength = -1 }, InvalidPieceLength, ""},
		"a bad tracker":      {func(b *Builder) { b.Outer.Trackers = [][]string{{"tracker.example:80"}} }, InvalidURL, "tracker.example:80"},
		"a bad web seed":     {func(b *Builder) { b.Outer.WebSeeds = []string{"/tmp"} }, InvalidURL, "/tmp"},
	} {
		b := Builder{Name: "x", Files: []BuildFile{{Path: []string{"f"}, Length: 5}, {Path: []string{"g"}}}, Pieces: make([]byte, 20)}
		c.change(&b)
		_, err := b.Build()
		if CodeOf(err) != c.want || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q with %q", name, err, c.want, c.says)
		}
	}
}

// TestAutoPieceLength: a power of two, not too many pieces, not too long.
func TestAutoPieceLength(t *testing.T) {
	for total, want := range map[int64]int64{
		0: 16 << 10, 1: 16 << 10, 31 << 20: 16 << 10, 32 << 20: 32 << 10, 100 << 20: 64 << 10, 1 << 30: 1 << 20, 4 << 30: 4 << 20,
		31 << 30: 16 << 20, 1 << 40: 16 << 20, 31 << 40: 16 << 20, 32 << 40: 32 << 20, 1 << 48: 256 << 20,
	} {
		if got := AutoPieceLength(total); got != want {
			t.Errorf("%d bytes: got %d, want %d", total, got, want)
		}
		if total > 0 && total < 1<<48 {
			mustLengths(t, total, want)
		}
	}
}

// TestPieceHasher: the same hashes however the bytes come.
func TestPieceHasher(t *testing.T) {
	data := []byte(strings.Repeat("some payload ", 1000))
	var want []byte
	for i := 0; i < len(data); i += 1000 {
		sum := sha1.Sum(data[i:min(i+1000, len(data))])
		want = append(want, sum[:]...)
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 50 {
		h := NewPieceHasher(1000)
		for rest := data; len(rest) > 0; {
			n := min(1+r.IntN(3000), len(rest))
			if m, err := h.Write(rest[:n]); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		if got := h.Sum(); !bytes.Equal(got, want) || !bytes.Equal(h.Sum(), want) {
			t.Fatalf("got %s", hex.EncodeToString(got))
		}
	}
	if len(NewPieceHasher(5).Sum()) != 0 {
		t.Error("no bytes have a hash")
	}
}
