package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// utpTrain makes a train of uTP's datagrams: what follows the header tells them apart.
func utpTrain(size, segment int) []byte {
	b := make([]byte, size)
	for i := 0; i < size; i += segment {
		b[i] = 0x01
		for j := i + utpHeader; j < min(i+segment, size); j++ {
			b[j] = byte(j ^ j>>8)
		}
		if i+24 <= size {
			binary.BigEndian.PutUint32(b[i+20:], uint32(i))
		}
	}
	return b
}

func cut(b []byte, segment int) (out [][]byte) {
	return slices.Collect((&Packet{Data: b, Segment: segment}).Datagrams())
}

// takesTrains makes a socket hear the trains of a kind.
func (s *socket) takesTrains(k PacketKind) {
	s.RouteTrains(k, actor.FuncRef(func(p *Packet) { s.heard[k] <- p }))
}

// gathers collects so many datagrams of a kind, in the order of their arrival.
func (s *socket) gathers(t testing.TB, k PacketKind, n int) (all [][]byte, packets int) {
	t.Helper()
	for len(all) < n {
		select {
		case p := <-s.heard[k]:
			for b := range p.Datagrams() {
				all = append(all, bytes.Clone(b))
			}
			packets++
			p.Release()
		case <-time.After(patience):
			t.Fatalf("%d datagrams of kind %d came, want %d", len(all), k, n)
		}
	}
	return all, packets
}

func wantDatagrams(t testing.TB, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d datagrams came, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("datagram %d: %d bytes %.30x, want %d bytes %.30x", i, len(got[i]), got[i], len(want[i]), want[i])
		}
	}
}

func TestPacketsOfATrain(t *testing.T) {
	for _, c := range []struct {
		data    string
		segment int
		want    []string
	}{
		{"", 0, []string{""}},
		{"one", 0, []string{"one"}},
		{"one", 3, []string{"one"}},
		{"onetwo", 3, []string{"one", "two"}},
		{"onetwo3", 3, []string{"one", "two", "3"}},
		{"few", 10, []string{"few"}},
	} {
		p := NewTrain(netip.AddrPort{}, []byte(c.data), c.segment)
		var got []string
		for b := range p.Datagrams() {
			got = append(got, string(b))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q by %d: %q, want %q", c.data, c.segment, got, c.want)
		}
		for range p.Datagrams() {
			break
		}
		p.Release()
	}
	for _, n := range []int{1, smallPacket, smallPacket + 1, MaxDatagram, shortTrain, shortTrain + 1, longTrain, longTrain + 1} {
		p := NewTrain(netip.AddrPort{}, make([]byte, n), 1400)
		if len(p.Data) != min(n, longTrain) {
			t.Errorf("a train of %d bytes became %d", n, len(p.Data))
		}
		p.Release()
	}
}

// TestTrainsArrive sends trains of many shapes. They may come as trains or one by one.
func TestTrainsArrive(t *testing.T) {
	n := NewNet(NetConfig{})
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		a, b := openSocket(t, n, at), openSocket(t, n, at)
		b.takesTrains(PacketUTP)
		for _, c := range []struct{ size, segment int }{
			{20, 20}, {20, 0}, {1400, 1400}, {2800, 1400}, {2801, 1400 /* the last has no header */},
			{64 * 100, 100}, {65*100 + 50, 100}, {300 * 25, 25}, {45 * 1400, 1400}, {47*1400 + 700, 1400},
			{3 * 65_000, 1400}, {128 * 1472, 1472}, {11*1400 + 25, 1400}, {12*1400 + 25, 1400},
		} {
			t.Run(fmt.Sprintf("%s/%dx%d", at[:3], c.size, c.segment), func(t *testing.T) {
				train := utpTrain(c.size, max(c.segment, 20))
				want := cut(train, c.segment)
				heard, other := len(want), 0
				if len(want[heard-1]) < utpHeader {
					heard, other = heard-1, 1
				}
				if sent, err := a.SendTrain(b.Addr(), train, c.segment); sent != len(train) || err != nil {
					t.Fatalf("sent %d of %d: %v", sent, len(train), err)
				}
				got, packets := b.gathers(t, PacketUTP, heard)
				wantDatagrams(t, got, want[:heard])
				rest, _ := b.gathers(t, PacketOther, other)
				wantDatagrams(t, rest, want[heard:])
				t.Logf("%d datagrams in %d packets", heard, packets)
			})
		}
		if s, r := a.Stats(), b.Stats(); s.Out != r.In || s.BytesOut != r.BytesIn || r.Unrouted != 0 {
			t.Errorf("sent %+v\nreceived %+v", s, r)
		}
	}
}

func TestTrainOfNothing(t *testing.T) {
	n := NewNet(NetConfig{})
	a := openSocket(t, n, "127.0.0.1:0")
	if sent, err := a.SendTrain(a.Addr(), nil, 1400); sent != 0 || err != nil {
		t.Errorf("%d, %v", sent, err)
	}
	if _, err := a.SendTrain(netip.MustParseAddrPort("[::1]:1"), utpSyn, 20); !errors.Is(err, ErrFamily) {
		t.Errorf("to the other family: %v", err)
	}
	a.Close()
	if sent, err := a.SendTrain(a.Addr(), utpTrain(4000, 1000), 1000); sent != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %d, %v", sent, err)
	}
	if s := a.Stats(); s.Out != 0 || s.BytesOut != 0 {
		t.Errorf("counted %+v", s)
	}
}

// TestTrainsAreSplitForOthers: who asked for datagrams gets no trains, and a train of
// several kinds goes to each its own.
func TestTrainsAreSplitForOthers(t *testing.T) {
	n := NewNet(NetConfig{})
	a, b := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0")
	one := utpTrain(10*500, 500)
	say := func(b2 []byte) {
		t.Helper()
		if _, err := a.SendTrain(b.Addr(), b2, 500); err != nil {
			t.Fatal(err)
		}
	}
	say(one)
	got, packets := b.gathers(t, PacketUTP, 10)
	wantDatagrams(t, got, cut(one, 500))
	if packets != 10 {
		t.Errorf("10 datagrams came in %d packets", packets)
	}
	b.takesTrains(PacketUTP)
	mixed := utpTrain(10*500, 500)
	copy(mixed[3*500:], "d1:q")
	mixed[7*500] = 0xff
	say(mixed)
	all := cut(mixed, 500)
	utp, _ := b.gathers(t, PacketUTP, 8)
	wantDatagrams(t, utp, slices.Concat(all[:3], all[4:7], all[8:]))
	dht, _ := b.gathers(t, PacketDHT, 1)
	wantDatagrams(t, dht, all[3:4])
	other, _ := b.gathers(t, PacketOther, 1)
	wantDatagrams(t, other, all[7:8])

	b.Route(PacketUTP, actor.Ref[*Packet]{})
	say(one)
	a.says(t, b, []byte("de"))
	b.hears(t, PacketDHT, []byte("de"), a)
	if s := b.Stats(); s.Unrouted != 10 || s.In != 21 {
		t.Errorf("counted %+v", s)
	}
}

// TestHostileTrains: their datagrams are too large, but perhaps the last.
func TestHostileTrains(t *testing.T) {
	n := NewNet(NetConfig{})
	a, b := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0")
	b.takesTrains(PacketUTP)
	train := utpTrain(5*2000+1000, 2000)
	if sent, err := a.SendTrain(b.Addr(), train, 2000); sent != len(train) || err != nil {
		t.Fatalf("sent %d: %v", sent, err)
	}
	got, _ := b.gathers(t, PacketUTP, 1)
	wantDatagrams(t, got, [][]byte{train[10_000:]})
	if s := b.Stats(); s.Oversize != 5 || s.In != 1 {
		t.Errorf("counted %+v", s)
	}
}

// TestTooBig: of a train too nothing is sent.
func TestTooBig(t *testing.T) {
	n := NewNet(NetConfig{})
	a := openSocket(t, n, "127.0.0.1:0")
	big := make([]byte, 65_508)
	if err := a.Send(a.Addr(), big); !errors.Is(err, ErrTooBig) {
		t.Errorf("send: %v", err)
	}
	if sent, err := a.SendTrain(a.Addr(), slices.Concat(big, big), len(big)); sent != 0 || !errors.Is(err, ErrTooBig) {
		t.Errorf("train: %d bytes, %v", sent, err)
	}
	train := utpTrain(3000, 1000)
	if sent, err := a.SendTrain(a.Addr(), train, 1000); sent != 3000 || err != nil {
		t.Errorf("afterwards: %d bytes, %v", sent, err)
	}
	got, _ := a.gathers(t, PacketUTP, 3)
	wantDatagrams(t, got, cut(train, 1000))
}

// TestManySendersOfTrains: each datagram is whole, and each train in order.
func TestManySendersOfTrains(t *testing.T) {
	n := NewNet(NetConfig{})
	a, b := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0")
	const senders, trains, each, size = 4, 25, 20, 700
	var heard atomic.Int64
	next := [senders]uint32{}
	done := make(chan struct{})
	b.RouteTrains(PacketUTP, actor.FuncRef(func(p *Packet) {
		defer p.Release()
		for d := range p.Datagrams() {
			who, number := d[20], binary.BigEndian.Uint32(d[21:])
			if len(d) != size || number != next[who] || !bytes.Equal(d[25:], bytes.Repeat([]byte{who}, size-25)) {
				t.Errorf("sender %d: datagram %d, want %d", who, number, next[who])
			}
			next[who] = number + 1
			if heard.Add(1) == senders*trains*each {
				close(done)
			}
		}
	}))
	var wg sync.WaitGroup
	for who := range senders {
		wg.Go(func() {
			for i := range trains {
				train := bytes.Repeat([]byte{byte(who)}, each*size)
				for j := range each {
					d := train[j*size:]
					copy(d, utpSyn)
					d[20] = byte(who)
					binary.BigEndian.PutUint32(d[21:], uint32(i*each+j))
				}
				if sent, err := a.SendTrain(b.Addr(), train, size); sent != len(train) || err != nil {
					t.Errorf("sent %d: %v", sent, err)
				}
			}
		})
	}
	wg.Wait()
	select {
	case <-done:
	case <-time.After(patience):
		t.Errorf("%d datagrams came", heard.Load())
	}
}

// TestDatagramsAllocateNothing, on either side.
func TestDatagramsAllocateNothing(t *testing.T) {
	if raceEnabled {
		return // pools forget under the race detector
	}
	n := NewNet(NetConfig{})
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		a, b := openSocket(t, n, at), openSocket(t, n, at)
		b.takesTrains(PacketUTP)
		small, large, train := utpTrain(100, 100), utpTrain(1400, 1400), utpTrain(40*1400, 1400)
		for _, c := range []struct {
			name    string
			b       []byte
			segment int
		}{{"small", small, 0}, {"large", large, 0}, {"short train", train[:5*1400], 1400}, {"train", train, 1400}} {
			if got := testing.AllocsPerRun(200, func() { a.passes(t, b, c.b, c.segment) }); got != 0 {
				t.Errorf("%s %s: %v allocations", at, c.name, got)
			}
		}
	}
}

// passes sends a train and waits until all of it has come.
func (s *socket) passes(t testing.TB, to *socket, b []byte, segment int) {
	if sent, err := s.SendTrain(to.Addr(), b, segment); sent != len(b) || err != nil {
		t.Fatalf("sent %d: %v", sent, err)
	}
	for n := 0; n < len(b); {
		p := <-to.heard[PacketUTP]
		for d := range p.Datagrams() {
			n += len(d)
		}
		p.Release()
	}
}
