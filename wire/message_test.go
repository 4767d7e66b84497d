package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// samples holds every message with its bytes, spaces for the eye.
var samples = []struct {
	hex string
	msg Message
	say string
}{
	{"00000000", Message{ID: KeepAlive}, "keep-alive"},
	{"00000001 00", Message{ID: Choke}, "choke"},
	{"00000001 01", Message{ID: Unchoke}, "unchoke"},
	{"00000001 02", Message{ID: Interested}, "interested"},
	{"00000001 03", Message{ID: NotInterested}, "not-interested"},
	{"00000005 04 0000012c", Message{ID: Have, Index: 300}, "have 300"},
	{"00000003 05 ff80", Message{ID: Bitfield, Payload: []byte{0xff, 0x80}}, "bitfield, 2 bytes"},
	{"0000000d 06 00000005 00004000 00004000", Message{ID: Request, Index: 5, Begin: 1 << 14, Length: 1 << 14}, "request 5 16384+16384"},
	{"0000000c 07 00000005 00004000 616263", Message{ID: Piece, Index: 5, Begin: 1 << 14, Length: 3, Payload: []byte("abc")}, "piece 5 16384+3"},
	{"0000000d 08 ffffffff 00000000 00000001", Message{ID: Cancel, Index: 1<<32 - 1, Length: 1}, "cancel 4294967295 0+1"},
	{"00000003 09 1ae1", PortMessage(6881), "port 6881"},
	{"00000005 0d 00000007", Message{ID: Suggest, Index: 7}, "suggest 7"},
	{"00000001 0e", Message{ID: HaveAll}, "have-all"},
	{"00000001 0f", Message{ID: HaveNone}, "have-none"},
	{"0000000d 10 00000001 00000002 00000003", Message{ID: Reject, Index: 1, Begin: 2, Length: 3}, "reject 1 2+3"},
	{"00000005 11 00000009", Message{ID: AllowedFast, Index: 9}, "allowed-fast 9"},
	{"00000004 14 00 6465", ExtendedMessage(0, []byte("de")), "extended 0, 2 bytes"},
	{"00000002 14 ff", ExtendedMessage(255, []byte{}), "extended 255, 0 bytes"},
	{"00000031 15" + strings.Repeat("ab", 48), Message{ID: HashRequest, Payload: bytes.Repeat([]byte{0xab}, 48)}, "hash-request, 48 bytes"},
	{"00000051 16" + strings.Repeat("cd", 80), Message{ID: Hashes, Payload: bytes.Repeat([]byte{0xcd}, 80)}, "hashes, 80 bytes"},
	{"00000031 17" + strings.Repeat("ef", 48), Message{ID: HashReject, Payload: bytes.Repeat([]byte{0xef}, 48)}, "hash-reject, 48 bytes"},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func same(a, b Message) bool {
	return a.ID == b.ID && a.Index == b.Index && a.Begin == b.Begin && a.Length == b.Length && bytes.Equal(a.Payload, b.Payload)
}

func TestMessagesAndTheirBytes(t *testing.T) {
	for _, c := range samples {
		raw := unhex(t, c.hex)
		if got := Append([]byte("x"), c.msg); !bytes.Equal(got[1:], raw) {
			t.Errorf("%v: %x, want %x", c.msg, got[1:], raw)
		}
		if c.msg.WireLen() != len(raw) {
			t.Errorf("%v: WireLen %d, want %d", c.msg, c.msg.WireLen(), len(raw))
		}
		got, err := Parse(raw[4:], Limits{})
		if err != nil || !same(got, c.msg) {
			t.Errorf("%x: %+v, %v, want %+v", raw, got, err, c.msg)
		}
		if c.msg.String() != c.say {
			t.Errorf("%q, want %q", c.msg, c.say)
		}
	}
}

func TestPieceHeaderPrecedesTheBlock(t *testing.T) {
	m := Message{ID: Piece, Index: 70000, Begin: 32768, Payload: bytes.Repeat([]byte("z"), 100)}
	got := append(AppendPieceHeader(nil, m.Index, m.Begin, 100), m.Payload...)
	if !bytes.Equal(got, Append(nil, m)) || len(got) != PieceHeaderLen+100 {
		t.Fatalf("header and data differ from the message: %x", got[:PieceHeaderLen])
	}
}

func TestParseChecksLengths(t *testing.T) {
	tight := Limits{Pieces: 10, Block: 4, Extended: 3}
	for _, c := range []struct {
		name, hex string
		limits    Limits
		ok        bool
	}{
		{"choke with a body", "00 00", Limits{}, false},
		{"have of 3 bytes", "04 000000", Limits{}, false},
		{"have of 5 bytes", "04 0000000000", Limits{}, false},
		{"request of 8 bytes", "06 0000000000000000", Limits{}, false},
		{"port of 4 bytes", "09 00000000", Limits{}, false},
		{"piece without begin", "07 00000000", Limits{}, false},
		{"piece without data", "07 00000000 00000000", Limits{}, true},
		{"piece at the cap", "07 00000000 00000000 01020304", tight, true},
		{"piece beyond the cap", "07 00000000 00000000 0102030405", tight, false},
		{"bitfield of 10 pieces", "05 ffc0", tight, true},
		{"bitfield of 17 pieces for 10", "05 ffff80", tight, false},
		{"bitfield of nothing", "05", Limits{}, true},
		{"extended without its id", "14", Limits{}, false},
		{"extended at the cap", "14 01 aabbcc", tight, true},
		{"extended beyond the cap", "14 01 aabbccdd", tight, false},
		{"short hash request", "15" + strings.Repeat("00", 47), Limits{}, false},
		{"hashes without their head", "16" + strings.Repeat("00", 47), Limits{}, false},
		{"unknown id", "63 0102", Limits{}, true},
	} {
		_, err := Parse(unhex(t, c.hex), c.limits)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrLength) {
			t.Errorf("%s: %v, want ok=%v", c.name, err, c.ok)
		}
	}
}

func TestUnknownIDsHaveANumberForAName(t *testing.T) {
	for _, id := range []ID{10, 12, 24, 255} {
		if id.Known() || !strings.Contains(id.String(), "message ") {
			t.Errorf("%d is known as %v", int(id), id)
		}
	}
	m, err := Parse([]byte{99, 1, 2}, Limits{})
	if err != nil || m.ID != 99 || !bytes.Equal(Append(nil, m), []byte{0, 0, 0, 3, 99, 1, 2}) {
		t.Errorf("unknown message: %v, %v", m, err)
	}
}

// Whatever Parse accepts is written back byte for byte.
func FuzzParse(f *testing.F) {
	for _, c := range samples {
		f.Add(unhex(f, c.hex)[4:], int32(16))
	}
	f.Fuzz(func(t *testing.T, b []byte, pieces int32) {
		m, err := Parse(b, Limits{Pieces: pieces})
		if err != nil {
			return
		}
		if got := Append(nil, m); !bytes.Equal(got[4:], b) {
			t.Fatalf("%x became %x", b, got[4:])
		}
		_ = m.String()
	})
}
