package engine

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
)

// blame finds out who sends bad data. A piece from one hand that fails its hash
// names its sender at once. A piece of several hands leaves fingerprints of its
// blocks: when it has been fetched again and is good, the sender of a block that
// differs is the liar. Until then all of its senders are on parole: they fetch whole
// pieces alone, so that the next lie names its sender. Nobody is banned on suspicion.
// Owner: the torrent.
type blame struct {
	suspects map[metainfo.PieceIndex][]suspect // bad pieces that have not been good since
	bans     []ban
	guilty   []peerID // banned in this run: their other blocks are bad, too
	left     []sender // who has delivered something and is gone: a verdict may find it yet
}

// suspect is the evidence of one failure of one piece.
type suspect struct {
	sums []uint64 // xxhash64 by block
	by   []sender // by block
}

// sender is whoever delivered a block; it may be gone when the verdict falls. The
// zero sender is the disk, on which an earlier run has left the block.
type sender struct {
	id   peerID
	addr netip.AddrPort // of the connection
	dial netip.AddrPort // where it listens, if known
	peer [20]byte
}

// ban is an address that is banned whole, or one peer of several at an address.
type ban struct {
	ip         netip.Addr
	addr, dial netip.AddrPort
	peer       [20]byte
}

// maxSuspects failures of a piece are kept as evidence, of maxSuspectPieces pieces;
// maxLeft senders are remembered when they have gone.
const (
	maxSuspects      = 4
	maxSuspectPieces = 64
	maxLeft          = 1000
)

func (b *blame) init() { b.suspects = map[metainfo.PieceIndex][]suspect{} }

func (b *blame) pending(piece metainfo.PieceIndex) bool { return len(b.suspects[piece]) > 0 }

// isBanned reports whether an address or peer id is banned; the id may be zero if it
// is not known yet.
func (b *blame) isBanned(addr netip.AddrPort, peer [20]byte) bool {
	for i := range b.bans {
		x := &b.bans[i]
		switch {
		case x.ip.IsValid() && x.ip == addr.Addr(),
			addr.IsValid() && (x.addr == addr || x.dial == addr),
			peer != [20]byte{} && x.peer == peer:
			return true
		}
	}
	return false
}

// add bans a sender. An address with one peer is banned whole, and nothing else is:
// anybody can call itself by another's peer id. At one that holds several, such as
// loopback or a private one, they are told apart by port and id.
func (b *blame) add(s sender, several bool) {
	x := ban{ip: s.addr.Addr()}
	if several {
		x = ban{addr: s.addr, dial: s.dial, peer: s.peer}
	}
	b.bans = appendCapped(b.bans, x, maxBans)
	b.guilty = appendCapped(b.guilty, s.id, maxBans)
}

// appendCapped appends to a list that forgets its oldest entry beyond n.
func appendCapped[T any](list []T, x T, n int) []T {
	if len(list) >= n {
		list = append(list[:0], list[1:]...)
	}
	return append(list, x)
}

func (b *blame) isGuilty(id peerID) bool { return slices.Contains(b.guilty, id) }

// leave remembers a sender that is gone.
func (b *blame) leave(s sender) { b.left = appendCapped(b.left, s, maxLeft) }

// pieceBad: the hash was wrong. Whoever sent it alone is banned. Of several hands all
// are suspected, unless one of them has been found out already, or the disk is one of
// them.
func (t *torrent) pieceBad(c *actor.Ctx[torrentMsg], part *partial, sums []uint64) {
	t.count.hashFails++
	t.count.wasted += t.pieces.l.PieceSize(part.piece)
	t.cfg.emit.Tell(Event{Kind: PieceFailed, Hash: t.cfg.hash, Piece: part.piece})
	who, disk := part.contributors(), part.from(0)
	if len(who) == 1 && !disk {
		t.convict(t.senderOf(who[0]), part.piece)
	} else if t.remember(part, sums) && !disk && !slices.ContainsFunc(who, t.blame.isGuilty) {
		for _, id := range who {
			t.putOnParole(id)
		}
	}
	t.refetch(part)
}

// prove notes whose blocks were good.
func (t *torrent) prove(part *partial) {
	last := peerID(0)
	for _, id := range part.by {
		if p := t.swarm.byID[id]; id != last && p != nil {
			p.proven = true
		}
		last = id
	}
}

// remember keeps the evidence of a bad piece, and reports whether there was room.
func (t *torrent) remember(part *partial, sums []uint64) bool {
	old := t.blame.suspects[part.piece]
	if len(sums) != len(part.by) || len(old) >= maxSuspects || old == nil && len(t.blame.suspects) >= maxSuspectPieces {
		return false
	}
	s := suspect{sums: sums, by: make([]sender, len(part.by))}
	for i, id := range part.by {
		s.by[i] = t.senderOf(id)
	}
	t.blame.suspects[part.piece] = append(old, s)
	return true
}

func (t *torrent) senderOf(id peerID) sender {
	if id == 0 {
		return sender{}
	}
	if p := t.swarm.byID[id]; p != nil {
		return p.sender()
	}
	for _, s := range t.blame.left {
		if s.id == id {
			return s
		}
	}
	return sender{id: id}
}

func (p *peerEntry) sender() sender { return sender{p.id, p.addr, p.dial, p.remote} }

// onSums compares the good piece with the bad ones before it.
func (t *torrent) onSums(a storage.Sums) {
	evidence := t.blame.suspects[a.Piece]
	delete(t.blame.suspects, a.Piece)
	if a.Err == nil {
		for _, s := range liars(evidence, a.Sums) {
			t.convict(s, a.Piece)
		}
	}
	t.reviewParole()
}

// liars lists, each once, who sent a block that differs from the good one.
func liars(evidence []suspect, good []uint64) (out []sender) {
	for _, s := range evidence {
		for i, sum := range s.sums {
			by := s.by[i]
			known := by.id == 0 || slices.ContainsFunc(out, func(x sender) bool { return x.id == by.id })
			if i < len(good) && sum != good[i] && !known {
				out = append(out, by)
			}
		}
	}
	return out
}

// reviewParole ends the parole of those against whom nothing is open any more.
func (t *torrent) reviewParole() {
	open := t.blame.suspected()
	for _, p := range t.swarm.list {
		if p.parole && !p.gone && !open[p.id] {
			p.parole = false
			t.disownAll(p)
			t.feed(p)
		}
	}
}

// suspected are those in evidence that is still open. Where one of the senders has
// been found guilty the others count as innocent.
func (b *blame) suspected() map[peerID]bool {
	out := map[peerID]bool{}
	for _, list := range b.suspects { //order: irrelevant
		for _, s := range list {
			if slices.ContainsFunc(s.by, func(x sender) bool { return b.isGuilty(x.id) }) {
				continue
			}
			for _, by := range s.by {
				out[by.id] = true
			}
		}
	}
	return out
}

// convict bans a liar and ends its connection.
func (t *torrent) convict(s sender, piece metainfo.PieceIndex) {
	if t.blame.isGuilty(s.id) || !s.addr.IsValid() {
		return
	}
	t.ban(s, Event{Kind: PeerBanned, Piece: piece, Err: fmt.Errorf("%v sent bad data in piece %d", s.addr, piece)})
	t.reviewParole()
}

// ban ends all connections to a liar, for good, and tells why.
func (t *torrent) ban(s sender, why Event) {
	if t.blame.isGuilty(s.id) || !s.addr.IsValid() {
		return
	}
	t.blame.add(s, !t.cfg.perIP || transport.IsLocal(s.addr.Addr()))
	t.count.banned++
	t.swarm.book.remove(s.addr)
	t.swarm.book.remove(s.dial)
	why.Hash, why.Addr = t.cfg.hash, s.addr
	t.cfg.emit.Tell(why)
	for _, p := range t.swarm.list {
		if !p.gone && (p.id == s.id || t.blame.isBanned(p.addr, p.remote)) {
			t.drop(p, errBanned)
		}
	}
}
