package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// Who names a victim with many ports must not make a swarm knock at all of them (BEP 11,
// "Security Considerations"). So there are bounds to the tries at one IP, whatever the
// ports, that others have only told of: one in a paceSpan, or neighbourTries where a
// neighbour has named one at home, for several programs may share that.
const (
	paceSpan       = time.Minute
	neighbourTries = 4
)

// dialPace remembers which IPs were tried lately. Pure; owner: the torrent.
type dialPace struct {
	tried map[netip.Addr]paced
	tidy  int // size at which what is old is forgotten
}

// paced is one IP's tries.
type paced struct {
	since clock.Time
	n     int
}

// dialPaceTidy IPs are remembered without looking for old ones among them.
const dialPaceTidy = 256

// note remembers a try.
func (d *dialPace) note(ip netip.Addr, now clock.Time) {
	if d.tried == nil {
		d.tried, d.tidy = map[netip.Addr]paced{}, dialPaceTidy
	}
	if len(d.tried) >= d.tidy {
		for ip, p := range d.tried { //order: irrelevant
			if p.since.Add(paceSpan) <= now {
				delete(d.tried, ip)
			}
		}
		d.tidy = max(2*len(d.tried), dialPaceTidy)
	}
	p, ok := d.tried[ip]
	if !ok || p.since.Add(paceSpan) <= now {
		p = paced{since: now}
	}
	p.n++
	d.tried[ip] = p
}

// worked takes a try back that has led to a peer.
func (d *dialPace) worked(ip netip.Addr) {
	if p, ok := d.tried[ip]; ok && p.n > 0 {
		p.n--
		d.tried[ip] = p
	}
}

// after is when an IP may be tried that is known from a source; 0: at any time.
func (d *dialPace) after(ip netip.Addr, s Source) clock.Time {
	p, ok := d.tried[ip]
	if !ok || p.n < s.triesPerIP() {
		return 0
	}
	return p.since.Add(paceSpan)
}

// triesPerIP bounds how often one IP is tried in a paceSpan.
func (s Source) triesPerIP() int {
	switch s {
	case SourcePEX, SourceDHT:
		return 1
	case SourceLSD, SourceLocalPEX:
		return neighbourTries
	}
	return 1 << 30 // a tracker's or the user's word, or its own
}
