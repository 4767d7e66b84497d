package mse

import (
	"bytes"
	"errors"
	"math/big"
	"testing"
)

// badKeys leave no choice of S, or lie outside of the group.
func badKeys() map[string][]byte {
	of := func(x *big.Int) []byte { return x.FillBytes(make([]byte, 96)) }
	return map[string][]byte{
		"0":       of(big.NewInt(0)),
		"1":       of(big.NewInt(1)),
		"P-1":     of(primeLess),
		"P":       of(prime),
		"P+1":     of(new(big.Int).Add(prime, one)),
		"all one": bytes.Repeat([]byte{0xFF}, 96),
	}
}

func TestBadKeys(t *testing.T) {
	for name, key := range badKeys() {
		a, b := outgoing(OfferAny, nil), incoming(OfferAny, RC4)
		a.Output()
		admitted := false
		b.b.Admit = func() bool { admitted = true; return true }
		wantFailed(t, "outgoing, key "+name, a, key, ErrKey)
		wantFailed(t, "incoming, key "+name, b, key, ErrKey)
		if admitted {
			t.Errorf("key %s: counted as an expensive one", name)
		}
	}
}

// wantFailed feeds and wants the machine to be at its end, without another word.
func wantFailed(t *testing.T, what string, m *Machine, b []byte, want error) {
	t.Helper()
	if err := m.Feed(b); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
	if m.Output() != nil || m.Done() || m.Result().Method != None || m.got != nil {
		t.Errorf("%s: goes on", what)
	}
	if err := m.Feed([]byte("more")); !errors.Is(err, want) || m.Done() {
		t.Errorf("%s: %v after more", what, err)
	}
}

// What a remote that connects may get wrong after its key.
func TestRejectsIncoming(t *testing.T) {
	for name, c := range map[string]struct {
		bend func(*remote)
		want error
	}{
		"padding of 513":        {func(r *remote) { r.pad = 513 }, ErrSync},
		"padding of 10 KB":      {func(r *remote) { r.pad = 10 << 10 }, ErrSync},
		"another torrent":       {func(r *remote) { r.skey = another }, ErrUnknown},
		"VC not zero":           {func(r *remote) { r.vc[7] = 1 }, ErrSync},
		"nothing offered":       {func(r *remote) { r.method = 0 }, ErrMethod},
		"the unknown offered":   {func(r *remote) { r.method = 0xFFFFFFFC }, ErrMethod},
		"PadC of 513":           {func(r *remote) { r.padLen = 513 }, ErrLength},
		"PadC of 65535":         {func(r *remote) { r.padLen = 65535 }, ErrLength},
		"IA too long to expect": {func(r *remote) { r.method, r.iaLen = 1, MaxInitial+1 }, ErrLength},
	} {
		r := newRemote(t, true)
		r.method = 3
		c.bend(r)
		m := incoming(OfferAny, RC4)
		key := r.greeting()
		feed(t, m, key[:96])
		r.meet(m.Output())
		wantFailed(t, name, m, append(key[96:], r.step3()...), c.want)
	}
}

// Lengths at their limits pass.
func TestIncomingLimits(t *testing.T) {
	for name, bend := range map[string]func(*remote){
		"all paddings of 512":      func(r *remote) { r.pad, r.padLen = 512, 512 },
		"IA of 64 KiB before RC4":  func(r *remote) { r.ia = make([]byte, 65535) },
		"IA of 16 KiB, then clear": func(r *remote) { r.method, r.ia = 1, make([]byte, MaxInitial) },
		"bits of later versions":   func(r *remote) { r.method = 0xFFFFFFFF },
	} {
		r := newRemote(t, true)
		r.method = 3
		bend(r)
		m := incoming(OfferAny, RC4)
		feed(t, m, r.greeting())
		r.meet(m.Output())
		feed(t, m, r.step3())
		if !m.Done() || len(m.Result().Left) != len(r.ia) {
			t.Errorf("%s: done %v, %d left", name, m.Done(), len(m.Result().Left))
		}
	}
}

// What a remote that we connect to may get wrong after its key.
func TestRejectsOutgoing(t *testing.T) {
	for name, c := range map[string]struct {
		offer Offer
		bend  func(*remote)
		want  error
	}{
		"padding of 513":           {OfferAny, func(r *remote) { r.pad = 513 }, ErrSync},
		"padding of 10 KB":         {OfferAny, func(r *remote) { r.pad = 10 << 10 }, ErrSync},
		"it has another torrent":   {OfferAny, func(r *remote) { r.skey = another; r.pad = 600 }, ErrSync},
		"VC not zero":              {OfferAny, func(r *remote) { r.vc[0] = 1; r.padLen = 512 }, ErrSync},
		"nothing chosen":           {OfferAny, func(r *remote) { r.method = 0 }, ErrMethod},
		"both chosen":              {OfferAny, func(r *remote) { r.method = 3 }, ErrMethod},
		"the unknown chosen":       {OfferAny, func(r *remote) { r.method = 4 }, ErrMethod},
		"a high bit besides":       {OfferAny, func(r *remote) { r.method = 1<<31 | 2 }, ErrMethod},
		"downgrade to plaintext":   {OfferRC4, func(r *remote) { r.method = 1 }, ErrMethod},
		"RC4 although not offered": {OfferPlaintext, func(r *remote) { r.method = 2 }, ErrMethod},
		"PadD of 513":              {OfferAny, func(r *remote) { r.padLen = 513 }, ErrLength},
	} {
		r := newRemote(t, false)
		r.method = uint32(RC4)
		c.bend(r)
		m := outgoing(c.offer, hello)
		r.meet(m.Output())
		answer := append(r.greeting(), r.step4()...)
		wantFailed(t, name, m, append(answer, make([]byte, 600)...), c.want)
	}
}

// A plain handshake for an answer is not waited for any longer.
func TestPlainAnswer(t *testing.T) {
	m := outgoing(OfferAny, hello)
	m.Output()
	feed(t, m, []byte("\x13BitTorrent protoco"))
	wantFailed(t, "plain answer", m, []byte("l"), ErrSync)
}

// "VC is used to verify whether the other side knows S and SKEY and thus defeats replay
// attacks of the SKEY hash": who replays what it has overheard knows no S.
func TestReplay(t *testing.T) {
	a, b := outgoing(OfferRC4, hello), incoming(OfferAny, RC4)
	var overheard []byte
	for !b.Done() {
		said := a.Output()
		overheard = append(overheard, said...)
		feed(t, b, said)
		feed(t, a, b.Output())
	}
	again := Incoming{Find: findOnly(torrent), Accept: OfferAny, Favourite: RC4, Rand: source(3)}.Start()
	overheard = append(overheard, make([]byte, 600)...)
	wantFailed(t, "replay", again, overheard, ErrSync)
}

func TestAdmit(t *testing.T) {
	asked := 0
	m := Incoming{Find: findOnly(torrent), Accept: OfferAny, Rand: source(1), Admit: func() bool { asked++; return false }}.Start()
	r := newRemote(t, true)
	feed(t, m, r.greeting()[:95])
	if asked != 0 {
		t.Error("asked before the key was there")
	}
	wantFailed(t, "refused", m, r.greeting()[95:], ErrBusy)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestBadOutgoing(t *testing.T) {
	for _, o := range []Outgoing{
		{Key: torrent, Rand: source(1)},
		{Key: torrent, Offer: 4, Rand: source(1)},
		{Key: torrent, Offer: OfferAny, Initial: make([]byte, MaxInitial+1), Rand: source(1)},
	} {
		m := o.Start()
		if m.Output() != nil || m.Done() || m.Feed(nil) == nil {
			t.Errorf("offer %v, %d bytes of initial payload: begins", o.Offer, len(o.Initial))
		}
	}
}

// Whatever a remote sends, a machine holds and says no more than this.
func TestBounded(t *testing.T) {
	for range 20 {
		a, b := outgoing(OfferAny, make([]byte, MaxInitial)), incoming(OfferAny, Plaintext)
		said := map[*Machine]int{}
		_ = talk(a, b, func(p []byte) [][]byte { said[a] += len(p); return [][]byte{p} })
		if said[a] > 2*MaxHandshake {
			t.Errorf("both said %d bytes", said[a])
		}
	}
	b := incoming(OfferAny, RC4)
	feed(t, b, newRemote(t, true).greeting()[:96])
	for err := error(nil); err == nil; err = b.Feed([]byte{1}) {
		if len(b.got) > maxSyncB {
			t.Fatalf("holds %d bytes of garbage", len(b.got))
		}
	}
}
