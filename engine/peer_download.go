package engine

import (
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// maxAllowedFast pieces of the remote's allowed-fast set are remembered.
	maxAllowedFast = 64

	// maxUnasked pieces that were never asked for end the connection. BEP 6:
	// "Additionally, if a peer receives a piece that was never requested, the peer
	// MUST close the connection." Deliberately not at the first: clients exist that
	// send what they have just rejected, and our memory of requests is bounded.
	maxUnasked = 64

	// rejectPause is how long nothing is asked of a remote that has rejected
	// maxRejects requests in a row although it does not choke us.
	rejectPause = 2 * time.Second
	maxRejects  = 8

	// lateTime is how long a block may still come after its lease has ended.
	lateTime = 3 * time.Minute
)

// peerDownload is what we have asked of the remote. Owner: the peer.
type peerDownload struct {
	out   outstanding // asked for and not answered
	late  outstanding // asked for, lease ended, may still come
	depth requestDepth
	rate  rateMeter
	rtt   actor.Duration
	probe askedBlock // the request whose answer measures rtt; at 0: none

	runs     []run // to be asked for as soon as the remote's queue has room
	unsent   int32 // blocks in runs
	assigned uint32
	fast     []metainfo.PieceIndex // BEP 6: may be asked for while choked

	moved   actor.Time // last block, or when we began to wait for one
	choked  actor.Time // when the remote choked us
	pause   actor.Time // nothing is asked before
	total   int64      // payload bytes
	unasked int32      // pieces that were never asked for
	rejects int32      // in a row, unchoked
	snubbed bool
}

// shrink lets memory go that an idle connection does not need.
func (d *peerDownload) shrink() {
	d.out.shrink()
	d.late.shrink()
	if len(d.runs) == 0 {
		d.runs = nil
	}
}

// drainCount is what one drain of the socket has brought.
type drainCount struct {
	blocks int32
	bytes  int64
	busy   bool // at least half of the depth was out before
}

// onAssignment takes work, and takes work back.
func (p *peer) onAssignment(a *assignment) {
	if len(a.runs) > 0 {
		p.down.assigned++
		p.out.reported.need, p.out.reported.needFast = 0, 0 // as the torrent sees it
	}
	for _, r := range a.runs {
		if p.mayAsk(r.piece) {
			p.down.runs = append(p.down.runs, r)
			p.down.unsent += r.n
		} else {
			p.giveBackRun(r)
		}
	}
	for _, b := range a.cancels {
		p.cancel(b)
	}
	assignments.Put(a)
}

// mayAsk says whether requests for a piece may be sent as things stand.
func (p *peer) mayAsk(i metainfo.PieceIndex) bool {
	return !p.cfg.stance.noRequests && (!p.remote.choking || slices.Contains(p.down.fast, i))
}

// sendRequests asks for what is assigned, as far as the remote's queue has room.
func (p *peer) sendRequests(now actor.Time) {
	d := &p.down
	if p.cfg.stance.noRequests || now < d.pause {
		p.giveBackRuns(func(run) bool { return true })
	}
	if d.unsent == 0 {
		return
	}
	if d.out.n == 0 {
		d.moved = now
	}
	room := p.mostRequests() - d.out.n
	i := 0
	for ; i < len(d.runs) && room > 0; i++ {
		r := &d.runs[i]
		n := min(r.n, room)
		p.sendRun(now, run{r.piece, r.first, n})
		room -= n
		if r.n -= n; r.n > 0 {
			r.first += metainfo.BlockIndex(n)
			break
		}
	}
	d.runs = slices.Delete(d.runs, 0, i)
}

func (p *peer) sendRun(now actor.Time, r run) {
	d := &p.down
	if d.out.n == 0 && r.n > 0 {
		d.probe = askedBlock{r.piece, r.first, now}
	}
	for b := r.first; b < r.first+metainfo.BlockIndex(r.n); b++ {
		d.out.push(askedBlock{r.piece, b, now})
		p.send(p.requestMessage(wire.Request, blockRef{r.piece, b}))
	}
	d.unsent -= r.n
}

// requestMessage names a block in a Request, Cancel or Reject.
func (p *peer) requestMessage(id wire.ID, b blockRef) wire.Message {
	return wire.Message{
		ID:     id,
		Index:  uint32(b.piece),
		Begin:  uint32(b.block) * metainfo.BlockSize,
		Length: uint32(p.cfg.lengths.BlockLen(b.piece, b.block)),
	}
}

// mostRequests is what the remote's queue holds.
func (p *peer) mostRequests() int32 {
	if p.remote.reqq > 0 {
		return p.remote.reqq
	}
	return requestsDefault
}

// need says how many more requests there is room for: none until a quarter of the
// depth is free, so that the torrent is asked for batches.
func (p *peer) need(now actor.Time) (need, needFast int32) {
	d := &p.down
	if p.phase != peerLive || p.cfg.stance.noRequests || now < d.pause {
		return 0, 0
	}
	if p.remote.choking {
		if len(d.fast) == 0 {
			return 0, 0
		}
		return 0, max(min(requestsMin, p.mostRequests())-d.out.n-d.unsent, 0)
	}
	target := int32(1)
	if !d.snubbed {
		target = d.depth.want(d.rate.rate(now), d.rtt, p.mostRequests())
	}
	room := target - d.out.n - d.unsent
	if room < max(target/4, 1) {
		return 0, 0
	}
	return room, 0
}

// onPiece takes a block. Its payload is the torrent's if we have asked for it at
// any time, even if the lease has ended: the torrent knows what it is good for.
func (p *peer) onPiece(now actor.Time, b *transport.Batch, i int, in *drainCount) error {
	d, m := &p.down, &b.Frames[i].Message
	n := int64(m.Length)
	if in.blocks == 0 {
		in.busy = 2*(d.out.n+d.unsent) >= d.depth.target
	}
	in.blocks++
	in.bytes += n
	data := b.Take(i)
	ref, asked, live := p.answered(now, m)
	if asked && data != nil && data.Len() == int(m.Length) {
		r := p.report()
		r.blocks = append(r.blocks, storage.Entry{Piece: ref.piece, Block: ref.block, Data: data})
		return nil
	}
	if data != nil {
		data.Release()
	}
	p.report().wasted += n
	if live { // the link could not keep it
		p.giveBack(ref)
	}
	if !asked {
		return p.strike(m)
	}
	return nil
}

// answered finds the request that a piece answers. live says that its lease lasted
// until now.
func (p *peer) answered(now actor.Time, m *wire.Message) (ref blockRef, asked, live bool) {
	d := &p.down
	piece, block, ok := p.cfg.lengths.Block(m.Index, m.Begin, m.Length)
	if !ok {
		return ref, false, false
	}
	ref = blockRef{piece, block}
	if _, live = d.out.take(ref); live {
		if d.probe.at != 0 && d.probe.is(ref) {
			d.sampleRTT(now.Sub(d.probe.at))
			d.probe.at = 0
		}
		return ref, true, true
	}
	_, late := d.late.take(ref)
	return ref, late, false
}

// strike counts a message that answers nothing we have asked.
func (p *peer) strike(m *wire.Message) error {
	if p.down.unasked++; p.down.unasked > maxUnasked {
		return p.broke("%v, and %d others that were never asked for", m, maxUnasked)
	}
	return nil
}

// drained follows the blocks of one drain.
func (p *peer) drained(now actor.Time, in drainCount) {
	if in.blocks == 0 {
		return
	}
	d := &p.down
	d.total += in.bytes
	d.rate.add(now, in.bytes)
	d.moved = now
	d.rejects = 0
	if d.snubbed {
		d.snubbed = false
		d.depth.start(now)
	}
	d.depth.drained(now, in.blocks, in.bytes, d.rtt, in.busy)
}

// sampleRTT takes a measured round trip. Only requests that found the remote idle
// measure it: others wait in its queue.
func (d *peerDownload) sampleRTT(t actor.Duration) {
	if d.rtt == 0 {
		d.rtt = t
		return
	}
	d.rtt += (t - d.rtt) / 8
}

// onChoke ends what we have asked for. BEP 6: "Choke no longer implicitly rejects all
// pending requests"; without Fast it does.
func (p *peer) onChoke(now actor.Time) {
	d := &p.down
	if p.remote.choking {
		return
	}
	p.remote.choking = true
	d.choked = now
	p.giveBackRuns(func(r run) bool { return !p.mayAsk(r.piece) })
	if !p.remote.fast {
		p.giveBackOut(func(*askedBlock) bool { return true })
	}
}

func (p *peer) onUnchoke(now actor.Time) {
	if !p.remote.choking {
		return
	}
	p.remote.choking = false
	p.down.depth.start(now)
	p.down.depth.limit = 0
	p.down.moved = now
}

// onReject ends one lease. A remote that rejects although it does not choke us has
// enough: it is asked for less.
func (p *peer) onReject(now actor.Time, m *wire.Message) error {
	d := &p.down
	piece, block, ok := p.cfg.lengths.Block(m.Index, m.Begin, m.Length)
	ref := blockRef{piece, block}
	if !ok {
		return p.strike(m)
	}
	if _, live := d.out.take(ref); live {
		p.giveBack(ref)
		if !p.remote.choking {
			p.refused(now)
		}
		return nil
	}
	// The answer to a Cancel, or it comes late. Others: BEP 6, "If a peer receives
	// a reject for a request that was never sent then the peer SHOULD close the
	// connection."
	if _, late := d.late.take(ref); !late {
		return p.strike(m)
	}
	return nil
}

func (p *peer) refused(now actor.Time) {
	d := &p.down
	d.depth.rejected(d.out.n)
	if d.rejects++; d.rejects >= maxRejects {
		d.rejects = 0
		d.pause = now.Add(rejectPause)
	}
}

// onAllowedFast remembers a piece that we may ask for while choked.
func (p *peer) onAllowedFast(m *wire.Message) {
	i := metainfo.PieceIndex(m.Index)
	d := &p.down
	if len(d.fast) == maxAllowedFast || slices.Contains(d.fast, i) {
		return
	}
	d.fast = append(d.fast, i)
	r := p.report()
	r.fast = append(r.fast, i)
}

// cancel takes back a request whose block came from elsewhere: the torrent has
// ended the lease. The block may still come.
func (p *peer) cancel(ref blockRef) {
	if r, ok := p.down.out.take(ref); ok {
		p.send(p.requestMessage(wire.Cancel, ref))
		p.keepLate(r)
		return
	}
	p.splitRuns(ref)
}
