//pump: asks trackers and shakes hands with one peer, for people who look at the protocol.

package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// TrackerAnswer is what one tracker said to a probe.
type TrackerAnswer struct {
	URL             string
	Err             error
	Peers           []netip.AddrPort
	Seeds, Leechers int32 // -1: not said
	Interval        time.Duration
	Warning         string
}

// AskTrackers announces to each URL once, as a peer that has nothing, withdraws that
// at once, and returns the answers in the order of the URLs. port is what is
// announced.
func AskTrackers(ctx context.Context, hash metainfo.Hash, urls []string, left int64, port uint16, timeout time.Duration) []TrackerAnswer {
	c := tracker.NewLiveClient(tracker.ClientConfig{UserAgent: "shoal/" + Version, Network: loneTrackerNet()})
	defer c.Close()
	id := probeID()
	answers := make(chan tracker.Response, len(urls))
	for i, u := range urls {
		c.Do(tracker.Request{URL: u, InfoHash: hash, PeerID: id, Event: tracker.Started, Port: port, Cookie: uint64(i),
			Origin: tracker.FromUser, Facts: tracker.Facts{Left: left, Wanted: 200}, Timeout: timeout,
			Reply: actor.FuncRef(func(r tracker.Response) { answers <- r })})
	}
	out := make([]TrackerAnswer, len(urls))
	for i := range out {
		out[i] = TrackerAnswer{URL: urls[i], Err: context.Canceled, Seeds: -1, Leechers: -1}
	}
	gone := make(chan tracker.Response, len(urls))
	told := 0
	for range urls {
		select {
		case r := <-answers:
			out[r.Cookie] = TrackerAnswer{urls[r.Cookie], r.Err, r.Peers, r.Seeds, r.Leechers, r.Interval, r.Warning}
			if r.Err == nil {
				told++
				c.Do(tracker.Request{URL: urls[r.Cookie], InfoHash: hash, PeerID: id, Event: tracker.Stopped, Port: port,
					Origin: tracker.FromUser, Facts: tracker.Facts{Left: left}, TrackerID: r.TrackerID, Timeout: 2 * time.Second,
					Reply: actor.FuncRef(func(r tracker.Response) { gone <- r })})
			}
		case <-ctx.Done():
			return out
		}
	}
	for range told {
		select {
		case <-gone:
		case <-ctx.Done():
			return out
		}
	}
	return out
}

// probeID is a peer id for one probe.
func probeID() (id [20]byte) {
	copy(id[:], peerIDPrefix)
	_, _ = rand.Read(id[len(peerIDPrefix):])
	return id
}

// Shaken is what a peer says of itself at the beginning.
type Shaken struct {
	Handshake wire.Handshake
	Extended  *wire.ExtHandshake // nil: it sent none in time
	Pieces    int32              // it has; -1: it did not say, or has all of a number not known
	All       bool               // it said that it has all
	RTT       time.Duration      // of the TCP connection
}

// probeWait is how long a probe waits for what comes after the handshake.
const probeWait = 3 * time.Second

// Handshake connects to a peer, shakes hands for a torrent, and waits a moment for
// what it says next. pieces is the torrent's number of pieces, 0 if unknown.
func Handshake(ctx context.Context, hash metainfo.Hash, pieces int32, addr string) (*Shaken, error) {
	n := transport.NewNet(transport.NetConfig{})
	start := time.Now()
	c, err := n.DialContext(ctx, "tcp", addr, transport.FromUser)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	s := &Shaken{RTT: time.Since(start), Pieces: -1}
	ours := wire.Handshake{Reserved: wire.FlagFast | wire.FlagExtension, InfoHash: hash.Wire()[0], PeerID: probeID()}
	out := wire.AppendHandshake(nil, ours)
	if _, err := c.Write(out); err != nil {
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	if err := s.readHandshake(c, hash); err != nil {
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	if s.Handshake.Reserved.Has(wire.FlagExtension) {
		_, _ = c.Write(wire.Append(nil, wire.ExtHandshakeMessage(wire.ExtHandshake{V: "shoal/" + Version, Reqq: requestsIn})))
	}
	s.readMore(c, pieces)
	return s, nil
}

func (s *Shaken) readHandshake(c net.Conn, hash metainfo.Hash) error {
	_ = c.SetReadDeadline(time.Now().Add(handshakeTime))
	var buf [wire.HandshakeLen]byte
	if _, err := io.ReadFull(c, buf[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the peer closed the connection without a handshake: it may not have this torrent")
		}
		return err
	}
	h, err := wire.ParseHandshake(buf[:])
	if err != nil {
		return err
	}
	s.Handshake = h
	for _, w := range hash.Wire() {
		if h.InfoHash == w {
			return nil
		}
	}
	return errors.New("the peer answered for another torrent")
}

// readMore takes what comes in probeWait, up to extended handshake and bitfield.
func (s *Shaken) readMore(c net.Conn, pieces int32) {
	_ = c.SetReadDeadline(time.Now().Add(probeWait))
	var split wire.Splitter
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			var ev wire.Event
			var bad error
			ev, rest, bad = split.Next(rest)
			if bad != nil {
				return
			}
			if ev.Kind == wire.Msg {
				s.take(ev.Msg, pieces)
			}
		}
		if err != nil || s.complete() {
			return
		}
	}
}

func (s *Shaken) complete() bool {
	return (s.Pieces >= 0 || s.All) && (s.Extended != nil || !s.Handshake.Reserved.Has(wire.FlagExtension))
}

func (s *Shaken) take(m wire.Message, pieces int32) {
	switch m.ID {
	case wire.Bitfield:
		if has, err := bits.ParseWire(m.Payload, pieces); err == nil {
			s.Pieces, s.All = has.Count(), has.Count() == pieces
		}
	case wire.HaveAll:
		s.All = true
		if pieces > 0 {
			s.Pieces = pieces
		}
	case wire.HaveNone:
		s.Pieces = 0
	case wire.Extended:
		if m.ExtendedID() != 0 {
			return
		}
		if h, err := wire.ParseExtHandshake(m.Payload); err == nil {
			s.Extended = &h
		}
	}
}
