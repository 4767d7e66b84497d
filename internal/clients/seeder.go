package clients

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Seeder is a peer of our own making that has everything and speaks nothing but
// BEP 3: a seed of a known rate, and a liar on request.
type Seeder struct {
	Addr     netip.AddrPort
	Torrent  *Torrent
	Dir      string // holds the payload
	Rate     int64  // bytes per second over all connections; 0 is unlimited
	LieEvery int64  // one block in so many is wrong; 0 never

	sent  atomic.Int64 // payload bytes
	lies  atomic.Int64 // wrong blocks
	conns atomic.Int64 // connections that passed the handshake
	open  atomic.Int64 // of these, open now
	count atomic.Int64 // blocks

	pace struct {
		sync.Mutex
		next time.Time // when the next block may leave
	}
	data     []byte
	infohash []byte
}

// Sent returns how many bytes of payload have left.
func (s *Seeder) Sent() int64 { return s.sent.Load() }

// Lies returns how many wrong blocks have left.
func (s *Seeder) Lies() int64 { return s.lies.Load() }

// Conns returns how many connections there were, and are.
func (s *Seeder) Conns() (ever, now int64) { return s.conns.Load(), s.open.Load() }

// Start listens and serves until ctx ends.
func (s *Seeder) Start(ctx context.Context) error {
	r, err := s.Torrent.Payload.Open(s.Dir)
	if err != nil {
		return err
	}
	defer r.Close()
	if s.data, err = io.ReadAll(r); err != nil {
		return err
	}
	s.infohash = s.Torrent.infoHash()
	l, err := net.Listen("tcp", s.Addr.String())
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { c.Close() })
			go func() {
				defer c.Close()
				_ = s.serve(c) // the other end sees what went wrong
			}()
		}
	}()
	return nil
}

// The messages of BEP 3 that a seed cares about.
const (
	msgUnchoke    = 1
	msgInterested = 2
	msgBitfield   = 5
	msgRequest    = 6
	msgPiece      = 7
)

const protocol = "\x13BitTorrent protocol"

// serve speaks with one leecher. It answers requests in order.
func (s *Seeder) serve(c net.Conn) error {
	in := bufio.NewReader(c)
	var hello [68]byte
	if _, err := io.ReadFull(in, hello[:]); err != nil {
		return err
	}
	if string(hello[:20]) != protocol || !bytes.Equal(hello[28:48], s.infohash) {
		return errors.New("not for us")
	}
	s.conns.Add(1)
	s.open.Add(1)
	defer s.open.Add(-1)
	var out bytes.Buffer
	out.WriteString(protocol)
	out.Write(make([]byte, 8))
	out.Write(s.infohash)
	fmt.Fprintf(&out, "-XX0001-%012d", s.Addr.Addr().As4()[3])
	out.Write(message(msgBitfield, s.bitfield()))
	if _, err := c.Write(out.Bytes()); err != nil {
		return err
	}
	for {
		id, body, err := readMessage(in)
		if err != nil {
			return err
		}
		switch id {
		case msgInterested:
			_, err = c.Write(message(msgUnchoke, nil))
		case msgRequest:
			err = s.answer(c, body)
		}
		if err != nil {
			return err
		}
	}
}

func (s *Seeder) bitfield() []byte {
	b := make([]byte, (s.Torrent.Pieces+7)/8)
	for i := range s.Torrent.Pieces {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return b
}

func message(id byte, body []byte) []byte {
	m := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)))
	return append(append(m, id), body...)
}

// readMessage reads one message; a keep-alive has id 255.
func readMessage(r io.Reader) (id byte, body []byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 {
		return 255, nil, nil
	}
	if n > 1<<20 {
		return 0, nil, fmt.Errorf("message of %d bytes", n)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b[0], b[1:], err
}

// answer sends the block of a request, or a wrong one when it is time for that.
func (s *Seeder) answer(c net.Conn, req []byte) error {
	if len(req) != 12 {
		return errors.New("malformed request")
	}
	piece, begin, n := int64(binary.BigEndian.Uint32(req)), int64(binary.BigEndian.Uint32(req[4:])), int64(binary.BigEndian.Uint32(req[8:]))
	off := piece*s.Torrent.PieceLen + begin
	if n > 128<<10 || begin+n > s.Torrent.PieceLen || off+n > int64(len(s.data)) {
		return fmt.Errorf("request %d %d %d is outside of the torrent", piece, begin, n)
	}
	m := message(msgPiece, append(append([]byte(nil), req[:8]...), s.data[off:off+n]...))
	if k := s.count.Add(1); s.LieEvery > 0 && k%s.LieEvery == 0 {
		m[len(m)-1] ^= 0xff
		s.lies.Add(1)
	}
	s.wait(n)
	_, err := c.Write(m)
	s.sent.Add(n)
	return err
}

// maxBurst is how much lost time wait makes up for.
const maxBurst = 50 * time.Millisecond

// wait paces n bytes.
func (s *Seeder) wait(n int64) {
	if s.Rate == 0 {
		return
	}
	s.pace.Lock()
	now := time.Now()
	if earliest := now.Add(-maxBurst); s.pace.next.Before(earliest) {
		s.pace.next = earliest
	}
	d := s.pace.next.Sub(now)
	s.pace.next = s.pace.next.Add(time.Duration(n * int64(time.Second) / s.Rate))
	s.pace.Unlock()
	time.Sleep(d)
}

// GoodBytes says how many bytes below dir belong to pieces that match their hash.
// Files that are not there count as zeros.
func (t *Torrent) GoodBytes(dir string) (int64, error) {
	return t.Payload.goodBytes(dir, t.PieceLen, t.Hashes)
}
