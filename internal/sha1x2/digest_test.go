package sha1x2

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"testing"
)

func payload(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func check(t *testing.T, what string, d *Digest, data []byte) {
	t.Helper()
	if want := sha1.Sum(data); !bytes.Equal(d.Sum(nil), want[:]) {
		t.Errorf("%s, %d bytes: %x, want %x", what, len(data), d.Sum(nil), want)
	}
}

func TestEveryLength(t *testing.T) {
	data := payload(1100, 1)
	for n := range 1025 {
		d := New()
		if m, err := d.Write(data[:n]); m != n || err != nil {
			t.Fatal(m, err)
		}
		check(t, "alone", d, data[:n])
		a, b := New(), New()
		Write2(a, b, data[:n], data[7:n/2+7])
		check(t, "the longer of two", a, data[:n])
		check(t, "the shorter of two", b, data[7:n/2+7])
	}
}

func TestAnyParts(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 300 {
		x, y := payload(r.IntN(5000), r.Uint64()), payload(r.IntN(5000), r.Uint64())
		a, b := New(), New()
		for i, j := 0, 0; i < len(x) || j < len(y); {
			n, m := min(r.IntN(700), len(x)-i), min(r.IntN(700), len(y)-j)
			switch r.IntN(3) {
			case 0:
				_, _ = a.Write(x[i : i+n])
				m = 0
			case 1:
				_, _ = b.Write(y[j : j+m])
				n = 0
			default:
				Write2(a, b, x[i:i+n], y[j:j+m])
			}
			i, j = i+n, j+m
			check(t, "so far", a, x[:i])
			check(t, "so far", b, y[:j])
		}
	}
}

func TestResetAndTheSameTwice(t *testing.T) {
	d := New()
	_, _ = d.Write([]byte("something else"))
	d.Reset()
	Write2(d, d, []byte("one"), []byte("two"))
	check(t, "a digest paired with itself hashes one, then the other", d, []byte("onetwo"))
	if d.Size() != 20 || d.BlockSize() != 64 {
		t.Error("sizes")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	a, b, x := New(), New(), payload(4096, 3)
	var sum [20]byte
	if n := testing.AllocsPerRun(100, func() {
		a.Reset()
		Write2(a, b, x, x[:777])
		a.Sum(sum[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzWrite2(f *testing.F) {
	f.Add([]byte("abc"), 1, 1)
	f.Add(payload(333, 4), 100, 63)
	f.Fuzz(func(t *testing.T, data []byte, cut, split int) {
		cut, split = min(max(cut, 0), len(data)), min(max(split, 0), len(data))
		a, b := New(), New()
		Write2(a, b, data[:cut], data[split:])
		Write2(b, a, data[:split], data[cut:])
		check(t, "first", a, data)
		check(t, "second", b, append(bytes.Clone(data[split:]), data[:split]...))
	})
}

func BenchmarkHash(b *testing.B) {
	x, y := payload(256<<10, 5), payload(256<<10, 6)
	b.Run("std", func(b *testing.B) {
		b.SetBytes(int64(len(x)))
		h := sha1.New()
		for b.Loop() {
			_, _ = h.Write(x)
		}
	})
	b.Run("one", func(b *testing.B) {
		b.SetBytes(int64(len(x)))
		d := New()
		for b.Loop() {
			_, _ = d.Write(x)
		}
	})
	b.Run("two", func(b *testing.B) {
		b.SetBytes(int64(len(x) + len(y)))
		d, e := New(), New()
		for b.Loop() {
			Write2(d, e, x, y)
		}
	})
}

func ExampleWrite2() {
	a, b := New(), New()
	Write2(a, b, []byte("abc"), []byte("The quick brown fox jumps over the lazy dog"))
	fmt.Printf("%x\n%x\n", a.Sum(nil), b.Sum(nil))
	// Output:
	// a9993e364706816aba3e25717850c26c9cd0d89d
	// 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12
}
