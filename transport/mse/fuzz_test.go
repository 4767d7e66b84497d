package mse

import (
	"bytes"
	"testing"
)

// parts cuts data at the sizes given.
func parts(data, sizes []byte) (out [][]byte) {
	for i := 0; len(data) > 0; i++ {
		n := len(data)
		if len(sizes) > 0 {
			n = min(n, int(sizes[i%len(sizes)])+1)
		}
		out = append(out, data[:n])
		data = data[n:]
	}
	return out
}

// run feeds a machine until it is done or has failed, and returns all that it said.
func run(t *testing.T, m *Machine, data [][]byte) (said []byte, err error) {
	for _, p := range data {
		p = bytes.Clone(p)
		if err = m.Feed(p); err != nil {
			break
		}
		clear(p) // it must have kept what it needs
		said = append(said, m.Output()...)
		if len(said) > MaxHandshake {
			t.Fatalf("said %d bytes", len(said))
		}
		if !m.Done() && len(m.got) > maxSyncB+MaxInitial {
			t.Fatalf("holds %d bytes", len(m.got))
		}
	}
	return said, err
}

// FuzzIncoming: whatever comes in, in whatever parts, has the same outcome, and what is
// accepted was said by somebody who knows the torrent. Bytes of the remote after its
// key are encrypted as it would: that is where most of the decisions are.
func FuzzIncoming(f *testing.F) {
	f.Add([]byte{3}, uint32(3), uint16(30), uint16(68), hello, []byte{3}, []byte{}, true)
	f.Add(bytes.Repeat([]byte{1}, 512), uint32(1), uint16(0), uint16(0), []byte("in the clear"), []byte{0}, []byte{}, true)
	f.Add([]byte{}, uint32(0), uint16(513), uint16(65535), []byte{}, []byte{96}, []byte{0, 0, 0, 0, 0, 0, 0, 1}, true)
	f.Add(bytes.Repeat([]byte{7}, 700), uint32(2), uint16(1), uint16(1), []byte{}, []byte{255}, []byte{}, false)
	f.Fuzz(func(t *testing.T, pad []byte, provide uint32, padC, ia uint16, rest, sizes, vc []byte, known bool) {
		if len(pad)+len(rest) > 1<<17 {
			return
		}
		r := newRemote(t, true)
		r.pad, r.method, r.padLen, r.iaLen, r.ia = 0, provide, int(padC), int(ia), rest
		if len(vc) == 8 {
			r.vc = vc
		}
		if !known {
			r.skey = another
		}
		first := incoming(OfferAny, RC4)
		key := r.greeting()
		feed(t, first, key)
		r.meet(first.Output())
		stream := append(append(bytes.Clone(key), pad...), r.step3()...)
		whole, cut := incoming(OfferAny, RC4), incoming(OfferAny, RC4)
		said1, err1 := run(t, whole, [][]byte{stream})
		said2, err2 := run(t, cut, parts(stream, sizes))
		same(t, whole, cut, err1, err2)
		if err1 == nil && !bytes.Equal(said1, said2) {
			t.Error("said something else")
		}
		if whole.Done() && (!known || !bytes.Equal(r.vc, make([]byte, 8)) || len(pad) > maxPad || padC > maxPad) {
			t.Error("accepted")
		}
	})
}

// FuzzOutgoing is the same for what answers us.
func FuzzOutgoing(f *testing.F) {
	f.Add([]byte{3}, uint32(2), uint16(30), hello, []byte{3}, byte(3))
	f.Add(bytes.Repeat([]byte{1}, 512), uint32(1), uint16(0), []byte("in the clear"), []byte{0}, byte(1))
	f.Add([]byte{}, uint32(1), uint16(513), []byte{}, []byte{96}, byte(2))
	f.Add(bytes.Repeat([]byte{7}, 700), uint32(3), uint16(1), []byte{}, []byte{255}, byte(3))
	f.Fuzz(func(t *testing.T, pad []byte, chosen uint32, padD uint16, rest, sizes []byte, offer byte) {
		o := Offer(offer) & OfferAny
		if len(pad)+len(rest) > 1<<17 || o == 0 {
			return
		}
		r := newRemote(t, false)
		r.pad, r.method, r.padLen = 0, chosen, int(padD)
		whole, cut := outgoing(o, hello), outgoing(o, hello)
		cut.Output()
		r.meet(whole.Output())
		stream := append(r.greeting(), pad...)
		stream = append(append(stream, r.step4()...), rest...)
		_, err1 := run(t, whole, [][]byte{stream})
		_, err2 := run(t, cut, parts(stream, sizes))
		same(t, whole, cut, err1, err2)
		if whole.Done() && (!o.Has(whole.Result().Method) || len(pad) > maxPad || padD > maxPad) {
			t.Errorf("accepted %v", whole.Result().Method)
		}
	})
}

// FuzzGarbage: from the first byte on.
func FuzzGarbage(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte{1})
	for _, key := range badKeys() {
		f.Add(key, []byte{95})
	}
	f.Add(bytes.Repeat([]byte("BitTorrent protocol"), 40), []byte{20})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		if len(data) > 1<<17 {
			return
		}
		for _, make := range []func() *Machine{
			func() *Machine { return incoming(OfferAny, RC4) },
			func() *Machine { return outgoing(OfferAny, hello) },
		} {
			whole, cut := make(), make()
			_, err1 := run(t, whole, [][]byte{data})
			_, err2 := run(t, cut, parts(data, sizes))
			same(t, whole, cut, err1, err2)
			if whole.Done() {
				t.Error("accepted")
			}
			if err1 == nil && len(data) >= publicLen+maxSyncB {
				t.Error("still waits")
			}
		}
	})
}

// same: two machines that heard the same have come to the same.
func same(t *testing.T, a, b *Machine, err1, err2 error) {
	t.Helper()
	x, y := a.Result(), b.Result()
	if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() || a.Done() != b.Done() {
		t.Fatalf("%v, done %v; in parts %v, %v", err1, a.Done(), err2, b.Done())
	}
	if x.Method != y.Method || x.Key != y.Key || !bytes.Equal(x.Left, y.Left) {
		t.Fatalf("%v %x %q; in parts %v %x %q", x.Method, x.Key, x.Left, y.Method, y.Key, y.Left)
	}
}
