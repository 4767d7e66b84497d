package bits

import (
	"bytes"
	"errors"
	"testing"
)

// BEP 3: "The first byte of the bitfield corresponds to indices 0 - 7 from high bit
// to low bit, respectively. The next one 8-15, etc. Spare bits at the end are set to
// zero."
func TestWireOrder(t *testing.T) {
	s := New(18)
	for _, i := range []int32{0, 7, 8, 17} {
		s.Set(i)
	}
	want := []byte{0b1000_0001, 0b1000_0000, 0b0100_0000}
	if got := s.AppendWire([]byte{9}); !bytes.Equal(got, append([]byte{9}, want...)) {
		t.Fatalf("AppendWire = %08b, want %08b after what was there", got, want)
	}
	back, err := ParseWire(want, 18)
	if err != nil || !back.Equal(&s) {
		t.Fatalf("ParseWire: %v, %v", back, err)
	}
}

func TestWireRoundTrip(t *testing.T) {
	rng := newRand(3)
	for _, n := range lengths {
		s := New(n)
		for range n / 2 {
			s.Set(rng.Int32N(n))
		}
		b := s.AppendWire(nil)
		if len(b) != WireLen(n) {
			t.Fatalf("%d bytes for %d pieces, want %d", len(b), n, WireLen(n))
		}
		back, err := ParseWire(b, n)
		if err != nil || !back.Equal(&s) {
			t.Fatalf("length %d does not survive: %v", n, err)
		}
	}
}

func TestParseWireRejects(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		n    int32
		want error
	}{
		{"a byte short", []byte{0}, 9, ErrLength},
		{"a byte long", []byte{0, 0, 0}, 9, ErrLength},
		{"bytes for nothing", []byte{0}, 0, ErrLength},
		{"nothing for pieces", nil, 1, ErrLength},
		{"negative", []byte{0}, -8, ErrLength},
		{"first spare bit", []byte{0, 0b0100_0000}, 9, ErrSpare},
		{"last spare bit", []byte{0xff, 0b1000_0001}, 9, ErrSpare},
		{"spare bit in the ninth byte", []byte{0, 0, 0, 0, 0, 0, 0, 0, 0x7f}, 65, ErrSpare},
	} {
		if s, err := ParseWire(c.b, c.n); !errors.Is(err, c.want) || s.Len() != 0 {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// Whatever is accepted says the same when written again.
func FuzzParseWire(f *testing.F) {
	f.Add([]byte{0x80, 0x01}, int32(16))
	f.Add([]byte{0xff, 0xff}, int32(12))
	f.Add([]byte{}, int32(0))
	f.Add(bytes.Repeat([]byte{0xaa}, 20), int32(157))
	f.Fuzz(func(t *testing.T, b []byte, n int32) {
		s, err := ParseWire(b, n)
		if err != nil {
			return
		}
		if got := s.AppendWire(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x became %x", b, got)
		}
		count := int32(0)
		for range s.All() {
			count++
		}
		if count != s.Count() {
			t.Fatalf("count %d, members %d", s.Count(), count)
		}
	})
}

func BenchmarkParseWire(b *testing.B) {
	s := New(100_000)
	s.SetRange(10, 99_000)
	raw := s.AppendWire(nil)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := ParseWire(raw, 100_000); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNextAndNot(b *testing.B) {
	s, o := New(100_000), New(100_000)
	s.SetAll()
	o.SetRange(0, 99_999)
	for b.Loop() {
		if s.NextAndNot(0, &o) != 99_999 {
			b.Fatal("not found")
		}
	}
}
