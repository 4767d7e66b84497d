package engine

import "net/netip"

// maxVoters are remembered; the oldest is forgotten.
const maxVoters = 64

// addressVotes gathers what peers say our address is (BEP 10's yourip). Each address has
// one vote, the latest, so that nobody outvotes the others. Owner: the session.
type addressVotes struct{ list []voted }

func (v *addressVotes) add(x voted) {
	for i := range v.list {
		if v.list[i].by == x.by && v.list[i].ip.Is4() == x.ip.Is4() {
			v.list[i] = x
			return
		}
	}
	v.list = appendCapped(v.list, x, maxVoters)
}

// winner is the address of a family that most voters name, if at least two do.
func (v *addressVotes) winner(is4 bool) (best netip.Addr) {
	most := 1
	for _, x := range v.list {
		n := 0
		for _, y := range v.list {
			if y.ip == x.ip {
				n++
			}
		}
		if x.ip.Is4() == is4 && n > most {
			best, most = x.ip, n
		}
	}
	return best
}
