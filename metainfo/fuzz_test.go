package metainfo

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/shoal-bt/shoal/bencode"
)

// corpus gives every torrent of the corpus to a fuzz target.
func corpus(f *testing.F, add func(raw []byte)) {
	files, _ := filepath.Glob(filepath.Join(corpusDir, "*.torrent"))
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(raw) < 64<<10 {
			add(raw)
		}
	}
}

// FuzzLoad: no file panics; what loads is sound, encodes to something that loads
// the same, and its info dictionary alone has the same verdict.
func FuzzLoad(f *testing.F) {
	corpus(f, func(raw []byte) { f.Add(raw) })
	f.Fuzz(func(t *testing.T, raw []byte) {
		tor, err := Load(raw)
		if err != nil {
			if CodeOf(err) == 0 {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		checkSound(t, tor)
		again, err := Load(tor.Encode())
		if err != nil || again.Hash != tor.Hash || !reflect.DeepEqual(again.Files, tor.Files) || !reflect.DeepEqual(again.Outer, tor.Outer) {
			t.Fatalf("again: %+v %v, first: %+v", again, err, tor)
		}
		if alone, err := LoadInfo(tor.Info()); err != nil || !reflect.DeepEqual(alone.Files, tor.Files) {
			t.Fatalf("metadata alone: %v", err)
		}
		if m, err := ParseMagnet(tor.Magnet().String()); err != nil || m.Hash != tor.Hash {
			t.Fatalf("its link %s: %v", tor.Magnet(), err)
		}
	})
}

// checkSound: files tile the payload, have clean and different paths, links stay
// inside, every piece has its hash.
func checkSound(t *testing.T, tor *Torrent) {
	t.Helper()
	var off int64
	paths := map[string]bool{}
	for i, f := range tor.Files {
		if f.Offset != off || f.Length < 0 {
			t.Fatalf("file %d is %d bytes at %d, want it at %d", i, f.Length, f.Offset, off)
		}
		off += f.Length
		if f.Pad() {
			continue
		}
		if _, err := ParsePath(f.Path.String()); err != nil || paths[fold(f.Path.s)] {
			t.Fatalf("file %d: %q, %v", i, f.Path, err)
		}
		paths[fold(f.Path.s)] = true
		if _, err := ParsePath(f.Target.String()); f.Symlink() == f.Target.IsZero() || f.Symlink() && err != nil {
			t.Fatalf("file %d: target %q, %v", i, f.Target, err)
		}
	}
	if off != tor.Lengths.Total() || off == 0 || tor.Hash.IsZero() {
		t.Fatalf("%d bytes in files, %d in pieces", off, tor.Lengths.Total())
	}
	if last := PieceIndex(tor.Lengths.Pieces() - 1); tor.Hash.HasV1 {
		if _, ok := tor.PieceHash(last); !ok || len(tor.pieces) != 20*int(last+1) {
			t.Fatalf("%d bytes of hashes for %d pieces", len(tor.pieces), last+1)
		}
	}
}

// FuzzLoadInfo mutates info dictionaries alone, which gets deeper.
func FuzzLoadInfo(f *testing.F) {
	corpus(f, func(raw []byte) {
		if top, _, err := bencode.ParsePrefix(raw, bencode.Options{}); err == nil && top.Get("info").Kind() == bencode.Dict {
			f.Add(top.Get("info").Raw())
		}
	})
	f.Fuzz(func(t *testing.T, raw []byte) {
		tor, err := LoadInfo(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(tor.Info(), raw) || !tor.Hash.Matches(raw) {
			t.Fatal("the info dictionary changed")
		}
		checkSound(t, tor)
		if file, err := Load(tor.Encode()); err != nil || file.Hash != tor.Hash {
			t.Fatalf("as a file: %v", err)
		}
	})
}

// FuzzMagnet: no link panics, and what reads is written so that it reads the same.
func FuzzMagnet(f *testing.F) {
	for _, s := range []string{hexA, baseA, hexB, "magnet:?" + btih + "&dn=%ff&tr.1=http://a&tr.1=udp://b:1&so=1,3-5&x.pe=[::1]:5&xl=7",
		"magnet:?xt=urn:btmh:1220" + hexB + "&ws=http://a/b%20c&xs=x&as=y&dht=h:1&amp;dn=z",
		"magnet:?xs=urn:btpk:" + hexB + "&s=6e&so=0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseLink(s)
		if err != nil {
			return
		}
		again, err := ParseMagnet(m.String())
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%q is %+v, written %s, which is %+v %v", s, m, m, again, err)
		}
	})
}
