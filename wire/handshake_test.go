package wire

import (
	"bytes"
	"errors"
	"testing"
)

func sampleHandshake() Handshake {
	return Handshake{
		Reserved: FlagFast | FlagExtension | FlagDHT,
		InfoHash: [20]byte([]byte("aaaaaaaaaaaaaaaaaaaa")),
		PeerID:   [20]byte([]byte("-SH0001-abcdefghijkl")),
	}
}

// BEP 3: "The handshake starts with character nineteen (decimal) followed by the
// string 'BitTorrent protocol'. [...] After the fixed headers come eight reserved
// bytes [...] Next comes the 20 byte sha1 hash of the bencoded form of the info
// value [...] After the download hash comes the 20-byte peer id".
func TestHandshakeBytes(t *testing.T) {
	h := sampleHandshake()
	want := "\x13BitTorrent protocol" + "\x00\x00\x00\x00\x00\x10\x00\x05" + "aaaaaaaaaaaaaaaaaaaa" + "-SH0001-abcdefghijkl"
	b := AppendHandshake([]byte("x"), h)[1:]
	if string(b) != want || len(b) != HandshakeLen {
		t.Fatalf("%q, want %q", b, want)
	}
	got, err := ParseHandshake(append(b, "what follows"...))
	if err != nil || got != h {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestReservedFlags(t *testing.T) {
	raw := AppendHandshake(nil, Handshake{Reserved: FlagV2})
	if raw[27] != 0x10 {
		t.Errorf("v2 is %x in the last byte", raw[27])
	}
	r := FlagFast | FlagDHT
	if !r.Has(FlagFast) || r.Has(FlagExtension) || r.Has(FlagFast|FlagV2) {
		t.Error("Has wants every bit asked for")
	}
	for r, want := range map[Reserved]string{ //order: irrelevant
		0:                       "",
		FlagFast | FlagDHT:      "dht fast",
		FlagV2 | FlagExtension:  "v2 extension",
		FlagFast | 1<<63 | 1<<1: "fast 0x8000000000000002",
	} {
		if r.String() != want {
			t.Errorf("%q, want %q", r, want)
		}
	}
}

func TestNoHandshake(t *testing.T) {
	good := AppendHandshake(nil, sampleHandshake())
	for name, b := range map[string][]byte{ //order: irrelevant
		"nothing":     nil,
		"short":       good[:67],
		"a web page":  []byte("GET / HTTP/1.1\r\n\r\n"),
		"wrong head":  append([]byte("\x13BitTorrent protocoL"), good[20:]...),
		"wrong count": append([]byte{18}, good[1:]...),
	} {
		if _, err := ParseHandshake(b); !errors.Is(err, ErrNotBitTorrent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range len(good) {
		if !LooksLikeHandshake(good[:n]) {
			t.Fatalf("the first %d bytes of a handshake look like none", n)
		}
	}
	if LooksLikeHandshake([]byte("\x13Bot")) {
		t.Error("a bot is taken for a handshake")
	}
}

func FuzzParseHandshake(f *testing.F) {
	f.Add(AppendHandshake(nil, sampleHandshake()))
	f.Add([]byte("\x13BitTorrent protocol"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHandshake(b)
		if err == nil && !bytes.Equal(AppendHandshake(nil, h), b[:HandshakeLen]) {
			t.Fatalf("%x is not written back", b)
		}
	})
}
