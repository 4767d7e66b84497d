package engine

import (
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// maxMetaTries attempts at the metadata are under way at once: so many that a crowd of
	// liars, each with a size of its own, does not make the honest wait for long. Together
	// they hold at most maxMetaHeld bytes; beyond that the slowest makes room.
	maxMetaTries = 64
	maxMetaHeld  = 3 * maxMetadata

	// Requests out with one peer: they begin with metaAsksFirst, grow by one with
	// each answer, and never are more than maxMetaAsks, those that are late left out.
	metaAsksFirst = 4
	maxMetaAsks   = 16

	// metaTimeout makes a request late: its piece is asked of others, and the peer
	// rests. Its answer is still welcome. A piece that does not come is asked of others
	// that have nothing else to do: after metaDouble of two in all, then of four, and so
	// on, or many who are silent would keep one who is not from being asked.
	metaTimeout = 10 * time.Second
	metaDouble  = 2 * time.Second

	// A peer that refuses, or does not answer, rests from metaRestFirst to metaRestMost,
	// doubled each time; one that has done so maxMetaFails times in a row is left alone
	// for metaRestLong.
	metaRestFirst = 2 * time.Second
	metaRestMost  = time.Minute
	metaRestLong  = 5 * time.Minute
	maxMetaFails  = 8

	// metaProbe is how often a peer that names no size is asked for the first piece:
	// the answer names one.
	metaProbe = 30 * time.Second

	// maxMetaEvidence attempts of several hands that failed are remembered by size.
	maxMetaEvidence = 4

	// maxMetaChanges of the size, or pieces of a wrong length, are taken from a peer.
	maxMetaChanges = 3

	// metaStall without a new piece, or a rate that takes metaSlow a piece and metaGrace
	// in all, makes an attempt give way to others that wait; twice as long each time.
	metaStall = 20 * time.Second
	metaGrace = 15 * time.Second
	metaSlow  = 200 * time.Millisecond
)

// metaFetch fetches the info dictionary of a torrent from peers, none of which is
// trusted (BEP 9). Who says how long it is, and what it is, may lie, refuse, or drip.
//
// Peers are grouped by the size that they announce, and one attempt is made for each
// group, a few at a time: its pieces are asked of all of the group. If the whole does
// not have the hash and is from one hand, that is a liar. If it is from several, each
// peer of the group is tried alone from then on, which finds the liar or the metadata;
// what is right then convicts those who sent something else before.
//
// Pure; owner: the torrent.
type metaFetch struct {
	hash   metainfo.Hash
	peers  []*metaPeer // in the order of their coming
	tries  []*metaTry  // under way
	over   map[metaKey]uint8
	mixed  map[int64][]metaEvidence // by size: attempts of several hands that failed
	liars  []peerID                 // to be banned; the caller takes them
	guilty []peerID                 // those that were among them
	raw    []byte                   // the metadata, verified
}

// metaKey names an attempt: of all who announce a size, or of one of them.
type metaKey struct {
	size int64
	only peerID // 0: all
}

// metaEvidence says who sent what in an attempt that failed.
type metaEvidence struct {
	by   []peerID
	sums []uint64
}

// metaPeer is what is known of one provider.
type metaPeer struct {
	id      peerID
	size    int64 // that it announces; 0: none yet, negative: one that nobody can want
	asked   []metaAsked
	depth   int
	fails   uint8      // refusals and timeouts in a row
	changes uint8      // of size, and pieces of a wrong length
	rest    clock.Time // it is not asked before
}

// metaAsked is a request that has no answer yet.
type metaAsked struct {
	piece int32
	at    clock.Time
	late  bool
}

// metaTry is one attempt.
type metaTry struct {
	metaKey
	pieces []metaPiece
	got    int32
	held   int64 // bytes of pieces
	since  clock.Time
	moved  clock.Time // the last new piece
}

type metaPiece struct {
	data  []byte // nil: missing
	by    peerID
	out   int16      // requests that are not late
	first clock.Time // when it was first asked of anybody; 0: never
	asked clock.Time // the last time
}

// metaAsk is what is to be asked of a peer now.
type metaAsk struct {
	id     peerID
	pieces []int32
}

func newMetaFetch(hash metainfo.Hash) *metaFetch {
	return &metaFetch{hash: hash, over: map[metaKey]uint8{}, mixed: map[int64][]metaEvidence{}}
}

func (f *metaFetch) peer(id peerID) *metaPeer {
	for _, p := range f.peers {
		if p.id == id {
			return p
		}
	}
	return nil
}

// offer: a peer takes metadata requests, and says that the metadata has size bytes, 0 if
// it does not say. It may say so again.
func (f *metaFetch) offer(id peerID, size int64) {
	p := f.peer(id)
	if p == nil {
		p = &metaPeer{id: id, depth: metaAsksFirst}
		f.peers = append(f.peers, p)
	}
	if size != 0 {
		f.setSize(p, size)
	}
}

// setSize takes the size that a peer announces. Nothing is allocated by it.
func (f *metaFetch) setSize(p *metaPeer, size int64) {
	if size > maxMetadata || size < 0 {
		size = -1
	}
	if p.size == size {
		return
	}
	f.forsake(p)
	if p.size != 0 {
		f.strike(p)
	}
	p.size = size
}

// forsake waits no longer for what a peer was asked: it may still come.
func (f *metaFetch) forsake(p *metaPeer) {
	for i := range p.asked {
		f.makeLate(p, &p.asked[i])
	}
}

// makeLate ends a request's hold on its piece.
func (f *metaFetch) makeLate(p *metaPeer, a *metaAsked) {
	if t := f.tryOf(p); t != nil && !a.late && int(a.piece) < len(t.pieces) {
		t.pieces[a.piece].out = max(t.pieces[a.piece].out-1, 0)
	}
	a.late = true
}

func (f *metaFetch) strike(p *metaPeer) {
	if p.changes++; p.changes > maxMetaChanges {
		f.convict(p.id)
	}
}

// convict leaves a peer out for good.
func (f *metaFetch) convict(id peerID) {
	if !slices.Contains(f.guilty, id) {
		f.guilty = appendCapped(f.guilty, id, maxBans)
		f.liars = append(f.liars, id)
	}
	f.gone(id)
}

// gone forgets a peer: it takes part no longer. What it has sent stays.
func (f *metaFetch) gone(id peerID) {
	p := f.peer(id)
	if p == nil {
		return
	}
	f.forsake(p)
	f.peers = slices.DeleteFunc(f.peers, func(q *metaPeer) bool { return q == p })
	f.tries = slices.DeleteFunc(f.tries, func(t *metaTry) bool { return t.only == id })
}

// answered ends a request, and returns the peer; nil: it was not asked for the piece.
func (f *metaFetch) answered(id peerID, piece int32) *metaPeer {
	p := f.peer(id)
	if p == nil {
		return nil
	}
	i := p.find(piece)
	if i < 0 {
		return nil
	}
	f.makeLate(p, &p.asked[i])
	p.asked = slices.Delete(p.asked, i, i+1)
	return p
}

// tryOf is the attempt in which a peer takes part.
func (f *metaFetch) tryOf(p *metaPeer) *metaTry {
	for _, t := range f.tries {
		if t.size == p.size && (t.only == 0 || t.only == p.id) {
			return t
		}
	}
	return nil
}

func (p *metaPeer) find(piece int32) int {
	return slices.IndexFunc(p.asked, func(a metaAsked) bool { return a.piece == piece })
}

// waits says whether a piece is asked of a peer and not late.
func (p *metaPeer) waits(piece int32) bool {
	i := p.find(piece)
	return i >= 0 && !p.asked[i].late
}

// out counts the requests that are not late.
func (p *metaPeer) out() (n int) {
	for _, a := range p.asked {
		if !a.late {
			n++
		}
	}
	return n
}

// ask notes a request; one that was late is made again.
func (p *metaPeer) ask(now clock.Time, piece int32) {
	if i := p.find(piece); i >= 0 {
		p.asked[i] = metaAsked{piece: piece, at: now}
		return
	}
	p.asked = append(p.asked, metaAsked{piece: piece, at: now})
}

// refused: a peer does not have a piece, or does not give it. BEP 9: "It SHOULD be
// interpreted as the peer does not have the piece of metadata that was requested."
func (f *metaFetch) refused(now clock.Time, id peerID, piece int32) {
	if p := f.answered(id, piece); p != nil {
		p.failed(now)
	}
}

// failed lets a peer rest.
func (p *metaPeer) failed(now clock.Time) {
	p.depth = max(p.depth/2, 1)
	if p.fails++; p.fails >= maxMetaFails {
		p.fails = 0
		p.rest = now.Add(metaRestLong)
		return
	}
	p.rest = max(p.rest, now.Add(min(metaRestFirst<<(p.fails-1), metaRestMost)))
}

// data: a peer has sent a piece, which is the machine's from now on. total is the size
// that came with it, 0 if none did.
func (f *metaFetch) data(now clock.Time, id peerID, piece int32, total int64, b []byte) {
	p := f.answered(id, piece)
	if p == nil {
		return
	}
	if total != 0 && total != p.size {
		first := p.size == 0
		if f.setSize(p, total); !first {
			return
		}
		f.begin(now) // a probe's answer has found the size, and is its first piece
	}
	if len(b) != wire.MetadataPieceSize(p.size, piece) {
		f.strike(p)
		return
	}
	p.fails, p.rest = 0, 0
	p.depth = min(p.depth+1, maxMetaAsks)
	if t := f.tryOf(p); t != nil {
		f.place(now, t, piece, id, b)
	}
}

func (f *metaFetch) place(now clock.Time, t *metaTry, piece int32, id peerID, b []byte) {
	x := &t.pieces[piece]
	if x.data != nil {
		return // it was asked of two
	}
	x.data, x.by = b, id
	t.moved = now
	t.held += int64(len(b))
	if t.got++; t.got == int32(len(t.pieces)) {
		f.judge(t)
		return
	}
	f.bound(now)
}

// bound lets the slowest attempts make room when all together hold too much.
func (f *metaFetch) bound(now clock.Time) {
	for {
		held, slowest := int64(0), (*metaTry)(nil)
		for _, t := range f.tries {
			held += t.held
			if t.held > 0 && (slowest == nil || t.slower(slowest, now)) {
				slowest = t
			}
		}
		if held <= maxMetaHeld {
			return
		}
		f.giveUp(slowest)
	}
}

// slower compares what comes of attempts in a time.
func (t *metaTry) slower(o *metaTry, now clock.Time) bool {
	age := func(t *metaTry) int64 { return int64(now.Sub(t.since)/time.Millisecond) + 1 }
	return t.held*age(o) < o.held*age(t)
}

// giveUp lets an attempt make way for others, for now.
func (f *metaFetch) giveUp(t *metaTry) {
	f.over[t.metaKey] = min(f.over[t.metaKey]+1, 10)
	f.drop(t)
}

// judge hashes what has come together.
func (f *metaFetch) judge(t *metaTry) {
	raw := make([]byte, 0, t.size)
	for i := range t.pieces {
		raw = append(raw, t.pieces[i].data...)
	}
	e := f.evidence(t)
	if f.hash.Matches(raw) {
		f.raw = raw
		f.convictAll(t.size, e.sums)
		return
	}
	f.drop(t)
	hands := slices.Compact(slices.Sorted(slices.Values(e.by)))
	if len(hands) == 1 {
		f.convict(hands[0])
		return
	}
	f.mixed[t.size] = appendCapped(f.mixed[t.size], e, maxMetaEvidence)
}

func (f *metaFetch) evidence(t *metaTry) (e metaEvidence) {
	for i := range t.pieces {
		e.by = append(e.by, t.pieces[i].by)
		e.sums = append(e.sums, xxhash.Sum64(t.pieces[i].data))
	}
	return e
}

// convictAll finds those who have sent something else than what is right.
func (f *metaFetch) convictAll(size int64, right []uint64) {
	for _, e := range f.mixed[size] {
		for i, sum := range e.sums {
			if sum != right[i] {
				f.convict(e.by[i])
			}
		}
	}
}

// drop ends an attempt. What is still out is waited for no longer.
func (f *metaFetch) drop(t *metaTry) {
	for _, p := range f.peers {
		if f.tryOf(p) == t {
			f.forsake(p)
		}
	}
	f.tries = slices.DeleteFunc(f.tries, func(x *metaTry) bool { return x == t })
}

// progress is how many pieces of the most advanced attempt are there.
func (f *metaFetch) progress() (done, total int32) {
	var best *metaTry
	for _, t := range f.tries {
		if best == nil || t.got > best.got {
			best = t
		}
	}
	if best == nil {
		return 0, 0
	}
	return best.got, int32(len(best.pieces))
}

// takeLiars returns who is to be banned, each once.
func (f *metaFetch) takeLiars() []peerID {
	out := f.liars
	f.liars = nil
	return out
}
