package dht

import (
	"errors"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/bencode"
)

// A torrent that changes (BEP 46) is a mutable item whose value names the present
// info-hash. Publishers put it ([TorrentValue], PutItem), a Follower polls it:
//
//	whoever follows             Follower                    nodes (v4, v6)
//	                            poll ---------------------> GetItem
//	Followed{Changed} <-------- the newest of all <-------- ItemFound
//	                            too few copies? ----------> PutItem, at most hourly
//	                            (FollowConfig.Interval later: again)

// ErrNotTorrent is the fault of a publisher whose item names no torrent.
var ErrNotTorrent = errors.New("dht: the item does not name a torrent (BEP 46)")

// TorrentValue is the value of an item that names a torrent, to be signed by [SignItem].
func TorrentValue(hash [20]byte) []byte {
	return append(append([]byte("d2:ih20:"), hash[:]...), 'e')
}

// TorrentHash reads the info-hash that an item names: "a dictionary with key ih (info
// hash) and value the 20 byte infohash".
func TorrentHash(it *Item) (hash [20]byte, err error) {
	v, err := bencode.Parse(it.Value, bencode.Options{Limits: krpcLimits.Limits})
	if err != nil {
		return hash, fmt.Errorf("%w: %w", ErrNotTorrent, err)
	}
	b := exactly(v.Get("ih"), len(hash))
	if b == nil {
		return hash, ErrNotTorrent
	}
	return [20]byte(b), nil
}

// FollowMessage is what a Follower takes.
type FollowMessage interface{ followMsg() }

// FollowNodes replaces the nodes that are asked: one was made anew. Who knows nothing of
// the item yet asks them at once. From: whoever owns the nodes.
type FollowNodes struct{ Nodes []actor.Ref[Message] }

// Followed tells the outcome of one poll.
type Followed struct {
	Hash    [20]byte // of the newest item known, zero if there is none
	Seq     int64
	Changed bool  // Hash is another one than last time
	Err     error // why nothing was found: ErrNotFound, ErrNoNodes, ErrNotTorrent...
}

// FollowConfig configures a Follower.
type FollowConfig struct {
	Nodes []actor.Ref[Message]
	Key   [32]byte
	Salt  []byte // at most MaxSalt bytes
	// Interval between polls; default 5 minutes. While no node has an item they follow
	// each other by a few seconds.
	Interval time.Duration
	// Reply gets at least one Followed for each poll.
	Reply actor.Ref[Followed]
}

const (
	// followEvery is the default of FollowConfig.Interval.
	followEvery = 5 * time.Minute
	// repoll is when a poll is repeated that has found nothing, and nothing is known.
	repoll = 5 * time.Second
	// republish is how often an item is put again at most. BEP 46: "Both publisher and
	// consumer should periodically put the mutable items they have active", and BEP 44:
	// "In order to keep items alive, they SHOULD be re-announced once an hour."
	republish = time.Hour
	// pollLimit ends a poll whose nodes say nothing: one has crashed.
	pollLimit = time.Minute
)

// FollowSpec returns the actor.Spec for a Follower.
func FollowSpec() actor.Spec { return actor.Spec{Name: "follower", Limit: 64} }

// Follower is the actor that watches one mutable item. It owns what is known of the
// item and the polls in flight.
type Follower struct {
	cfg     FollowConfig
	replies actor.Ref[Answer]
	best    *Item
	hash    [20]byte
	putFrom actor.Time // when it may be put again

	round   uint64 // of the poll, the ID of its requests
	open    int    // answers to come
	copies  int
	closest int
	lastErr error
	heard   bool // somebody has an item, be it an old one
	timer   actor.Timer
}

// Own messages.
type (
	followAnswer struct{ Answer }
	followDue    struct{}
	followLimit  struct{ round uint64 }
)

func (FollowNodes) followMsg()  {}
func (followAnswer) followMsg() {}
func (followDue) followMsg()    {}
func (followLimit) followMsg()  {}

// NewFollower makes a follower, which polls when it is started.
func NewFollower(cfg FollowConfig) *Follower {
	if cfg.Interval <= 0 {
		cfg.Interval = followEvery
	}
	return &Follower{cfg: cfg}
}

// Start implements actor.Starter.
func (f *Follower) Start(c *actor.Ctx[FollowMessage]) {
	f.replies = actor.Adapt(c.Self(), func(a Answer) FollowMessage { return followAnswer{a} })
	f.poll(c)
}

// Handle implements actor.Actor.
func (f *Follower) Handle(c *actor.Ctx[FollowMessage], m FollowMessage) {
	switch m := m.(type) {
	case FollowNodes:
		f.cfg.Nodes = m.Nodes
		if f.best == nil {
			f.poll(c)
		}
	case followDue:
		f.poll(c)
	case followLimit:
		f.onLimit(c, m)
	case followAnswer:
		f.onAnswer(c, m.Answer)
	default:
		panic(fmt.Sprintf("dht: unknown message %T", m))
	}
}

// poll asks every node, unless that is under way.
func (f *Follower) poll(c *actor.Ctx[FollowMessage]) {
	if f.open > 0 {
		return
	}
	c.Cancel(f.timer)
	f.round++
	f.copies, f.closest, f.lastErr, f.heard = 0, 0, ErrNoNodes, false
	for _, n := range f.cfg.Nodes {
		f.open++
		n.Tell(GetItem{ID: f.round, Mutable: true, Key: f.cfg.Key, Salt: f.cfg.Salt, Reply: f.replies})
	}
	if f.open == 0 {
		f.settle(c, false)
		return
	}
	f.timer = c.After(pollLimit, followLimit{f.round})
}

func (f *Follower) onLimit(c *actor.Ctx[FollowMessage], m followLimit) {
	if m.round == f.round && f.open > 0 {
		f.open, f.lastErr = 0, ErrTimeout
		f.round++ // late answers are those of another round
		f.settle(c, false)
	}
}

func (f *Follower) onAnswer(c *actor.Ctx[FollowMessage], a Answer) {
	m, ok := a.(ItemFound)
	if !ok || m.ID != f.round || f.open == 0 {
		return // of a PutItem, or too late
	}
	f.open--
	changed := false
	switch {
	case m.Err == nil:
		changed = f.take(m)
	case !f.heard:
		f.lastErr = m.Err
	}
	if f.open == 0 || changed {
		f.settle(c, changed)
	}
}

// take keeps an item if it is the newest, and reports whether it names another torrent.
func (f *Follower) take(m ItemFound) (changed bool) {
	f.heard, f.lastErr = true, nil
	if f.best != nil && m.Item.Seq < f.best.Seq {
		return false // it will be put again
	}
	hash, err := TorrentHash(&m.Item)
	if err != nil {
		f.lastErr = err
		return false
	}
	changed = f.best == nil || hash != f.hash
	it := m.Item
	f.best, f.hash = &it, hash
	f.copies, f.closest = max(f.copies, m.Copies), max(f.closest, m.Closest)
	return changed
}

// settle tells the outcome. A change is told at once, also if other nodes are still to
// answer.
func (f *Follower) settle(c *actor.Ctx[FollowMessage], changed bool) {
	out := Followed{Hash: f.hash, Changed: changed, Err: f.lastErr}
	if f.best != nil {
		out.Seq = f.best.Seq
	}
	if f.open == 0 {
		c.Cancel(f.timer)
		wait := f.cfg.Interval
		if f.best == nil && !f.heard {
			wait = min(repoll, wait)
		}
		wait += time.Duration(c.Rand().Int64N(int64(wait)/8 + 1)) // many may follow
		f.timer = c.After(wait, followDue{})
		f.keepAlive(c)
	}
	f.cfg.Reply.Tell(out)
}

// keepAlive puts the item again. BEP 44, "Expiration": subscribers need not if "they
// find more than 8 copies of the data" and "the 8 nodes closest to the target key ...
// all have indicated they have the data".
func (f *Follower) keepAlive(c *actor.Ctx[FollowMessage]) {
	if f.best == nil || f.copies > K && f.closest >= K {
		return
	}
	if c.Now() < f.putFrom {
		return
	}
	f.putFrom = c.Now().Add(republish)
	for _, n := range f.cfg.Nodes {
		n.Tell(PutItem{ID: f.round, Item: *f.best, Reply: f.replies})
	}
}
