package mse

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// We connect; the remote is played from the specification.
func TestOutgoing(t *testing.T) {
	for _, method := range []Method{Plaintext, RC4} {
		for _, pad := range []int{0, 1, 511, 512} {
			t.Run(fmt.Sprintf("%v, padding %d", method, pad), func(t *testing.T) {
				r := newRemote(t, false)
				r.pad, r.padLen, r.method = pad, pad, uint32(method)
				m := outgoing(OfferAny, hello)
				said := m.Output()
				r.meet(said)
				feed(t, m, r.greeting())
				said = append(said, m.Output()...)
				if provide, ia := r.hearStep3(said); provide != 3 || !bytes.Equal(ia, hello) {
					t.Errorf("offers %d, begins with %q", provide, ia)
				}
				if m.Done() {
					t.Error("done too early")
				}
				feed(t, m, r.step4())
				wantStreams(t, m, r, method)
			})
		}
	}
}

// The remote connects.
func TestIncoming(t *testing.T) {
	for _, method := range []Method{Plaintext, RC4} {
		for _, pad := range []int{0, 1, 511, 512} {
			t.Run(fmt.Sprintf("%v, padding %d", method, pad), func(t *testing.T) {
				r := newRemote(t, true)
				r.pad, r.padLen, r.method, r.ia = pad, pad, 3, hello
				m := incoming(OfferAny, method)
				if m.Output() != nil {
					t.Error("says something before it has heard anything")
				}
				feed(t, m, r.greeting())
				said := m.Output()
				if len(said) < 96 || len(said) > 96+512 {
					t.Fatalf("answers %d bytes", len(said))
				}
				r.meet(said)
				feed(t, m, r.step3())
				if chosen, rest := r.hearHead(m.Output()); chosen != uint32(method) || len(rest) > 0 {
					t.Errorf("chose %d, and %d bytes behind it", chosen, len(rest))
				}
				left := m.Result().Left
				if method == RC4 {
					m.Result().In.XOR(left, left)
				}
				if !bytes.Equal(left, hello) {
					t.Errorf("heard %q", left)
				}
				m.got = nil
				wantStreams(t, m, r, method)
			})
		}
	}
}

// wantStreams: the machine is done, and bytes in both directions arrive.
func wantStreams(t *testing.T, m *Machine, r *remote, method Method) {
	t.Helper()
	if !m.Done() {
		t.Fatal("not done")
	}
	text, crypt := []byte("what follows the handshake"), []byte("what follows the handshake")
	if method == RC4 {
		r.enc.XORKeyStream(crypt, text)
	}
	feed(t, m, crypt)
	res := m.Result()
	if res.Method != method || res.Key != torrent || (res.In != nil) != (method == RC4) || (res.Out != nil) != (method == RC4) {
		t.Fatalf("result %+v", res)
	}
	if method == Plaintext {
		if !bytes.Equal(res.Left, text) {
			t.Errorf("heard %q", res.Left)
		}
		return
	}
	res.In.XOR(res.Left, res.Left)
	if !bytes.Equal(res.Left, text) {
		t.Errorf("heard %q", res.Left)
	}
	res.Out.XOR(crypt, text)
	r.dec.XORKeyStream(crypt, crypt)
	if !bytes.Equal(crypt, text) {
		t.Errorf("said %q", crypt)
	}
}

// What is chosen of what is offered.
func TestChoice(t *testing.T) {
	for _, c := range []struct {
		offered, accepted Offer
		favourite, want   Method
	}{
		{OfferAny, OfferAny, RC4, RC4},
		{OfferAny, OfferAny, Plaintext, Plaintext},
		{OfferRC4, OfferAny, Plaintext, RC4},
		{OfferPlaintext, OfferAny, RC4, Plaintext},
		{OfferAny, OfferRC4, Plaintext, RC4},
		{OfferAny, OfferPlaintext, RC4, Plaintext},
		{OfferPlaintext, OfferRC4, RC4, None},
		{OfferRC4, OfferPlaintext, RC4, None},
	} {
		a, b := outgoing(c.offered, nil), incoming(c.accepted, c.favourite)
		err := talk(a, b, func(b []byte) [][]byte { return [][]byte{b} })
		got := a.Result().Method
		if got != b.Result().Method || got != c.want || (c.want == None) != errors.Is(err, ErrMethod) {
			t.Errorf("offered %v, accepted %v, favourite %v: %v and %v, %v", c.offered, c.accepted, c.favourite, got, b.Result().Method, err)
		}
	}
}

// talk lets two machines talk to each other, in parts as cut makes them. It returns the
// first error.
func talk(a, b *Machine, cut func([]byte) [][]byte) error {
	for {
		fromA, fromB := a.Output(), b.Output()
		if fromA == nil && fromB == nil {
			return errors.Join(a.err, b.err)
		}
		for _, part := range cut(fromA) {
			if err := b.Feed(part); err != nil {
				return err
			}
		}
		for _, part := range cut(fromB) {
			if err := a.Feed(part); err != nil {
				return err
			}
		}
	}
}

// However the bytes are cut, the outcome is the same.
func TestSplits(t *testing.T) {
	for _, method := range []Method{Plaintext, RC4} {
		for _, n := range []int{1, 2, 7, 19, 20, 96, 97, 1 << 20} {
			cut := func(b []byte) (parts [][]byte) {
				for ; len(b) > n; b = b[n:] {
					parts = append(parts, b[:n])
				}
				return append(parts, b)
			}
			a, b := outgoing(OfferAny, hello), incoming(OfferAny, method)
			if err := talk(a, b, cut); err != nil {
				t.Fatalf("parts of %d: %v", n, err)
			}
			left := b.Result().Left
			if in := b.Result().In; in != nil {
				in.XOR(left, left)
			}
			if !a.Done() || !b.Done() || a.Result().Method != method || !bytes.Equal(left, hello) {
				t.Errorf("parts of %d: %v %v %q", n, a.Done(), b.Done(), left)
			}
		}
	}
}

// A remote that knows our key in advance may say everything at once.
func TestAllAtOnce(t *testing.T) {
	probe := incoming(OfferAny, RC4)
	r := newRemote(t, true)
	r.method, r.ia = 2, hello
	feed(t, probe, r.greeting())
	r.meet(probe.Output()) // the same seed: the next one will have the same key
	m := incoming(OfferAny, RC4)
	feed(t, m, append(append(r.greeting(), r.step3()...), r.say([]byte("and more"))...))
	res := m.Result()
	if !m.Done() || len(res.Left) != len(hello)+8 {
		t.Fatalf("done %v, %d bytes left", m.Done(), len(res.Left))
	}
	if res.In.XOR(res.Left, res.Left); string(res.Left) != string(hello)+"and more" {
		t.Errorf("heard %q", res.Left)
	}
}

// Initial payload in the clear is only what its length says, and awaited.
func TestInitialThenClear(t *testing.T) {
	r := newRemote(t, true)
	r.method, r.ia = uint32(Plaintext), hello
	m := incoming(OfferAny, RC4)
	feed(t, m, r.greeting())
	r.meet(m.Output())
	all := r.step3()
	feed(t, m, all[:len(all)-10])
	if m.Done() || m.Output() == nil {
		t.Error("the answer waits for the initial payload, or does not wait for it")
	}
	feed(t, m, append(all[len(all)-10:], "in the clear"...))
	if got := m.Result().Left; string(got) != string(hello)+"in the clear" {
		t.Errorf("heard %q", got)
	}
}
