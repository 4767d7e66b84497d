package engine

import (
	"slices"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/freelist"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// maxReadErrors in a row end the connection: we can't serve this remote.
	maxReadErrors = 8
	// fastTimes is how often each block of our allowed-fast set is served while
	// the remote is choked.
	fastTimes = 2
	// maxJobs reads may be under way or wait to be sent, so that a limited upload
	// holds few slots.
	maxJobs = 2 * uploadReads
)

var uploadReadList = freelist.New(func() *storage.Read { return new(storage.Read) }, func(r *storage.Read) {
	*r = storage.Read{Blocks: freelist.Empty(r.Blocks, uploadRun/block.Size)}
})

// peerUpload is what the remote has asked of us. Owner: the peer.
type peerUpload struct {
	queue uploadQueue
	jobs  []uploadJob // reads under way or read, in the order of the requests
	first uint64      // Cookie of jobs[0]
	reads actor.Window
	reply actor.Ref[*storage.Read]
	rate  rateMeter

	held     int64 // bytes being read, or read and not yet taken by the kernel
	total    int64 // payload bytes that the kernel has taken
	errors   int32 // reads that failed, in a row
	fastLeft int32 // blocks of the allowed-fast set that we still serve a choked remote
	fast     []int32
	granted  bool // fast has been computed
}

// uploadJob is one read: for a run of requests of one slot each, or for one request,
// which may be longer than a slot.
type uploadJob struct {
	read   *storage.Read // when ready
	ready  bool
	asks   int32
	next   int // blocks before it have been sent
	length int64
}

// waiting is how many bytes wait to be sent, or to be read for that.
func (u *peerUpload) waiting() int64 {
	n := int64(u.queue.n) * block.Size
	for i := range u.jobs {
		n += u.jobs[i].length - int64(u.jobs[i].next)*block.Size
	}
	return n
}

// headLength is how many bytes must pass at once for the next piece to be sent.
func (u *peerUpload) headLength() int64 {
	if len(u.jobs) > 0 && u.jobs[0].asks == 1 {
		return u.jobs[0].length
	}
	return block.Size
}

// sayStance sends what has changed of how we stand.
func (p *peer) sayStance() {
	want := p.cfg.stance
	if want.interested != p.told.interested {
		p.send(wire.Message{ID: either(want.interested, wire.Interested, wire.NotInterested)})
	}
	if want.unchoke != p.told.unchoke {
		p.send(wire.Message{ID: either(want.unchoke, wire.Unchoke, wire.Choke)})
		if !want.unchoke {
			p.dropUploads()
		}
	}
	want.uploadOnly = p.told.uploadOnly // see sayUploadOnly
	p.told = want
	p.grantFast()
}

func either[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// dropUploads forgets what the remote has asked for, when we choke it. What is being
// read is still sent. BEP 6: "If a peer sends a choke, it MUST reject all requests from
// the peer to whom the choke was sent except it SHOULD NOT reject requests for pieces
// that are in the allowed fast set. A peer SHOULD choke first and then reject requests".
// Without Fast the choke itself says it.
func (p *peer) dropUploads() {
	p.up.queue.takeIf(func(u uploadAsk) bool {
		if p.isFast(u.piece) {
			return false
		}
		p.reject(u)
		return true
	})
}

// reject answers a request that will not be served; without Fast there is no answer.
func (p *peer) reject(u uploadAsk) {
	if p.remote.fast {
		p.send(wire.Message{ID: wire.Reject, Index: uint32(u.piece), Begin: u.begin, Length: u.length})
	}
}

// grantFast sends the allowed-fast set, once, to a choked remote that has hardly
// anything to trade yet. BEP 6: "A peer SHOULD send Allowed Fast messages to any
// starting peer". It "MAY list pieces that the message sender does not have";
// deliberately not, they would be asked for in vain.
func (p *peer) grantFast() {
	u := &p.up
	if u.granted || !p.remote.fast || !p.remote.opened || p.told.unchoke || !p.knows() {
		return
	}
	u.granted = true
	ip := p.link.Info().Remote.Addr().Unmap()
	if !p.remote.starting() || p.remote.uploadOnly || p.ours.set.none() || !ip.Is4() {
		return
	}
	pieces := p.cfg.lengths.Pieces()
	for _, i := range wire.AllowedFastSet(ip.As4(), p.cfg.infoHash, pieces, wire.AllowedFastCount) {
		if !p.ours.set.has(i) {
			continue
		}
		u.fast = append(u.fast, i)
		u.fastLeft += fastTimes * p.cfg.lengths.Blocks(metainfo.PieceIndex(i))
		p.send(wire.Message{ID: wire.AllowedFast, Index: uint32(i)})
	}
}

// isFast says whether a piece is in the allowed-fast set that the remote has from us.
func (p *peer) isFast(i metainfo.PieceIndex) bool {
	for _, f := range p.up.fast {
		if f == int32(i) {
			return true
		}
	}
	return false
}

// onRequest queues a request if the remote may make it now.
func (p *peer) onRequest(m *wire.Message) error {
	if !p.cfg.lengths.ValidRequest(m.Index, m.Begin, m.Length) {
		return p.broke("%v: not inside the piece, or longer than %d", m, metainfo.MaxRequest)
	}
	u := uploadAsk{metainfo.PieceIndex(m.Index), m.Begin, m.Length}
	switch {
	case !p.ours.set.has(int32(u.piece)), !u.readable(), !p.maySend(u.piece), p.up.queue.push(u):
		p.reject(u)
	}
	return nil
}

// readable: what is longer than a slot must begin at a slot's boundary, as it does
// with all clients that ask for more than 16 KiB at once.
func (u *uploadAsk) readable() bool { return u.length <= block.Size || u.begin%block.Size == 0 }

// maySend says whether we serve a request of this piece now. BEP 6: requests of
// allowed-fast pieces may be rejected "if the requested piece has already been sent to
// the requesting peer, or if the requesting peer is not a starting peer".
func (p *peer) maySend(i metainfo.PieceIndex) bool {
	if p.told.unchoke {
		return true
	}
	if p.up.fastLeft > 0 && p.remote.starting() && p.isFast(i) {
		p.up.fastLeft--
		return true
	}
	return false
}

// onCancel takes a request back. BEP 6: "the peer receiving the cancel should respond
// with either the corresponding reject or the corresponding piece": what is being
// read is sent.
func (p *peer) onCancel(m *wire.Message) {
	u := uploadAsk{metainfo.PieceIndex(m.Index), m.Begin, m.Length}
	if p.up.queue.remove(u) {
		p.reject(u)
	}
}

// serveUploads sends what has been read and reads what is asked for, while not too
// much waits for the kernel.
func (p *peer) serveUploads(c *actor.Ctx[peerMsg]) {
	u := &p.up
	for len(u.jobs) > 0 && u.jobs[0].ready && p.sendJob(&u.jobs[0]) {
		u.jobs = slices.Delete(u.jobs, 0, 1)
		u.first++
	}
	if u.queue.n == 0 {
		return
	}
	mark := p.uploadMark(c.Now())
	for u.queue.n > 0 && u.held < mark && u.reads.Open() > 0 && len(u.jobs) < maxJobs {
		p.read(c, min(uploadRun, max(mark-u.held, block.Size)))
	}
}

// uploadMark is how much payload may be between storage and the kernel: half a
// second's worth. A limited upload takes what it can send.
func (p *peer) uploadMark(now actor.Time) int64 {
	half := p.up.rate.rate(now) / 2
	if p.flow.lim.up {
		return min(max(half, flowQuantumMin), unsentMark)
	}
	return min(max(half, unsentMark), unsentMax)
}

// read starts one read, for as many of the next requests as it can serve.
func (p *peer) read(c *actor.Ctx[peerMsg], limit int64) {
	u := &p.up
	if u.reply.IsZero() {
		u.reply = actor.Adapt(c.Self(), func(r *storage.Read) peerMsg { return readDone{r} })
	}
	ask := u.queue.next(limit)
	r := uploadReadList.Get()
	r.ID, r.Piece, r.Begin, r.Length = p.cfg.store, ask.piece, int64(ask.begin), int64(ask.length)
	r.Cookie, r.Reply = u.first+uint64(len(u.jobs)), u.reply
	u.jobs = append(u.jobs, uploadJob{length: int64(ask.length), asks: ask.n})
	u.held += r.Length
	u.reads.Take(1)
	p.cfg.disk.Tell(r)
}

// onReadDone takes what storage has read. It is sent in Flush, in its turn.
func (p *peer) onReadDone(c *actor.Ctx[peerMsg], r *storage.Read) {
	u := &p.up
	u.reads.Give(1)
	j := &u.jobs[r.Cookie-u.first]
	j.read, j.ready = r, true
	if r.Err == nil {
		u.errors = 0
		return
	}
	if u.errors++; u.errors >= maxReadErrors {
		p.fail(c, p.ended(faultDisk, r.Err, "can't be served"))
	}
}

// sendJob puts what was read into the batch, as far as the upload limit lets it, and
// reports whether that was all.
func (p *peer) sendJob(j *uploadJob) (done bool) {
	r := j.read
	switch {
	case r.Err != nil:
		p.rejectJob(j)
	case j.asks == 1:
		if !p.maySpend(j.length) {
			return false
		}
		p.sendPiece(r, 0, len(r.Blocks))
	default:
		for ; j.next < len(r.Blocks); j.next++ {
			if !p.maySpend(int64(r.Blocks[j.next].Len())) {
				return false
			}
			p.sendPiece(r, j.next, j.next+1)
		}
	}
	clear(r.Blocks) // given away
	r.Blocks = r.Blocks[:0]
	uploadReadList.Put(r)
	return true
}

// sendPiece answers one request with blocks[from:to] of a read.
func (p *peer) sendPiece(r *storage.Read, from, to int) {
	f := transport.Frame{Block: r.Blocks[from]}
	n := 0
	for _, b := range r.Blocks[from:to] {
		n += b.Len()
	}
	if to-from > 1 {
		f.More = append(f.More, r.Blocks[from+1:to]...)
	}
	f.Message = wire.Message{
		ID:     wire.Piece,
		Index:  uint32(r.Piece),
		Begin:  uint32(r.Begin) + uint32(from)*block.Size,
		Length: uint32(n),
	}
	b := p.batch()
	b.Frames = append(b.Frames, f)
	p.out.control += wire.PieceHeaderLen
}

// rejectJob answers the requests of a read that has failed.
func (p *peer) rejectJob(j *uploadJob) {
	p.up.held -= j.length
	u := uploadAsk{j.read.Piece, uint32(j.read.Begin), uint32(j.length)}
	for left := u.length; j.asks > 1 && left > block.Size; left -= block.Size {
		u.length = block.Size
		p.reject(u)
		u.begin, u.length = u.begin+block.Size, left-block.Size
	}
	p.reject(u)
}

// uploaded: the kernel has taken n bytes of payload.
func (p *peer) uploaded(now actor.Time, n int64) {
	if n > 0 {
		p.up.held = max(p.up.held-n, 0)
		p.up.total += n
		p.up.rate.add(now, n)
	}
}

// drop releases what was read and not sent. What is being read comes back to nobody
// and is dropped.
func (u *peerUpload) drop() {
	for i := range u.jobs {
		j := &u.jobs[i]
		if !j.ready {
			continue
		}
		r := j.read
		for _, b := range r.Blocks[j.next:] {
			b.Release()
		}
		clear(r.Blocks)
		r.Blocks = r.Blocks[:0]
		uploadReadList.Put(r)
	}
	u.jobs = nil
}
