package utp

import (
	"errors"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

const clockNever = clock.Never

// Unlimited is a grant for [Machine.Allow] that never ends.
const Unlimited = int64(1) << 62

const (
	maxSyns     = 3 // transmissions of a SYN before the attempt ends
	maxTimeouts = 6 // timeouts in a row before the connection ends; any packet of the remote counts anew

	acceptTimeout = 10 * time.Second // for the remote to acknowledge our sequence number
	closeTimeout  = 10 * time.Second // for the remote's FIN after ours
	stallTimeout  = 30 * time.Second // without progress while closing
	linger        = time.Second      // least time to answer repetitions of the remote's FIN
	keepAlive     = 29 * time.Second // of silence before we say something: NATs forget after 30
)

// Why a connection ended.
var (
	ErrRefused = errors.New("utp: remote refused the connection")
	ErrReset   = errors.New("utp: remote reset the connection")
	ErrTimeout = errors.New("utp: remote does not answer")
	ErrAborted = errors.New("utp: connection given up here")
)

// Phase is where in its life a connection is.
type Phase uint8

// The phases in the order of a life.
const (
	SynSent   Phase = iota // we asked
	SynRecv                // we were asked; the remote has not acknowledged our sequence number
	Connected              // data goes both ways
	Closing                // Close was called; data, then our FIN, are under way
	Lingering              // both FINs are acknowledged; the remote may not know
	Closed                 // nothing goes out any more but a RESET that is due
)

var phaseNames = [...]string{"SYN_SENT", "SYN_RECV", "CONNECTED", "CLOSING", "LINGERING", "CLOSED"}

// String names the phase.
func (p Phase) String() string { return phaseNames[p] }

// Machine is one connection. It owns all of its state; the bytes that were written
// belong to the caller, who must leave them alone until Acked has passed them. Use
// Dial or Accept to make one.
type Machine struct {
	cfg   *Config
	phase Phase
	err   error // why it is Closed; nil after FINs both ways

	recvID, sendID uint16
	syn            uint16 // sequence number of the SYN

	send   sendQueue
	recv   recvQueue
	cc     ledbat
	mtu    mtuSearch
	rtt    rtt
	clocks clocks
	loss   lossState
	out    outState
	guard  verify
	stats  Stats
}

// Stats are counters since the beginning.
type Stats struct {
	Sent, Received         int64 // datagrams
	SentBytes, RecvBytes   int64 // of UDP payload
	Resent                 int64 // segments sent again
	Spurious               int64 // of these, found needless
	Cuts, Timeouts         int64 // of the congestion window
	Duplicates, Reordered  int64 // of incoming DATA
	Refused                int64 // incoming DATA beyond a cap, and packets that are not of this connection
	ProbesSent, ProbesLost int64
	Slowdowns              int64
}

// outState is what the next Output has to say, and when.
type outState struct {
	ackDue     bool // one acknowledgement for all that came since the last
	resetDue   bool
	synDue     bool
	closing    bool   // Close was called: FIN follows the data
	finSent    bool   // a segment holds it
	persist    bool   // one byte may go into a closed window
	resetSeq   uint16 // what a RESET acknowledges
	right      int64  // offset of the stream up to which the remote may send
	peerWindow int64  // of the remote, bytes
	lastSmall  uint16 // newest segment that was not full (Nagle), while small
	small      bool
	lastSentAt Time
	giveUpAt   Time // phases other than Connected: when it ends
	synAt      Time // when the last SYN was sent
	rtoAt      Time
	timeouts   int
	syns       int
	heard      bool // a packet came since the last timeout
}

// verify counts what went to and came from an address that has not shown yet that it
// receives our packets.
type verify struct{ in, out int64 }

// allows reports whether n more bytes may go out: at most 1.5 times what came in, so
// that nobody's forged SYN is amplified.
func (v *verify) allows(n int) bool { return 2*(v.out+int64(n)) <= 3*v.in }

func newMachine(cfg *Config, seq uint16, now Time) *Machine {
	m := &Machine{cfg: cfg, mtu: newMTUSearch(cfg)}
	m.cc = newLedbat(cfg, m.mtu.payload())
	m.cc.idleAt, m.cc.limitedAt, m.cc.heldAt = clockNever, -1, -1
	m.send.base, m.send.nextSeq = seq, seq
	m.recv.pool = cfg.Pool
	if m.recv.pool == nil {
		m.recv.pool = new(Pool)
	}
	m.out.rtoAt, m.out.giveUpAt, m.out.lastSentAt = clockNever, clockNever, now
	m.loss.reorderAt, m.loss.tailAt = clockNever, clockNever
	return m
}

// Dial begins a connection. id is the connection id of what we receive, and must be
// free at this socket for this address; seq is the first sequence number. Both are
// random: a stranger who cannot see our packets must not guess them.
func Dial(cfg *Config, id, seq uint16, now Time) *Machine {
	m := newMachine(cfg, seq+1, now)
	m.phase, m.syn = SynSent, seq
	m.recvID, m.sendID = id, id+1
	m.out.synDue = true
	return m
}

// Accept answers a SYN. seq is random: only who knows it has received our answer. The
// SYN is not to be given to Receive.
func Accept(cfg *Config, syn *Packet, seq uint16, now Time) *Machine {
	m := newMachine(cfg, seq, now)
	m.phase, m.syn = SynRecv, syn.Seq
	m.recvID, m.sendID = syn.ConnID+1, syn.ConnID
	m.recv.ack = syn.Seq
	m.out.peerWindow = int64(syn.Window)
	m.out.giveUpAt = now.Add(acceptTimeout)
	m.guard.in = int64(syn.Size)
	m.clocks.sample(syn, 0, now)
	m.out.ackDue = true
	return m
}

// RecvID is the connection id of packets for this machine; SendID is that of packets
// from it. A RESET may bear either.
func (m *Machine) RecvID() uint16 { return m.recvID }

// SendID is described at RecvID.
func (m *Machine) SendID() uint16 { return m.sendID }

// Phase says where in its life the connection is.
func (m *Machine) Phase() Phase { return m.phase }

// Err says why the connection is Closed; nil if both sides ended it in good order, or
// if it is not.
func (m *Machine) Err() error { return m.err }

// EOF reports whether the remote has ended its stream and all of it was delivered.
func (m *Machine) EOF() bool { return m.recv.eof }

// Stats returns the counters.
func (m *Machine) Stats() Stats {
	s := m.stats
	s.Slowdowns = m.cc.slowdowns
	return s
}

// RTT is the smoothed round trip time, 0 if not known yet.
func (m *Machine) RTT() Duration { return m.rtt.smooth }

// QueueDelay is the queueing delay of our packets as LEDBAT sees it.
func (m *Machine) QueueDelay() Duration { return m.clocks.ours.queueing() }

// Window is the congestion window in bytes.
func (m *Machine) Window() int64 { return m.cc.bytes() }

// PacketSize is the largest datagram known to pass, in bytes.
func (m *Machine) PacketSize() int { return m.mtu.floor }

// Write queues the buffers' bytes to be sent, in order. Nothing is copied: the buffers
// must not change until Acked has passed them. After Close or the end it does nothing
// and returns false.
func (m *Machine) Write(bufs ...[]byte) bool {
	if m.out.closing || m.phase >= Closing {
		return false
	}
	for _, b := range bufs {
		m.send.write(b)
	}
	return true
}

// Acked is how many of the bytes written the remote has acknowledged without a gap.
// The buffers before are the caller's again; after the end all of them are.
func (m *Machine) Acked() int64 {
	if m.phase == Closed {
		return m.send.end
	}
	return m.send.ackedTo()
}

// Sent is how many of the bytes written have left, in at least one packet.
func (m *Machine) Sent() int64 { return m.send.next }

// Pending is how many bytes were written and not yet acknowledged.
func (m *Machine) Pending() int64 { return m.send.end - m.Acked() }

// Allow grants n more bytes to be received; the grants are the window that the remote
// sees. A new machine has none. A last packet may exceed the grant by less than its
// size. Unlimited stands for ever; zero or less takes a standing one back.
func (m *Machine) Allow(n int64) {
	switch {
	case m.phase >= Closing:
		return // what comes now is thrown away, and needs no grant
	case n <= 0:
		m.recv.granted = min(m.recv.granted, m.recv.delivered)
	case n >= Unlimited || m.recv.granted >= Unlimited-n:
		m.recv.granted = Unlimited
	default:
		m.recv.granted += n
	}
	m.noteWindow()
}

// Grant replaces all grants: n more bytes may be received from now on, but never less
// than the remote has been told already. So Grant(0) closes the window as the remote
// uses it up, and nothing that is under way is refused. Unlimited stands for ever.
func (m *Machine) Grant(n int64) {
	switch {
	case m.phase >= Closing:
		return
	case n >= Unlimited:
		m.recv.granted = Unlimited
	default:
		m.recv.granted = max(m.recv.delivered+max(n, 0), m.out.right)
	}
	m.noteWindow()
}

// Close ends the connection in good order: what was written is delivered, then our
// FIN. What the remote still sends is acknowledged and thrown away.
func (m *Machine) Close(now Time) {
	switch m.phase {
	case SynSent:
		m.end(nil)
	case SynRecv:
		m.out.closing = true
	case Connected:
		m.shut(now)
	}
}

func (m *Machine) shut(now Time) {
	m.out.closing = true
	m.phase = Closing
	m.recv.granted = Unlimited
	m.out.giveUpAt = now.Add(stallTimeout)
}

// Abort ends the connection at once; the next Output tells the remote. An address that
// was not verified, and one that never answered, is told nothing.
func (m *Machine) Abort() {
	if m.phase == Closed {
		return
	}
	m.out.resetDue = m.phase >= Connected
	m.out.resetSeq = m.recv.ack
	m.end(ErrAborted)
}

// TooBig says that the system refused a datagram of n bytes that Output has made
// (EMSGSIZE). The datagram counts as lost.
func (m *Machine) TooBig(n int) { m.mtu.tooBig(n) }

// end enters Closed and gives all memory back.
func (m *Machine) end(err error) {
	m.phase, m.err = Closed, err
	m.recv.clear()
	end := m.send.end
	m.send = sendQueue{base: m.send.nextSeq, nextSeq: m.send.nextSeq, next: end, end: end}
	m.out.rtoAt, m.out.giveUpAt = clockNever, clockNever
	m.loss.reorderAt, m.loss.tailAt = clockNever, clockNever
	m.out.ackDue, m.out.synDue = false, false
}
