package picker

import "slices"

// visit is one call of Order: who asks, and what has been offered.
type visit struct {
	f     Facts
	p     *Peer
	offer func(int32, Hint) bool
	hint  Hint
}

func newVisit(f Facts, p *Peer, offer func(int32, Hint) bool) *visit {
	v := &visit{f: f, p: p, offer: offer}
	if p.Parole {
		v.hint = Whole
	}
	return v
}

// try offers piece i if it may be offered; false means stop.
func (v *visit) try(i int32) bool {
	if !v.p.has(i) {
		return true
	}
	return v.offerPiece(i, v.f.Piece(i), v.hint)
}

// due offers a piece with a deadline. Near the deadline it is offered although all
// its blocks are out.
func (v *visit) due(it dueItem) bool {
	if !v.p.has(it.piece) {
		return true
	}
	hint := v.hint
	if it.at.Sub(v.f.Now()) <= urgentWithin && !v.p.Parole {
		hint |= Urgent
	}
	return v.offerPiece(it.piece, v.f.Piece(it.piece), hint)
}

// offerPiece leaves out what there is nothing to request of. A peer on parole gets
// only what nobody has begun, so that a bad piece has one author.
func (v *visit) offerPiece(i int32, piece Piece, h Hint) bool {
	if piece.Missing == 0 && h&Urgent == 0 || v.p.Parole && piece.Busy {
		return true
	}
	return v.offer(i, h)
}

// forward, backward and scattered go through a list of pieces; false means stopped.
func (v *visit) forward(list []int32, but []int32) bool {
	for _, i := range list {
		if !slices.Contains(but, i) && !v.try(i) {
			return false
		}
	}
	return true
}

func (v *visit) backward(list []int32) bool {
	for _, i := range slices.Backward(list) {
		if !v.try(i) {
			return false
		}
	}
	return true
}

// scattered starts anywhere and steps by a number that has no divisor in common
// with the length, so that each piece comes once and no order has to be stored.
func (v *visit) scattered(list []int32, but []int32) bool {
	n := int64(len(list))
	if n == 0 {
		return true
	}
	at, step := int64(v.f.Rand(int32(n))), int64(1+v.f.Rand(int32(n)))
	for gcd(step, n) != 1 {
		step++
	}
	for range n {
		if i := list[at]; !slices.Contains(but, i) && !v.try(i) {
			return false
		}
		at = (at + step) % n
	}
	return true
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
