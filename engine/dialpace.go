package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// rumourPace is the least time between two tries at one IP, whatever the ports, that only
// strangers have named: who names a victim with many ports must not make a swarm knock at
// all of them (BEP 11, "Security Considerations").
const rumourPace = time.Minute

// dialPace remembers which IPs were tried lately. Pure; owner: the torrent.
type dialPace struct {
	tried map[netip.Addr]clock.Time
	tidy  int // size at which what is old is forgotten
}

// dialPaceTidy IPs are remembered without looking for old ones among them.
const dialPaceTidy = 256

// note remembers a try.
func (d *dialPace) note(ip netip.Addr, now clock.Time) {
	if d.tried == nil {
		d.tried, d.tidy = map[netip.Addr]clock.Time{}, dialPaceTidy
	}
	if len(d.tried) >= d.tidy {
		for ip, at := range d.tried { //order: irrelevant
			if at.Add(rumourPace) <= now {
				delete(d.tried, ip)
			}
		}
		d.tidy = max(2*len(d.tried), dialPaceTidy)
	}
	d.tried[ip] = now
}

// after is when an IP may be tried again.
func (d *dialPace) after(ip netip.Addr) clock.Time {
	at, ok := d.tried[ip]
	if !ok {
		return 0
	}
	return at.Add(rumourPace)
}

// rumour says whether only strangers vouch for addresses of a source.
func (s Source) rumour() bool { return s == SourcePEX || s == SourceDHT }
