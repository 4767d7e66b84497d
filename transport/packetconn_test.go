package transport

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// opensConn opens a virtual socket for a kind.
func opensConn(t *testing.T, o Opener, addr netip.AddrPort, k PacketKind) *PacketConn {
	t.Helper()
	c := NewPacketConn(opens(t, o, addr), k)
	t.Cleanup(func() { c.Close() })
	return c
}

var loopback4 = netip.MustParseAddrPort("127.0.0.1:0")

// TestPacketConnsOfOneSocket: uTP's and the tracker's are two, at one address.
func TestPacketConnsOfOneSocket(t *testing.T) {
	s := Share(NewNet(NetConfig{}))
	utp := opensConn(t, s, loopback4, PacketUTP)
	at := utp.LocalAddr().(*net.UDPAddr).AddrPort()
	other := opensConn(t, s, at, PacketOther)
	friend := openSocket(t, NewNet(NetConfig{}), "127.0.0.1:0")
	big := bytes.Repeat([]byte{0, 0, 0, 1}, MaxOther/4)
	train := utpTrain(3*1000-500, 1000)
	for _, b := range [][]byte{{}, []byte("an answer"), big} {
		if err := friend.Send(at, b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := friend.SendTrain(at, train, 1000); err != nil {
		t.Fatal(err)
	}
	reads := func(c *PacketConn, want []byte) {
		t.Helper()
		b := make([]byte, 2*MaxOther)
		n, from, err := c.ReadFrom(b)
		if err != nil || !bytes.Equal(b[:n], want) || from.String() != friend.Addr().String() {
			t.Errorf("read %d bytes %.20q from %v, %v; want %d bytes", n, b[:n], from, err, len(want))
		}
	}
	reads(other, nil)
	reads(other, []byte("an answer"))
	reads(other, big)
	for _, d := range cut(train, 1000) {
		reads(utp, d)
	}
	if n, err := other.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(friend.Addr())); n != 1 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	select {
	case p := <-friend.heard[PacketOther]:
		if p.From != at {
			t.Errorf("it came from %v, want %v", p.From, at)
		}
		p.Release()
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	other.Close()
	friend.says(t, friend, utpSyn)
	if err := friend.Send(at, utpSyn); err != nil {
		t.Error(err)
	}
	reads(utp, utpSyn)
}

// TestPacketConnCutsWhatHasNoRoom, as sockets do, and goes on with the next.
func TestPacketConnCutsWhatHasNoRoom(t *testing.T) {
	n := NewNet(NetConfig{})
	c := opensConn(t, n, loopback4, PacketUTP)
	s := openSocket(t, n, "127.0.0.1:0")
	train := utpTrain(4*500, 500)
	if _, err := s.SendTrain(c.LocalAddr().(*net.UDPAddr).AddrPort(), train, 500); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 30)
	for i := range 4 {
		if k, _, err := c.ReadFrom(b); k != 30 || err != nil || !bytes.Equal(b, train[500*i:500*i+30]) {
			t.Errorf("datagram %d: %d bytes %x, %v", i, k, b, err)
		}
	}
}

func TestPacketConnRefuses(t *testing.T) {
	c := opensConn(t, NewNet(NetConfig{}), loopback4, PacketOther)
	for _, to := range []net.Addr{&net.UDPAddr{IP: net.IPv6loopback, Port: 1}, &net.UnixAddr{Name: "x"}} {
		if _, err := c.WriteTo([]byte("x"), to); !errors.Is(err, ErrFamily) {
			t.Errorf("to %v: %v", to, err)
		}
	}
	if _, err := c.WriteTo(make([]byte, 65_508), c.LocalAddr()); !errors.Is(err, ErrTooBig) {
		t.Errorf("too big: %v", err)
	}
	c.Close()
	c.Close()
	if _, err := c.WriteTo([]byte("x"), c.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after Close: %v", err)
	}
	if _, _, err := c.ReadFrom(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
}

// deaf is a socket that hears nothing.
type deaf struct{ *mooring }

func (deaf) Route(PacketKind, actor.Ref[*Packet])       {}
func (deaf) RouteTrains(PacketKind, actor.Ref[*Packet]) {}

// TestPacketConnsWait until something comes, or the deadline, or the end. Readers that
// wait already hear of deadlines that are set.
func TestPacketConnsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := deaf{&mooring{h: newHarbour(), addr: loopback4}}
		c := NewPacketConn(m, PacketOther)
		answers := make(chan error)
		read := func() {
			_, _, err := c.ReadFrom(make([]byte, 10))
			answers <- err
		}
		want := func(after time.Duration, want error) {
			t.Helper()
			began := time.Now()
			if err := <-answers; !errors.Is(err, want) || time.Since(began) != after {
				t.Errorf("after %v: %v, want %v after %v", time.Since(began), err, want, after)
			}
		}
		go read()
		synctest.Wait()
		c.SetReadDeadline(time.Now().Add(time.Minute))
		c.SetDeadline(time.Now().Add(time.Second))
		want(time.Second, os.ErrDeadlineExceeded)
		go read()
		want(0, os.ErrDeadlineExceeded)
		c.SetReadDeadline(time.Now().Add(-time.Second))
		c.arrive(NewPacket(loopback4, []byte("x")))
		go read()
		want(0, os.ErrDeadlineExceeded)
		c.SetWriteDeadline(time.Now())
		c.SetReadDeadline(time.Time{})
		go read()
		want(0, nil)
		go read()
		synctest.Wait()
		time.Sleep(time.Hour)
		c.SetReadDeadline(time.Now().Add(time.Second))
		c.SetReadDeadline(time.Now().Add(time.Hour))
		go func() {
			time.Sleep(time.Minute)
			c.Close()
		}()
		want(time.Minute, net.ErrClosed)
		synctest.Wait()
		if !m.closed {
			t.Error("the socket lives on")
		}
	})
}

// TestPacketConnsLoseWhatNobodyReads, beyond what waits.
func TestPacketConnsLoseWhatNobodyReads(t *testing.T) {
	c := NewPacketConn(deaf{&mooring{h: newHarbour(), addr: loopback4}}, PacketOther)
	for i := range packetConnQueue + 10 {
		c.arrive(NewPacket(loopback4, []byte{byte(i)}))
	}
	b := make([]byte, 10)
	for i := range packetConnQueue {
		if n, _, err := c.ReadFrom(b); n != 1 || err != nil || b[0] != byte(i) {
			t.Fatalf("read %d bytes, %d, %v; want %d", n, b[0], err, byte(i))
		}
	}
	c.SetReadDeadline(time.Now())
	if _, _, err := c.ReadFrom(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("more was kept: %v", err)
	}
}
