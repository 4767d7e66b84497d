package utp

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// open is a connected machine whose window is so wide that n packets may go at once.
func open(t *testing.T, packets int) *desk {
	d := connected(t, &Config{MaxPacket: 548})
	d.m.cc.cwnd = int64(packets*528) << fracBits
	return d
}

const packetPayload = 528 // of open's packets

func sackOf(bits ...byte) []byte { return append([]byte{0, 4}, bits...) }

// However many packets one drain brings, one STATE answers.
func TestOneAckPerDrain(t *testing.T) {
	d := connected(t, &Config{})
	for i := range uint16(50) {
		d.say(from(Data, theirSeq+i, ourSeq), byte(i))
	}
	if p := d.hears(State)[0]; p.Ack != theirSeq+49 || len(d.got) != 50 {
		t.Errorf("%+v, got %d bytes", p.Header, len(d.got))
	}
	d.say(from(Data, theirSeq+50, ourSeq), 'x')
	d.m.Write([]byte("answer"))
	if p := d.hears(Data)[0]; p.Ack != theirSeq+50 {
		t.Errorf("%+v", p.Header)
	}
	d.hears()
}

// What came out of order is told by bits: "The least significant bit in the byte
// represents ack_nr + 2".
func TestSACKIsSent(t *testing.T) {
	d := connected(t, &Config{})
	for _, n := range []uint16{1, 3, 8, 9, 40, 40, 3} {
		d.say(from(Data, theirSeq+n, ourSeq), byte('0'+n))
	}
	p := d.hears(State)[0]
	want := []byte{0b1000_0101, 0b1, 0, 0, 0b1000_0000 >> 0, 0, 0, 0}
	// Ack is theirSeq-1; bit i stands for theirSeq+1+i.
	if p.Ack != theirSeq-1 || !bytes.Equal(p.SACK, want) {
		t.Errorf("Ack %d, SACK %08b, want %08b", p.Ack, p.SACK, want)
	}
	d.say(from(Data, theirSeq, ourSeq), 'a')
	d.say(from(Data, theirSeq+2, ourSeq), 'b')
	p = d.hears(State)[0]
	if p.Ack != theirSeq+3 || string(d.got) != "a1b3" {
		t.Errorf("Ack %d, got %q", p.Ack, d.got)
	}
	if s := d.m.Stats(); s.Duplicates != 2 || s.Reordered != 5 {
		t.Errorf("%+v", s)
	}
}

// Three packets acknowledged past one have it sent again at once; the window is halved
// once for all that were lost together.
func TestFastRetransmit(t *testing.T) {
	d := open(t, 20)
	d.m.Write(make([]byte, 12*packetPayload))
	ps := d.heard()
	if len(ps) != 12 {
		t.Fatalf("%d packets", len(ps))
	}
	first := ps[0].Seq
	d.passes(10 * ms)
	d.sayExt(from(State, theirSeq, first-1), extSACK, sackOf(0b011, 0, 0, 0)...)
	d.hears() // two are not enough
	before := d.m.Window()
	d.sayExt(from(State, theirSeq, first-1), extSACK, sackOf(0b0111, 0, 0, 0)...)
	if p := d.hears(Data)[0]; p.Seq != first || d.m.Stats().Cuts != 1 {
		t.Errorf("%+v, %+v", p.Header, d.m.Stats())
	}
	if after := d.m.Window(); after > before*6/10 || after < before*4/10 {
		t.Errorf("window %d, then %d", before, after)
	}
	// first+4 is lost too, in the same flight: sent again, but no second cut.
	d.sayExt(from(State, theirSeq, first-1), extSACK, sackOf(0b1110_0111, 0, 0, 0)...)
	ps = d.hears(Data, Data)
	if ps[0].Seq != first+4 || ps[1].Seq != first+5 || d.m.Stats().Cuts != 1 {
		t.Errorf("%d and %d, %+v", ps[0].Seq, ps[1].Seq, d.m.Stats())
	}
	d.passes(10 * ms)
	d.say(from(State, theirSeq, first+11))
	d.hears()
	if d.m.Acked() != 12*packetPayload {
		t.Error(d.m.Acked())
	}
}

// A repetition that is lost is seen by what was sent after it, not after a timeout.
func TestLostRepetition(t *testing.T) {
	d := open(t, 30)
	d.m.Write(make([]byte, 30*packetPayload))
	first := d.heard()[0].Seq
	d.passes(10 * ms)
	d.sayExt(from(State, theirSeq, first-1), extSACK, sackOf(0xff, 0xff, 0xff, 0)...)
	ps := d.heard() // the repetition; new packets follow as the window allows
	if ps[0].Seq != first {
		t.Fatalf("%+v", ps[0].Header)
	}
	d.m.Write(make([]byte, 10*packetPayload))
	more := d.heard()
	if len(more) < 3 {
		t.Fatalf("%d packets after the repetition", len(more))
	}
	d.passes(10 * ms)
	d.sayExt(from(State, theirSeq, first-1), extSACK, sackOf(0xff, 0xff, 0xff, 0xff)...)
	d.sayExt(from(State, theirSeq, first-1), extSACK, append([]byte{0, 8}, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0)...)
	ps = d.heard()
	if len(ps) == 0 || ps[0].Seq != first {
		t.Fatalf("not sent again: %d packets", len(ps))
	}
	if s := d.m.Stats(); s.Timeouts != 0 || s.Cuts != 2 {
		t.Errorf("%+v", s)
	}
}

// Remotes without SACK are understood too.
func TestThreeDuplicateAcks(t *testing.T) {
	d := open(t, 10)
	d.m.Write(make([]byte, 8*packetPayload))
	first := d.heard()[0].Seq
	d.passes(10 * ms)
	d.say(from(State, theirSeq, first-1))
	d.say(from(State, theirSeq, first-1))
	d.hears()
	d.say(from(State, theirSeq, first-1))
	if p := d.hears(Data)[0]; p.Seq != first {
		t.Errorf("%+v", p.Header)
	}
}

// A packet that was late, not lost, gives the window back, and gaps get time from then.
func TestLateIsNotLost(t *testing.T) {
	d := open(t, 20)
	d.m.Write(make([]byte, 10*packetPayload))
	first := d.heard()[0].Seq
	d.passes(10 * ms)
	before := d.m.Window()
	d.sayExt(from(State, theirSeq, first-1), extSACK, sackOf(0b111, 0, 0, 0)...)
	d.hears(Data)
	d.passes(ms) // far less than a round trip
	d.say(from(State, theirSeq, first+4))
	if s := d.m.Stats(); s.Spurious != 1 || d.m.Window() < before {
		t.Errorf("%+v, window %d of %d", s, d.m.Window(), before)
	}
	d.sayExt(from(State, theirSeq, first+4), extSACK, sackOf(0b111, 0, 0, 0)...)
	d.hears() // it may be late again
	d.waits(10 * ms)
	if p := d.hears(Data)[0]; p.Seq != first+5 {
		t.Errorf("%+v", p.Header)
	}
}

// Silence has the last packet sent again after two round trips. Timeouts double from
// 500 ms, send one packet each, and in the end give up.
func TestTimeouts(t *testing.T) {
	d := open(t, 10)
	d.m.Write(make([]byte, 5*packetPayload))
	ps := d.hears(Data, Data, Data, Data, Data)
	began := d.now
	d.waits(20 * ms)
	if p := d.hears(Data)[0]; p.Seq != ps[4].Seq || d.m.Stats().Cuts != 0 {
		t.Errorf("%+v, %+v", p.Header, d.m.Stats())
	}
	d.waits(500 * ms)
	d.hears(Data)
	if d.now != began.Add(500*ms) {
		t.Errorf("first timeout after %v", d.now.Sub(began))
	}
	for i, want := range []Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		if at := d.m.Deadline(); at != d.now.Add(want) {
			t.Fatalf("timeout %d after %v, want %v", i, at.Sub(d.now), want)
		}
		d.waits(want)
		d.hears(Data)
		if d.m.Window() != packetPayload {
			t.Errorf("window %d", d.m.Window())
		}
	}
	d.waits(16 * time.Second)
	d.hears()
	if !errors.Is(d.m.Err(), ErrTimeout) {
		t.Error(d.m.Err())
	}
}

// The remote's window is kept to; a closed one gets a byte after each timeout for as
// long as the remote answers, and what was refused goes as soon as it opens.
func TestClosedWindow(t *testing.T) {
	d := open(t, 20)
	h := from(State, theirSeq, ourSeq)
	h.Window = 2*packetPayload + 100
	d.say(h)
	d.m.Write(make([]byte, 10*packetPayload))
	ps := d.hears(Data, Data)
	h.Ack, h.Window = ps[1].Seq, 100
	d.say(h)
	p := d.hears(Data)[0]
	if len(p.Payload) != 100 {
		t.Errorf("%d bytes into a window of 100", len(p.Payload))
	}
	h.Ack, h.Window = p.Seq, 0
	d.say(h)
	d.hears()
	d.waits(time.Second)
	if p = d.hears(Data)[0]; len(p.Payload) != 1 {
		t.Errorf("%d bytes into a closed window", len(p.Payload))
	}
	for range 20 {
		d.say(h)
		d.waits(maxRTO)
		d.hears(Data)
	}
	if d.m.Stats().Timeouts != 0 {
		t.Error("a closed window is no congestion")
	}
	h.Window = 1 << 20
	d.say(h)
	ps = d.heard()
	if len(ps) < 3 || ps[0].Seq != p.Seq || len(ps[0].Payload) != 1 || len(ps[1].Payload) != packetPayload {
		t.Errorf("%d packets when the window opens", len(ps))
	}
}

// The grants are the window; what exceeds them is refused; Allow tells the remote when
// the window had been closed.
func TestAllow(t *testing.T) {
	d := &desk{t: t, now: Time(time.Hour)}
	d.m = Dial(&Config{}, 77, ourSeq, d.now)
	d.hears(Syn)
	d.say(from(State, theirSeq, ourSeq))
	if p := d.hears(State)[0]; p.Window != 0 {
		t.Errorf("window %d without a grant", p.Window)
	}
	d.say(from(Data, theirSeq, ourSeq), 'x')
	if p := d.hears(State)[0]; p.Ack != theirSeq-1 || len(d.got) > 0 {
		t.Errorf("%+v, got %q", p.Header, d.got)
	}
	d.m.Allow(3000)
	if p := d.hears(State)[0]; p.Window != 3000 {
		t.Errorf("window %d", p.Window)
	}
	d.say(from(Data, theirSeq, ourSeq), make([]byte, 1000)...)
	d.say(from(Data, theirSeq+2, ourSeq), make([]byte, 1000)...)
	if p := d.hears(State)[0]; p.Window != 1000 {
		t.Errorf("window %d", p.Window)
	}
	d.say(from(Data, theirSeq+1, ourSeq), make([]byte, 1400)...) // 400 more than granted
	d.say(from(Data, theirSeq+3, ourSeq), 'x')
	if p := d.hears(State)[0]; p.Window != 0 || p.Ack != theirSeq+2 || len(d.got) != 3400 {
		t.Errorf("%+v, got %d bytes", p.Header, len(d.got))
	}
	d.m.Allow(Unlimited)
	if p := d.hears(State)[0]; p.Window != defaultWindow {
		t.Errorf("window %d", p.Window)
	}
	d.m.Allow(0)
	d.say(from(Data, theirSeq+3, ourSeq), 'x')
	if p := d.hears(State)[0]; p.Window != 0 || p.Ack != theirSeq+2 {
		t.Errorf("%+v", p.Header)
	}
}

// A small packet waits for the small one before it, a full one for none.
func TestNagle(t *testing.T) {
	d := open(t, 20)
	d.m.Write([]byte("first"))
	p := d.hears(Data)[0]
	d.m.Write([]byte("second"))
	d.m.Write([]byte("third"))
	d.hears()
	d.say(from(State, theirSeq, p.Seq))
	if p = d.hears(Data)[0]; string(p.Payload) != "secondthird" {
		t.Errorf("%q", p.Payload)
	}
	d.m.Write(make([]byte, packetPayload+3))
	d.hears(Data)
	d.m.Close(d.now) // nothing more can join it
	d.hears(Data, Fin)

	d = connected(t, &Config{NoDelay: true})
	d.m.Write([]byte("first"))
	d.hears(Data)
	d.m.Write([]byte("second"))
	d.hears(Data)
}

// Buffers are the caller's again when Acked has passed them, and not before; until then
// the machine sends what they hold.
func TestAckedInOrder(t *testing.T) {
	d := open(t, 20)
	one, two := bytes.Repeat([]byte{1}, 700), bytes.Repeat([]byte{2}, 700)
	d.m.Write(one, nil, two)
	ps := d.hears(Data, Data, Data)
	var sent []byte
	for _, p := range ps {
		sent = append(sent, p.Payload...)
	}
	if !bytes.Equal(sent, append(bytes.Clone(one), two...)) {
		t.Error("other bytes were sent")
	}
	d.say(from(State, theirSeq, ps[0].Seq))
	if d.m.Acked() != packetPayload {
		t.Error(d.m.Acked())
	}
	d.say(from(State, theirSeq, ps[2].Seq))
	if d.m.Acked() != 1400 || d.m.Pending() != 0 {
		t.Error(d.m.Acked(), d.m.Pending())
	}
}

// While nothing is sent the window decays, but not below where it began.
func TestIdleDecay(t *testing.T) {
	d := open(t, 100)
	d.m.Write([]byte("x"))
	p := d.hears(Data)[0]
	d.passes(10 * ms)
	d.say(from(State, theirSeq, p.Seq))
	d.passes(2 * time.Second) // four timeouts
	d.m.Write(make([]byte, 100*packetPayload))
	if n := len(d.heard()); n < 15 || n > 25 {
		t.Errorf("%d packets after a pause of four timeouts, want 100 × (2/3)^4", n)
	}
	d.m.cc.idleAt = d.now
	d.m.cc.resume(packetPayload, 500*ms, d.now.Add(time.Hour))
	if d.m.Window() != initialWindow*packetPayload {
		t.Error(d.m.Window())
	}
}

// The window grows only while it is what holds us back.
func TestNoGrowthUnlessLimited(t *testing.T) {
	d := open(t, 50)
	before := d.m.Window()
	for range 100 {
		d.m.Write(make([]byte, packetPayload))
		p := d.hears(Data)[0]
		d.passes(10 * ms)
		d.say(from(State, theirSeq, p.Seq))
	}
	if d.m.Window() != before {
		t.Errorf("window %d, then %d", before, d.m.Window())
	}
}

// The memory of packets out of order is capped, however they are made.
func TestReorderCaps(t *testing.T) {
	d := connected(t, &Config{Window: 64 << 10})
	for i := range uint16(maxReorder + 100) {
		d.say(from(Data, theirSeq+1+i, ourSeq), 'x')
	}
	if r := &d.m.recv; r.held > 64<<10 || len(r.ring) > maxReorder || r.n == 0 {
		t.Errorf("%d bytes in %d packets, ring of %d", r.held, r.n, len(r.ring))
	}
	p := d.hears(State)[0]
	if len(p.SACK) > maxReorder/8 || len(p.SACK)%4 != 0 {
		t.Errorf("SACK of %d bytes", len(p.SACK))
	}
	d = connected(t, &Config{})
	d.say(from(Data, theirSeq+maxReorder-1, ourSeq), 'x')
	d.say(from(Data, theirSeq+maxReorder, ourSeq), 'x')
	if s := d.m.Stats(); s.Reordered != 1 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
	if p := d.hears(State)[0]; len(p.SACK) != maxReorder/8 || p.SACK[127] != 1<<6 {
		t.Errorf("SACK %v", p.SACK)
	}
}

// The end of a flight that is lost whole but for its beginning comes back without a
// timeout: the last packet goes again, its SACK shows the others.
func TestLostTail(t *testing.T) {
	d := open(t, 20)
	d.m.Write(make([]byte, 8*packetPayload))
	first := d.heard()[0].Seq
	d.passes(10 * ms)
	d.say(from(State, theirSeq, first+3)) // four of eight
	d.hears()
	d.waits(25 * ms)
	if p := d.hears(Data)[0]; p.Seq != first+7 {
		t.Fatalf("%+v", p.Header)
	}
	d.passes(10 * ms)
	d.sayExt(from(State, theirSeq, first+3), extSACK, sackOf(0b100, 0, 0, 0)...)
	ps := d.hears(Data, Data, Data)
	if ps[0].Seq != first+4 || ps[2].Seq != first+6 || d.m.Stats().Cuts != 1 || d.m.Stats().Timeouts != 0 {
		t.Errorf("%+v, %+v", ps[0].Header, d.m.Stats())
	}
}
