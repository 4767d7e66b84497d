package utp

import (
	"bytes"
	"errors"
	"testing"
)

func packetOf(h Header, ext byte, rest ...byte) []byte {
	b := make([]byte, HeaderSize, HeaderSize+len(rest))
	h.put(b, ext)
	return append(b, rest...)
}

func TestParse(t *testing.T) {
	h := Header{Type: Data, ConnID: 0x1234, Timestamp: 0x01020304, Diff: 5, Window: 1 << 20, Seq: 0xfffe, Ack: 7}
	sack := []byte{0, 4, 1, 0, 0, 128}
	cases := []struct {
		name    string
		in      []byte
		err     error
		sack    []byte
		payload []byte
	}{
		{"data", packetOf(h, 0, 'x', 'y'), nil, nil, []byte("xy")},
		{"sack", packetOf(Header{Type: State}, 1, sack...), nil, sack[2:], nil},
		{"sack and data", packetOf(h, 1, append(bytes.Clone(sack), 'z')...), nil, sack[2:], []byte("z")},
		{"unknown, then sack, then data", packetOf(h, 77, append([]byte{1, 3, 9, 9, 9}, append(bytes.Clone(sack), 'z')...)...), nil, sack[2:], []byte("z")},
		{"empty unknown", packetOf(h, 77, 0, 0, 'z'), nil, nil, []byte("z")},
		{"the first of two sacks counts", packetOf(Header{Type: State}, 1, 1, 1, 8, 0, 1, 9), nil, []byte{8}, nil},
		{"payload of a STATE is none", packetOf(Header{Type: State}, 0, 'x'), nil, nil, nil},
		{"short", make([]byte, HeaderSize-1), ErrShort, nil, nil},
		{"a message of the DHT", []byte("d1:ad2:id20:abcdefghij0123456789e"), ErrVersion, nil, nil},
		{"type 5", packetOf(Header{Type: 5}, 0), ErrType, nil, nil},
		{"extension without its length", packetOf(h, 1, 0), ErrExtension, nil, nil},
		{"extension beyond the packet", packetOf(h, 1, 0, 4, 1, 2, 3), ErrExtension, nil, nil},
		{"chain that never ends", packetOf(h, 77, 77, 0, 77, 0, 77), ErrExtension, nil, nil},
		{"data without data", packetOf(h, 0), ErrEmpty, nil, nil},
		{"padding without data", packetOf(h, extPadding, 0, 1, 0), ErrEmpty, nil, nil},
	}
	for _, c := range cases {
		p, err := Parse(c.in)
		if !errors.Is(err, c.err) || err == nil != (c.err == nil) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
			continue
		}
		if err == nil && (!bytes.Equal(p.SACK, c.sack) || !bytes.Equal(p.Payload, c.payload) || p.Size != len(c.in)) {
			t.Errorf("%s: SACK %v, payload %q, size %d", c.name, p.SACK, p.Payload, p.Size)
		}
	}
	if p, _ := Parse(cases[0].in); p.Header != h {
		t.Errorf("header %+v, want %+v", p.Header, h)
	}
}

func TestIsPacket(t *testing.T) {
	for first, want := range map[byte]bool{0x01: true, 0x41: true, 0x51: false, 0x00: false, 0x02: false, 'd': false} {
		b := make([]byte, HeaderSize)
		b[0] = first
		if IsPacket(b) != want {
			t.Errorf("first byte %#x: %v", first, !want)
		}
		if IsPacket(b[:HeaderSize-1]) {
			t.Error("a short datagram passes")
		}
	}
}

// Padding of every length parses back to nothing but the payload.
func TestPadding(t *testing.T) {
	for n := 2; n < 2000; n++ {
		b := make([]byte, HeaderSize+n+1)
		h := Header{Type: Data}
		h.put(b, extPadding)
		putPadding(b[HeaderSize : HeaderSize+n])
		b[HeaderSize+n] = 42
		if p, err := Parse(b); err != nil || len(p.Payload) != 1 || p.Payload[0] != 42 {
			t.Fatalf("padding of %d: payload %v, error %v", n, p.Payload, err)
		}
	}
}

func TestReset(t *testing.T) {
	p, _ := Parse(packetOf(Header{Type: Data, ConnID: 9, Seq: 77}, 0, 'x'))
	b := make([]byte, HeaderSize)
	r, err := Parse(b[:PutReset(b, &p, 5, 0)])
	if err != nil || r.Type != Reset || r.ConnID != 9 || r.Ack != 77 || r.Seq != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

// FuzzParse: no datagram does harm, and what is read lies inside of it.
func FuzzParse(f *testing.F) {
	f.Add(packetOf(Header{Type: Data}, 0, 'x'))
	f.Add(packetOf(Header{Type: State}, 1, 0, 4, 255, 0, 0, 1))
	f.Add(packetOf(Header{Type: Syn}, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0))
	f.Add(packetOf(Header{Type: Fin}, 77, 1, 0, 77, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		if !IsPacket(b) {
			t.Error("parses, but is no packet by its first bytes")
		}
		if len(p.SACK) > maxExtension || len(p.Payload)+len(p.SACK)+HeaderSize > len(b) {
			t.Errorf("%d bytes of SACK and %d of payload in %d", len(p.SACK), len(p.Payload), len(b))
		}
		if p.Type == Data && !bytes.HasSuffix(b, p.Payload) || p.Type != Data && p.Payload != nil {
			t.Error("payload is not the rest of the packet")
		}
		again := make([]byte, HeaderSize)
		p.put(again, b[1])
		if !bytes.Equal(again, b[:HeaderSize]) {
			t.Errorf("header %x written again is %x", b[:HeaderSize], again)
		}
	})
}
