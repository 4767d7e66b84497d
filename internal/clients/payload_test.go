package clients

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

// TestTorrent lets our own loader judge a torrent that this package made: both must
// mean the same by every byte of it.
func TestTorrent(t *testing.T) {
	for _, p := range []Payload{MultiFile("名前", 1<<20), SingleFile("one.bin", 100_001)} {
		dir := t.TempDir()
		if err := p.Write(dir, 1); err != nil {
			t.Fatal(err)
		}
		made, err := p.MakeTorrent(dir, filepath.Join(dir, "x.torrent"), 32<<10, "http://a/announce", "udp://b:1")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(made.Path)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := metainfo.Load(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := loaded.Hash.String(); got != made.InfoHash {
			t.Errorf("info-hash %s, want %s", got, made.InfoHash)
		}
		if got := loaded.Size(); got != p.Size {
			t.Errorf("size %d, want %d", got, p.Size)
		}
		if got := int(loaded.Lengths.Pieces()); got != made.Pieces || got != len(made.Hashes)/20 {
			t.Errorf("%d pieces, want %d", got, made.Pieces)
		}
	}
}

// TestGoodBytes damages a payload bit by bit.
func TestGoodBytes(t *testing.T) {
	const piece = 16 << 10
	p := SingleFile("f", 10*piece+5)
	dir := t.TempDir()
	if err := p.Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	tor, err := p.MakeTorrent(dir, filepath.Join(dir, "x.torrent"), piece)
	if err != nil {
		t.Fatal(err)
	}
	good := func(what string, want int64) {
		t.Helper()
		if got, err := tor.GoodBytes(dir); err != nil || got != want {
			t.Errorf("%s: %d bytes are good, %v; want %d", what, got, err, want)
		}
	}
	good("whole", p.Size)
	f, err := os.OpenFile(filepath.Join(dir, "f"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("XX"), 3*piece-1); err != nil {
		t.Fatal(err)
	}
	good("two pieces spoiled", p.Size-2*piece)
	if err := f.Truncate(10 * piece); err != nil {
		t.Fatal(err)
	}
	good("the last piece cut off", p.Size-2*piece-5)
	if err := p.Spoil(dir, piece); err != nil {
		t.Fatal(err)
	}
	good("spoiled", 0)
	if info, err := f.Stat(); err != nil || info.Size() != p.Size {
		t.Errorf("Spoil left a file of %v, %v", info.Size(), err)
	}
	if got, err := tor.GoodBytes(t.TempDir()); err != nil || got != 0 {
		t.Errorf("nothing there: %d bytes are good, %v", got, err)
	}
}

// TestPayloadIsTheSameEveryTime: seeds and comparisons of different runs must agree.
func TestPayloadIsTheSameEveryTime(t *testing.T) {
	p := MultiFile("m", 1<<16)
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := p.Write(dir, 7); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Compare(a, b, false); err != nil {
		t.Error(err)
	}
	r, err := p.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	if err != nil || int64(len(all)) != p.Size {
		t.Errorf("read %d bytes, %v; want %d", len(all), err, p.Size)
	}
}

func TestXMLValues(t *testing.T) {
	const answer = `<?xml version="1.0"?><methodResponse><params><param><value><array><data><value><array><data>
<value><string>AB</string></value><value><i8>7</i8></value><value><string></string></value>
</data></array></value></data></array></value></param></params></methodResponse>`
	got, err := xmlValues(answer)
	if err != nil || strings.Join(got, "|") != "AB|7|" {
		t.Errorf("%q, %v", got, err)
	}
	const fault = `<methodResponse><fault><value><struct><member><name>faultString</name>
<value><string>no such thing</string></value></member></struct></value></fault></methodResponse>`
	if _, err := xmlValues(fault); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("a fault became %v", err)
	}
}

func TestStatusField(t *testing.T) {
	const status = "Name:\tx y\nVmHWM:\t    1234 kB\nRssAnon:\t      8 kB\n"
	if hwm, anon, none := statusField(status, "VmHWM:"), statusField(status, "RssAnon:"), statusField(status, "Nope:"); hwm != 1234<<10 || anon != 8<<10 || none != 0 {
		t.Errorf("%d %d %d", hwm, anon, none)
	}
}
