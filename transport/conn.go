//pump: conn_read.go loops around Read, conn_write.go around Write of one connection.

package transport

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport/mse"
)

// conn is a Link over a net.Conn. At rest it is one parked goroutine, the reader,
// and no buffer. The writer runs while there is something to write.
//
// What stands under mu is shared by the peer's turns and the two pumps; reader and
// writer own the rest of their state.
type conn struct {
	nc   net.Conn
	info Info
	slab *block.Slab
	done chan struct{} // closed with the link: ends every wait of the pumps

	mu       sync.Mutex
	granted  sync.Cond // the reader waits here while it may not read
	in       actor.Inlet[Event]
	bound    bool
	pumps    int   // that run; the last to end says Closed
	why      error // set once: the link is closed
	standing bool  // an Unlimited grant
	grant    int64 // bytes that may be read; below 0: read while a grant was taken back
	queue    []*Batch
	writing  bool

	r reader

	// The writer's:
	pairs   int         // of (header, block) per write
	enc     *mse.Stream // encrypts what is written; nil: it goes out in the clear
	greeted bool        // the handshake of the first batch has been sent already
}

// NewConn makes a link of a connection: the way to write a transport. It owns c
// from now on. The remote's first 68 bytes are a handshake, which comes with the
// first batch, unless info.Incoming is set: then Greet has read it.
//
// Connections other than TCP wait in Read with a small buffer: after a standing
// grant has been taken back, up to 512 bytes more may arrive. Their Close may wait,
// their deadlines must work.
func NewConn(c net.Conn, info Info, env Env) Link { return newConn(c, info, env, crypto{}) }

func newConn(c net.Conn, info Info, env Env, x crypto) *conn {
	l := &conn{nc: c, info: info, slab: env.Slab, done: make(chan struct{}), pairs: maxPairs / 2}
	l.granted.L = &l.mu
	l.enc, l.greeted = x.out, x.greeted
	l.r.init(l, x)
	return l
}

// Info implements Link.
func (c *conn) Info() Info { return c.info }

// Bind implements Link.
func (c *conn) Bind(in actor.Inlet[Event]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bound {
		panic("transport: link bound twice")
	}
	c.in, c.bound = in, true
	c.pumps++
	go c.read()
	c.startWriterLocked()
}

// Send implements Link.
func (c *conn) Send(b *Batch) {
	c.mu.Lock()
	if c.why != nil {
		c.mu.Unlock()
		b.Release()
		return
	}
	c.r.Ask(b) // only ever under mu
	c.queue = append(c.queue, b)
	c.startWriterLocked()
	c.mu.Unlock()
}

// startWriterLocked starts the writer if there is work and none runs.
func (c *conn) startWriterLocked() {
	if c.bound && !c.writing && len(c.queue) > 0 {
		c.writing = true
		c.pumps++
		go c.write()
	}
}

// Allow implements Link.
func (c *conn) Allow(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case n >= Unlimited:
		c.standing = true
	case n <= 0 && c.standing:
		c.standing, c.grant = false, min(c.grant, 0)
	case n > 0 && !c.standing:
		c.grant = min(c.grant, math.MaxInt64-n) + n
	}
	c.granted.Signal()
}

// allowance is how much may be read now.
func (c *conn) allowance() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.allowanceLocked()
}

func (c *conn) allowanceLocked() int64 {
	switch {
	case c.why != nil:
		return 0
	case c.standing:
		return Unlimited
	}
	return c.grant
}

// awaitGrant waits until something may be read; it returns 0 when the link is closed.
func (c *conn) awaitGrant() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.why == nil && c.allowanceLocked() <= 0 {
		c.granted.Wait()
	}
	return c.allowanceLocked()
}

// spend takes n bytes from the grant and reports whether what is left of it is
// standing.
func (c *conn) spend(n int) (standing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.standing {
		c.grant -= int64(n)
	}
	return c.standing
}

// Close implements Link.
func (c *conn) Close(reason error) {
	if reason == nil {
		reason = errors.New("no reason given")
	}
	c.shut(&LinkError{c.info.Remote, LocalFault, reason})
}

// shut closes the link once; the first reason counts. Nothing here waits.
func (c *conn) shut(why error) {
	c.mu.Lock()
	if c.why != nil {
		c.mu.Unlock()
		return
	}
	c.why = why
	queue := c.queue
	c.queue = nil
	close(c.done)
	c.granted.Signal()
	c.mu.Unlock()
	for _, b := range queue {
		b.Release()
	}
	if _, ok := c.nc.(*net.TCPConn); ok {
		c.nc.Close()
	} else {
		go c.nc.Close() // TLS says good-bye, others may wait as well
	}
}

// closed reports whether the link is closed.
func (c *conn) closed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// pumpEnds tells the peer that the link is closed, if this was the last pump.
func (c *conn) pumpEnds() {
	c.mu.Lock()
	c.pumps--
	last := c.pumps == 0 && c.why != nil
	why := c.why
	c.mu.Unlock()
	if last {
		_ = c.in.Put(context.Background(), Closed{why}) // nobody there to be told is fine
	}
}

// broken gives an error of the socket its fault.
func (c *conn) broken(err error) error {
	if errors.Is(err, io.EOF) { // the remote closed in good order
		return io.EOF
	}
	return &LinkError{c.info.Remote, NetworkFault, err}
}

// hostile gives an error of the protocol its fault.
func (c *conn) hostile(err error) error { return &LinkError{c.info.Remote, RemoteFault, err} }

// doneContext ends the pumps' waits at the actor's door when the link is closed.
type doneContext <-chan struct{}

func (doneContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (d doneContext) Done() <-chan struct{}     { return d }
func (doneContext) Value(any) any               { return nil }

func (d doneContext) Err() error {
	select {
	case <-d:
		return context.Canceled
	default:
		return nil
	}
}

func (e Env) handshakeTimeout() time.Duration {
	if e.HandshakeTimeout <= 0 {
		return 10 * time.Second
	}
	return e.HandshakeTimeout
}

func (e Env) maxHalfOpen() int {
	if e.MaxHalfOpen <= 0 {
		return 128
	}
	return e.MaxHalfOpen
}
