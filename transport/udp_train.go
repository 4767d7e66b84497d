//pump: hands trains to those who take them.

package transport

import "net/netip"

// deliverTrain hands on datagrams that came one behind the other from one source: as
// one packet if all are of one kind whose receiver takes trains, else one by one. p,
// if not nil, is the packet that data lies in: the train goes in it, and true means
// that it is gone. Otherwise copies go.
func (u *udp) deliverTrain(from netip.AddrPort, data []byte, segment int, p *Packet) (gone bool) {
	to := u.trainRoute(data, segment)
	if to == nil {
		for len(data) > 0 {
			n := min(segment, len(data))
			u.deliver(from, data[:n])
			data = data[n:]
		}
		return false
	}
	gone = p != nil
	if gone {
		p.From, p.Data, p.Segment = from, data, segment
	} else {
		p = NewTrain(from, data, segment)
	}
	u.offer(to, p, int64((len(data)+segment-1)/segment))
	return gone
}

// trainRoute returns the route that takes the train as a whole, if there is one.
func (u *udp) trainRoute(data []byte, segment int) *route {
	if segment > MaxDatagram {
		return nil
	}
	k := Kind(data[:segment])
	to := u.routes[k].Load()
	if to == nil || !to.trains {
		return nil
	}
	for data = data[segment:]; len(data) > 0; {
		n := min(segment, len(data))
		if Kind(data[:n]) != k {
			return nil
		}
		data = data[n:]
	}
	return to
}
