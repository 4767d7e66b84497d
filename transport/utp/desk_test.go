package utp

import (
	"testing"
	"time"
)

// desk is a machine whose remote is the test itself: it says packets by hand and reads
// what is answered.
type desk struct {
	t    *testing.T
	m    *Machine
	now  Time
	out  [][]byte // since the last call of heard
	got  []byte   // of the stream
	full bool     // the socket takes nothing
}

const (
	theirSeq = 1000 // sequence number of the remote's first DATA
	ourSeq   = 5000 // of the machine's SYN, or of its first DATA when it was dialed
)

func (d *desk) lend(n int, _ bool) []byte {
	if d.full {
		return nil
	}
	d.out = append(d.out, make([]byte, n))
	return d.out[len(d.out)-1]
}

func (d *desk) deliver(b []byte) { d.got = append(d.got, b...) }

// say gives the machine a packet, without output.
func (d *desk) say(h Header, rest ...byte) { d.sayExt(h, extNone, rest...) }

func (d *desk) sayExt(h Header, ext byte, rest ...byte) {
	d.t.Helper()
	p, err := Parse(packetOf(h, ext, rest...))
	if err != nil {
		d.t.Fatal(err)
	}
	d.m.Receive(&p, d.now, d.deliver)
}

// heard lets the machine speak and returns its packets.
func (d *desk) heard() []Packet {
	d.t.Helper()
	d.m.Output(d.now, d.lend)
	var ps []Packet
	for _, b := range d.out {
		p, err := Parse(b)
		if err != nil {
			d.t.Fatal(err)
		}
		ps = append(ps, p)
	}
	d.out = nil
	return ps
}

// hears expects packets of these types and returns them.
func (d *desk) hears(want ...Type) []Packet {
	d.t.Helper()
	ps := d.heard()
	var got []Type
	for _, p := range ps {
		got = append(got, p.Type)
	}
	if len(got) != len(want) {
		d.t.Fatalf("heard %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			d.t.Fatalf("heard %v, want %v", got, want)
		}
	}
	return ps
}

func (d *desk) passes(t Duration) { d.now = d.now.Add(t) }

// waits moves time to the machine's deadline, which must be within t.
func (d *desk) waits(t Duration) {
	d.t.Helper()
	at := d.m.Deadline()
	if at > d.now.Add(t) || at <= d.now {
		d.t.Fatalf("deadline %v after now, want within %v", at.Sub(d.now), t)
	}
	d.now = at
}

// dialed is a machine that has sent its SYN.
func dialed(t *testing.T, cfg *Config) (*desk, Packet) {
	d := &desk{t: t, now: Time(time.Hour)}
	d.m = Dial(cfg, 77, ourSeq, d.now)
	d.m.Allow(Unlimited)
	return d, d.hears(Syn)[0]
}

// from is a header of the remote of a dialed machine, which has seen all up to ack.
func from(t Type, seq, ack uint16) Header {
	return Header{Type: t, ConnID: 77, Seq: seq, Ack: ack, Window: 1 << 20}
}

// connected is a machine that dialed and was answered; 10 ms are a round trip.
func connected(t *testing.T, cfg *Config) *desk {
	d, _ := dialed(t, cfg)
	d.passes(10 * ms)
	d.say(from(State, theirSeq, ourSeq))
	d.hears(State)
	return d
}

// accepted is a machine that was asked, before the remote has shown that it hears.
func accepted(t *testing.T) (*desk, Packet) {
	d := &desk{t: t, now: Time(time.Hour)}
	syn, _ := Parse(packetOf(Header{Type: Syn, ConnID: 77, Seq: theirSeq - 1, Window: 1 << 20}, extNone))
	d.m = Accept(&Config{}, &syn, ourSeq, d.now)
	d.m.Allow(Unlimited)
	return d, d.hears(State)[0]
}
