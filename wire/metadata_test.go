package wire

import (
	"bytes"
	"errors"
	"testing"
)

// The examples of BEP 9, and what is left of them.
func TestMetadataMessages(t *testing.T) {
	for _, c := range []struct {
		wire string
		want MetadataMsg
	}{
		{"d8:msg_typei0e5:piecei0ee", MetadataMsg{Kind: MetadataRequest}},
		{"d8:msg_typei1e5:piecei2e10:total_sizei34256eexxxxxxxx", MetadataMsg{Kind: MetadataData, Piece: 2, Total: 34256, Data: []byte("xxxxxxxx")}},
		{"d8:msg_typei2e5:piecei7ee", MetadataMsg{Kind: MetadataReject, Piece: 7}},
	} {
		m, err := ParseMetadata([]byte(c.wire))
		if err != nil || m.Kind != c.want.Kind || m.Piece != c.want.Piece || m.Total != c.want.Total || !bytes.Equal(m.Data, c.want.Data) {
			t.Errorf("%s: %+v, %v", c.wire, m, err)
		}
		if got := AppendMetadata(nil, c.want); string(got) != c.wire {
			t.Errorf("wrote %q, want %q", got, c.wire)
		}
	}
}

// "an unrecognized message ID MUST be ignored": it parses, and its reader ignores it.
func TestMetadataUnknownKind(t *testing.T) {
	m, err := ParseMetadata([]byte("d8:msg_typei9e5:piecei0e3:new4:keyse"))
	if err != nil || m.Kind != 9 || m.Kind.String() != "metadata message 9" {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestMetadataHostile(t *testing.T) {
	big := "d8:msg_typei1e5:piecei0e10:total_sizei20000ee" + string(make([]byte, MetadataPiece+1))
	for _, b := range []string{
		"", "i1e", "le", "de", "d5:piecei0ee", "d8:msg_typei0ee",
		"d8:msg_typei0e5:piecei-1ee", "d8:msg_typei0e5:piecei4096ee", "d8:msg_typei-1e5:piecei0ee",
		"d8:msg_typei256e5:piecei0ee", // no kind 0 in a larger coat
		"d8:msg_typei1e5:piecei0e10:total_sizei-1eex", "d8:msg_typei1e5:piecei0e10:total_sizei0eex",
		"d8:msg_typei1e5:piecei0e10:total_sizei2147483648eex", "d8:msg_typei1e5:piecei0e10:total_sizei20000ee",
		big, "d8:msg_type1:05:piecei0ee", "d8:msg_typei0e5:piecei99999999999999999999ee",
	} {
		if m, err := ParseMetadata([]byte(b)); !errors.Is(err, ErrMetadata) {
			t.Errorf("%.60q: %+v, %v", b, m, err)
		}
	}
}

func TestMetadataSizes(t *testing.T) {
	for _, c := range []struct {
		size   int64
		pieces int32
		last   int
	}{{1, 1, 1}, {MetadataPiece, 1, MetadataPiece}, {MetadataPiece + 1, 2, 1}, {5 << 20, 320, MetadataPiece}} {
		if n := MetadataPieces(c.size); n != c.pieces {
			t.Errorf("%d bytes are %d pieces, want %d", c.size, n, c.pieces)
		}
		if n := MetadataPieceSize(c.size, c.pieces-1); n != c.last {
			t.Errorf("the last of %d bytes has %d, want %d", c.size, n, c.last)
		}
		if MetadataPieceSize(c.size, c.pieces) != 0 || MetadataPieceSize(c.size, -1) != 0 {
			t.Errorf("%d bytes: a piece that is not there has a size", c.size)
		}
	}
}

func TestDontHave(t *testing.T) {
	b := AppendDontHave(nil, 0x01020304)
	if i, err := ParseDontHave(b); err != nil || i != 0x01020304 {
		t.Fatalf("%d, %v", i, err)
	}
	for _, n := range []int{0, 3, 5} {
		if _, err := ParseDontHave(make([]byte, n)); !errors.Is(err, ErrLength) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// What parses is within the caps, and writes and parses as itself.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte("d8:msg_typei0e5:piecei0ee"))
	f.Add([]byte("d8:msg_typei1e5:piecei2e10:total_sizei34256eexxxxxxxx"))
	f.Add([]byte("d8:msg_typei2e5:piecei7ee"))
	f.Add([]byte("d8:msg_typei1e5:piecei0e10:total_sizei-1eex"))
	f.Add([]byte("d1:xllllleeee8:msg_typei1e5:piecei0ee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMetadata(b)
		if err != nil {
			return
		}
		if m.Piece < 0 || m.Piece >= MaxMetadataPieces || m.Total < 0 || m.Total > maxMetadataSize || len(m.Data) > MetadataPiece {
			t.Fatalf("%+v", m)
		}
		if m.Kind == MetadataData && m.Total == 0 {
			return // unsaid: we always say it
		}
		again, err := ParseMetadata(AppendMetadata(nil, m))
		if err != nil || again.Kind != m.Kind || again.Piece != m.Piece || again.Total != m.Total || !bytes.Equal(again.Data, m.Data) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
