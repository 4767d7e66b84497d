package engine

import "time"

// Strangers, of whom no piece has been verified yet, are on trial. The first bad piece
// shall name its sender, and there shall be no second one that spoils others' work: a
// stranger has part in trialPieces at a time, and others in one of these at most. So a
// liar is found out within two bad pieces: by its own, or by one that it shared and then
// one of its own.

// trialPieces is how many unjudged pieces a stranger may have part in: a fast liar would
// have sent many before the first is judged, which takes a moment, since storage lets a
// piece wait for another to be hashed with.
const trialPieces = 2

// joinAfter is how long strangers' pieces are kept apart from others' work: the slow
// must not hold up the end.
const joinAfter = 5 * time.Second

// stranger reports whether nothing is known of a peer's honesty. Who is gone is none:
// its pieces have to be finished.
func (t *torrent) stranger(id peerID) bool {
	p := t.swarm.byID[id]
	return p != nil && !p.gone && !p.proven
}

// onTrial counts the unjudged pieces that a peer has part in, and how many of them it
// shares with others.
func (p *pieces) onTrial(id peerID) (parts, shared int) {
	for _, a := range p.open {
		switch {
		case a.owner == id:
			parts++
		case a.owner == 0 && a.involves(id):
			parts++
			if !a.only(id) {
				shared++
			}
		}
	}
	return parts, shared
}

// involves reports whether who has delivered some of the blocks, or was asked for some.
func (p *partial) involves(who peerID) bool {
	for i, id := range p.by {
		if id == who && p.state[i] != blockFree {
			return true
		}
	}
	return false
}

// mayBegin reports whether the peer may begin another piece.
func (j *job) mayBegin() bool { return j.t.mayOpen() && !j.onTrial() }

// onTrial reports whether the peer is a stranger with enough to be judged by. It goes
// on when a piece is.
func (j *job) onTrial() bool {
	if j.p.proven || len(j.t.pieces.open) < trialPieces {
		return false
	}
	parts, _ := j.t.pieces.onTrial(j.p.id)
	return parts >= trialPieces
}

// mayJoin reports whether the peer may have a part in a piece that others have begun. A
// stranger shall first fetch one alone.
func (j *job) mayJoin(a *partial) bool {
	return j.p.proven || a.only(j.p.id) || j.since(a.begun.Add(joinAfter))
}

// guarded reports whether a piece is kept from the peer for a while.
func (j *job) guarded(a *partial) bool {
	return a.parole && !j.since(a.begun.Add(paroleTime)) || !j.mayJoin(a) || j.soiled(a)
}

// soiled reports whether a piece is a stranger's who shares another one already.
func (j *job) soiled(a *partial) bool {
	if a.owner == 0 || a.owner == j.p.id || !j.t.stranger(a.owner) {
		return false
	}
	_, shared := j.t.pieces.onTrial(a.owner)
	return shared > 0 && !j.since(a.begun.Add(joinAfter))
}

// putOnParole demands of a suspect that it proves itself, by pieces that are from its
// hand alone. Those that already are, and are being fetched, will do.
func (t *torrent) putOnParole(id peerID) {
	p := t.swarm.byID[id]
	if p == nil || p.parole {
		return
	}
	p.parole = true
	mine := p.mine
	p.mine = nil
	for _, a := range mine {
		if a.only(p.id) && (a.asked > 0 || a.hashing()) {
			a.parole = true
			p.mine = append(p.mine, a)
		} else {
			a.owner, a.parole = 0, false
		}
	}
	t.feedAll()
}
