package engine

import (
	"fmt"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// blame finds out who sends bad data. A piece from one hand that fails its hash
// names its sender at once. A piece of several hands leaves fingerprints of its
// blocks: when it has been fetched again and is good, the sender of a block that
// differs is the liar. Until then all of its senders are on parole: they fetch whole
// pieces alone, so that the next lie names its sender.
// Owner: the torrent.
type blame struct {
	suspects map[metainfo.PieceIndex][]suspect // bad pieces that have not been good since
	bans     []ban
}

// suspect is the evidence of one failure of one piece.
type suspect struct {
	sums []uint64 // xxhash64 by block
	by   []sender // by block
}

// sender is whoever delivered a block; it may be gone when the verdict falls.
type sender struct {
	id   peerID
	addr netip.AddrPort
	peer [20]byte
}

type ban struct {
	ip   netip.Addr     // public addresses are banned whole
	addr netip.AddrPort // private and loopback ones by port and peer id
	peer [20]byte
}

// maxSuspects pieces of evidence are kept a piece, and maxSuspectPieces in all.
const (
	maxSuspects      = 4
	maxSuspectPieces = 64
)

func (b *blame) init() { b.suspects = map[metainfo.PieceIndex][]suspect{} }

func (b *blame) pending(piece metainfo.PieceIndex) bool { return len(b.suspects[piece]) > 0 }

func (b *blame) isBanned(addr netip.AddrPort, peer [20]byte) bool {
	for i := range b.bans {
		x := &b.bans[i]
		if x.ip.IsValid() && x.ip == addr.Addr() || x.addr == addr || peer != [20]byte{} && x.peer == peer {
			return true
		}
	}
	return false
}

func (b *blame) add(s sender) {
	x := ban{addr: s.addr, peer: s.peer}
	if !localAddr(s.addr.Addr()) {
		x.ip = s.addr.Addr()
	}
	if len(b.bans) == maxBans {
		b.bans = append(b.bans[:0], b.bans[1:]...)
	}
	b.bans = append(b.bans, x)
}

// pieceBad: the hash was wrong. Whoever sent it alone is banned; of several hands
// those that are banned already are taken to be guilty.
func (t *torrent) pieceBad(c *actor.Ctx[torrentMsg], part *partial, sums []uint64) {
	t.count.hashFails++
	t.count.wasted += t.pieces.l.PieceSize(part.piece)
	who := part.contributors()
	t.cfg.emit.Tell(Event{Kind: PieceFailed, Hash: t.cfg.meta.Hash, Piece: part.piece})
	switch {
	case len(who) == 1 && !t.fromDisk(part):
		t.convict(c, t.senderOf(who[0]), part.piece)
	case len(who) > 1 && !t.anyBanned(who):
		t.remember(part, sums)
		for _, id := range who {
			t.putOnParole(id)
		}
	}
	t.refetch(part)
}

// fromDisk reports whether some blocks lay on disk from an earlier run.
func (t *torrent) fromDisk(part *partial) bool {
	for _, who := range part.by {
		if who == 0 {
			return true
		}
	}
	return false
}

func (t *torrent) anyBanned(who []peerID) bool {
	for _, id := range who {
		if p := t.swarm.byID[id]; p == nil && t.swarm.wasBanned(id) || p != nil && p.banned {
			return true
		}
	}
	return false
}

func (t *torrent) putOnParole(id peerID) {
	p := t.swarm.byID[id]
	if p == nil || p.parole {
		return
	}
	p.parole = true
	for len(p.mine) > 0 {
		t.disown(p.mine[0])
	}
}

// remember keeps the evidence of a bad piece.
func (t *torrent) remember(part *partial, sums []uint64) {
	old := t.blame.suspects[part.piece]
	if len(sums) != len(part.by) || len(old) >= maxSuspects || old == nil && len(t.blame.suspects) >= maxSuspectPieces {
		return
	}
	s := suspect{sums: sums, by: make([]sender, len(part.by))}
	for i, id := range part.by {
		s.by[i] = t.senderOf(id)
	}
	t.blame.suspects[part.piece] = append(old, s)
}

func (t *torrent) senderOf(id peerID) sender {
	if p := t.swarm.byID[id]; p != nil {
		return sender{id, p.addr, p.remote}
	}
	return sender{id: id}
}

// onSums compares the good piece with the bad ones before it.
func (t *torrent) onSums(c *actor.Ctx[torrentMsg], a storage.Sums) {
	evidence := t.blame.suspects[a.Piece]
	delete(t.blame.suspects, a.Piece)
	if a.Err != nil {
		return
	}
	var guilty, cleared []sender
	for _, s := range evidence {
		for i, sum := range s.sums {
			if i < len(a.Sums) && sum != a.Sums[i] {
				guilty = addSender(guilty, s.by[i])
			} else {
				cleared = addSender(cleared, s.by[i])
			}
		}
	}
	for _, s := range guilty {
		t.convict(c, s, a.Piece)
	}
	for _, s := range cleared {
		if p := t.swarm.byID[s.id]; p != nil && !p.banned && !t.blame.suspected(s.id) {
			p.parole = false
		}
	}
}

func addSender(list []sender, s sender) []sender {
	for _, x := range list {
		if x.id == s.id {
			return list
		}
	}
	return append(list, s)
}

// suspected reports whether a peer's blocks are in evidence that is still open.
func (b *blame) suspected(id peerID) bool {
	for _, list := range b.suspects { //order: irrelevant
		for _, s := range list {
			for _, by := range s.by {
				if by.id == id {
					return true
				}
			}
		}
	}
	return false
}

// convict bans a liar and ends its connection.
func (t *torrent) convict(_ *actor.Ctx[torrentMsg], s sender, piece metainfo.PieceIndex) {
	if s.id == 0 || !s.addr.IsValid() {
		return
	}
	t.blame.add(s)
	t.swarm.banned = append(t.swarm.banned, s.id)
	t.count.banned++
	t.swarm.book.remove(s.addr)
	t.cfg.emit.Tell(Event{Kind: PeerBanned, Hash: t.cfg.meta.Hash, Addr: s.addr, Piece: piece,
		Err: fmt.Errorf("%v sent bad data in piece %d", s.addr, piece)})
	if p := t.swarm.byID[s.id]; p != nil {
		p.banned = true
		t.swarm.book.remove(p.dial)
		t.drop(p, errBanned)
	}
}

func (s *swarm) wasBanned(id peerID) bool { return contains(s.banned, id) }
