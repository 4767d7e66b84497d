package utp

import (
	"errors"
	"testing"
	"time"
)

func TestDial(t *testing.T) {
	d, syn := dialed(t, &Config{})
	if syn.ConnID != 77 || syn.Seq != ourSeq || syn.Size != HeaderSize {
		t.Errorf("SYN %+v", syn.Header)
	}
	d.m.Write([]byte("hello"))
	d.hears() // nothing before the answer
	d.passes(10 * ms)
	d.say(from(State, theirSeq, ourSeq))
	p := d.hears(Data)[0]
	if p.ConnID != 78 || p.Seq != ourSeq+1 || p.Ack != theirSeq-1 || string(p.Payload) != "hello" {
		t.Errorf("first DATA %+v %q", p.Header, p.Payload)
	}
	d.say(from(Data, theirSeq, ourSeq+1), []byte("hi")...)
	if ack := d.hears(State)[0]; ack.Ack != theirSeq || ack.Seq != ourSeq+2 {
		t.Errorf("STATE %+v", ack.Header)
	}
	if string(d.got) != "hi" || d.m.Acked() != 5 || d.m.Phase() != Connected {
		t.Errorf("got %q, acknowledged %d, %s", d.got, d.m.Acked(), d.m.Phase())
	}
}

func TestSynIsRepeatedAndGivenUp(t *testing.T) {
	d, _ := dialed(t, &Config{})
	d.waits(time.Second)
	d.hears(Syn)
	d.waits(2 * time.Second)
	d.hears(Syn)
	d.waits(4 * time.Second)
	d.hears()
	if d.m.Phase() != Closed || !errors.Is(d.m.Err(), ErrTimeout) || d.m.Deadline() != never {
		t.Errorf("%s, %v", d.m.Phase(), d.m.Err())
	}
}

func TestSynAnswers(t *testing.T) {
	cases := []struct {
		name  string
		h     Header
		phase Phase
		err   error
	}{
		{"RESET of our SYN", from(Reset, 9, ourSeq), Closed, ErrRefused},
		{"RESET of something else", from(Reset, 9, ourSeq+1), SynSent, nil},
		{"STATE of something else", from(State, theirSeq, ourSeq-1), SynSent, nil},
		{"STATE with another id", Header{Type: State, ConnID: 78, Seq: theirSeq, Ack: ourSeq}, SynSent, nil},
		{"SYN", from(Syn, theirSeq, ourSeq), SynSent, nil},
		{"FIN", from(Fin, theirSeq, ourSeq), SynSent, nil},
	}
	for _, c := range cases {
		d, _ := dialed(t, &Config{})
		d.say(c.h)
		d.hears()
		if d.m.Phase() != c.phase || !errors.Is(d.m.Err(), c.err) {
			t.Errorf("%s: %s, %v", c.name, d.m.Phase(), d.m.Err())
		}
	}
}

// An address that has not shown that it receives gets one STATE for each SYN, and
// nothing else, whatever is written and however long it takes.
func TestNothingIsReflected(t *testing.T) {
	d, state := accepted(t)
	if state.ConnID != 77 || state.Ack != theirSeq-1 || state.Seq != ourSeq {
		t.Errorf("STATE %+v", state.Header)
	}
	d.m.Write(make([]byte, 1<<20))
	d.hears()
	for range 3 {
		d.passes(time.Second)
		d.hears()
	}
	in, out := 1, 1
	for range 5 {
		d.say(Header{Type: Syn, ConnID: 77, Seq: theirSeq - 1})
		d.say(Header{Type: Syn, ConnID: 77, Seq: theirSeq - 1})
		in += 2
		out += len(d.hears(State))
	}
	for _, h := range []Header{
		{Type: Syn, ConnID: 77, Seq: theirSeq},                   // another connection
		{Type: Data, ConnID: 78, Seq: theirSeq, Ack: ourSeq + 1}, // a number that we have not said
		{Type: Data, ConnID: 78, Seq: theirSeq, Ack: 0},
		{Type: Data, ConnID: 77, Seq: theirSeq, Ack: ourSeq - 1},
	} {
		d.say(h, 'x')
		d.hears()
	}
	if 2*out > 3*in {
		t.Errorf("%d packets out for %d in", out, in)
	}
	d.m.Abort()
	d.hears()
	if d.m.Phase() != Closed {
		t.Error(d.m.Phase())
	}
}

func TestAccept(t *testing.T) {
	d, _ := accepted(t)
	d.m.Write([]byte("welcome"))
	d.say(Header{Type: Data, ConnID: 78, Seq: theirSeq, Ack: ourSeq - 1, Window: 1000}, []byte("hello")...)
	if p := d.hears(Data)[0]; p.Seq != ourSeq || p.Ack != theirSeq || string(p.Payload) != "welcome" {
		t.Errorf("%+v %q", p.Header, p.Payload)
	}
	if string(d.got) != "hello" || d.m.Phase() != Connected {
		t.Errorf("got %q, %s", d.got, d.m.Phase())
	}
}

// By the diagram of BEP 29 our STATE took a sequence number. Who believes that is
// answered behind it.
func TestAcceptByTheDiagram(t *testing.T) {
	d, state := accepted(t)
	d.m.Write([]byte("welcome"))
	d.say(Header{Type: Data, ConnID: 78, Seq: theirSeq, Ack: state.Seq, Window: 1000}, []byte("hello")...)
	if p := d.hears(Data)[0]; p.Seq != state.Seq+1 || string(d.got) != "hello" {
		t.Errorf("%+v, got %q", p.Header, d.got)
	}
}

func TestAcceptIsGivenUp(t *testing.T) {
	d, _ := accepted(t)
	d.waits(acceptTimeout)
	d.hears()
	if !errors.Is(d.m.Err(), ErrTimeout) {
		t.Error(d.m.Err())
	}
}

// Close delivers what was written, then the FIN; our FIN is repeated until it is
// acknowledged, theirs acknowledged as often as it comes.
func TestClose(t *testing.T) {
	d := connected(t, &Config{})
	d.m.Write([]byte("last words"))
	d.m.Close(d.now)
	ps := d.hears(Data, Fin)
	if ps[1].Seq != ps[0].Seq+1 {
		t.Errorf("DATA %d, FIN %d", ps[0].Seq, ps[1].Seq)
	}
	if d.m.Write([]byte("too late")) {
		t.Error("wrote after Close")
	}
	d.say(from(State, theirSeq, ps[0].Seq)) // the FIN is lost
	d.hears()
	d.waits(time.Second)
	d.hears(Fin)
	d.say(from(Data, theirSeq, ps[1].Seq), []byte("ignored")...)
	d.hears(State)
	d.say(from(Fin, theirSeq+1, ps[1].Seq))
	if p := d.hears(State)[0]; p.Ack != theirSeq+1 || d.m.Phase() != Lingering {
		t.Errorf("%+v, %s", p.Header, d.m.Phase())
	}
	d.say(from(Fin, theirSeq+1, ps[1].Seq))
	d.hears(State)
	d.waits(2 * time.Second)
	d.hears()
	if d.m.Phase() != Closed || d.m.Err() != nil || len(d.got) > 0 {
		t.Errorf("%s, %v, got %q", d.m.Phase(), d.m.Err(), d.got)
	}
}

// A FIN that overtakes data ends the stream only when the data is there.
func TestFinBeforeData(t *testing.T) {
	d := connected(t, &Config{})
	d.say(from(Fin, theirSeq+2, ourSeq))
	p := d.hears(State)[0]
	if p.Ack != theirSeq-1 || len(p.SACK) != 4 || p.SACK[0] != 0b10 || d.m.EOF() {
		t.Errorf("%+v, SACK %b, EOF %v", p.Header, p.SACK, d.m.EOF())
	}
	d.say(from(Data, theirSeq+3, ourSeq), []byte("behind the end")...)
	d.say(from(Fin, theirSeq+9, ourSeq))
	d.say(from(Data, theirSeq+1, ourSeq), 'b')
	d.hears(State)
	d.say(from(Data, theirSeq, ourSeq), 'a')
	if p := d.hears(State)[0]; p.Ack != theirSeq+2 || p.SACK != nil || !d.m.EOF() || string(d.got) != "ab" {
		t.Errorf("%+v, EOF %v, got %q", p.Header, d.m.EOF(), d.got)
	}
	d.m.Close(d.now)
	fin := d.hears(Fin)[0]
	d.say(from(State, theirSeq+3, fin.Seq))
	if d.m.Phase() != Lingering {
		t.Error(d.m.Phase())
	}
}

// A remote that never sends its FIN is not waited for, and one that stops reading
// neither.
func TestCloseIsGivenUp(t *testing.T) {
	d := connected(t, &Config{})
	d.m.Close(d.now)
	fin := d.hears(Fin)[0]
	d.say(from(State, theirSeq, fin.Seq))
	d.waits(closeTimeout)
	d.hears()
	if d.m.Phase() != Closed || d.m.Err() != nil {
		t.Errorf("%s, %v", d.m.Phase(), d.m.Err())
	}
	d = connected(t, &Config{})
	h := from(State, theirSeq, ourSeq)
	h.Window = 0
	d.say(h)
	d.m.Write([]byte("words"))
	d.m.Close(d.now)
	for end := d.now.Add(5 * time.Minute); d.m.Phase() != Closed && d.now < end; {
		d.heard()
		d.say(h)
		d.now = min(d.m.Deadline(), end)
	}
	if !errors.Is(d.m.Err(), ErrTimeout) {
		t.Errorf("%s, %v", d.m.Phase(), d.m.Err())
	}
}

// A RESET ends the connection if it answers something that we have sent.
func TestReceivedReset(t *testing.T) {
	for ack, want := range map[uint16]Phase{
		ourSeq + 1: Closed, ourSeq: Closed, ourSeq + 2: Connected, ourSeq - 100: Connected, ourSeq + 30000: Connected,
	} {
		d := connected(t, &Config{})
		d.say(from(Reset, 5, ack))
		if d.hears(); d.m.Phase() != want || want == Closed && !errors.Is(d.m.Err(), ErrReset) {
			t.Errorf("RESET of %d: %s, %v", ack, d.m.Phase(), d.m.Err())
		}
	}
	d := connected(t, &Config{})
	d.say(Header{Type: Reset, ConnID: 79, Ack: ourSeq})
	if d.m.Phase() != Connected {
		t.Error("a RESET of another connection")
	}
}

func TestAbort(t *testing.T) {
	d := connected(t, &Config{})
	d.m.Write(make([]byte, 5000))
	d.heard()
	d.m.Abort()
	p := d.hears(Reset)[0]
	if p.ConnID != 78 || p.Ack != theirSeq-1 || !errors.Is(d.m.Err(), ErrAborted) || d.m.Acked() != 5000 {
		t.Errorf("%+v, %v, %d", p.Header, d.m.Err(), d.m.Acked())
	}
	d.hears()
	d, _ = dialed(t, &Config{})
	d.m.Abort()
	d.hears()
}

func TestKeepAlive(t *testing.T) {
	d := connected(t, &Config{})
	d.waits(keepAlive)
	d.hears(State)
	d.waits(keepAlive)
	d.hears(State)
	if d.m.Phase() != Connected {
		t.Error(d.m.Phase())
	}
}

// Packets of nobody's do not disturb.
func TestStrangers(t *testing.T) {
	d := connected(t, &Config{})
	d.m.Write([]byte("hello"))
	d.hears(Data)
	for _, h := range []Header{
		from(Data, theirSeq, ourSeq+2), // of what was never sent
		from(Data, theirSeq, ourSeq-2000),
		{Type: Data, ConnID: 78, Seq: theirSeq, Ack: ourSeq},
		from(Syn, theirSeq-1, 0),
	} {
		d.say(h, 'x')
		d.hears()
	}
	if s := d.m.Stats(); s.Refused != 4 || len(d.got) > 0 || d.m.Acked() != 0 {
		t.Errorf("%+v, got %q", s, d.got)
	}
}

// A socket that is full loses nothing: the machine says it when it can.
func TestFullSocket(t *testing.T) {
	d := &desk{t: t, now: Time(time.Hour), full: true}
	d.m = Dial(&Config{}, 77, ourSeq, d.now)
	d.m.Allow(Unlimited)
	d.hears()
	d.full = false
	d.hears(Syn)
	d.passes(10 * ms)
	d.say(from(State, theirSeq, ourSeq))
	d.m.Write([]byte("hello"))
	d.full = true
	d.hears()
	d.full = false
	d.hears(Data)
	d.say(from(Data, theirSeq, ourSeq+1), 'x')
	d.m.Close(d.now)
	d.full = true
	d.hears()
	d.full = false
	if fin := d.hears(Fin)[0]; fin.Ack != theirSeq {
		t.Errorf("%+v", fin.Header)
	}
	d.m.Abort()
	d.full = true
	d.hears()
	d.full = false
	d.hears(Reset)
}

// Close before there is a connection: an attempt just ends; who was asked says what
// was written once the other has shown that it hears.
func TestCloseEarly(t *testing.T) {
	d, _ := dialed(t, &Config{})
	d.m.Close(d.now)
	d.hears()
	if d.m.Phase() != Closed || d.m.Err() != nil {
		t.Errorf("%s, %v", d.m.Phase(), d.m.Err())
	}
	d, _ = accepted(t)
	d.m.Write([]byte("bye"))
	d.m.Close(d.now)
	d.hears()
	d.say(Header{Type: State, ConnID: d.m.RecvID(), Seq: theirSeq, Ack: ourSeq - 1, Window: 1000})
	ps := d.hears(Data, Fin)
	d.say(Header{Type: Fin, ConnID: d.m.RecvID(), Seq: theirSeq, Ack: ps[1].Seq, Window: 1000})
	if d.hears(State); d.m.Phase() != Lingering {
		t.Error(d.m.Phase())
	}
}
