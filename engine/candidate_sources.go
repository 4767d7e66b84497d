package engine

import (
	"math/bits"
	"net/netip"

	"github.com/shoal-bt/shoal/transport"
)

// sourceSet says which sources have named an address.
type sourceSet uint16

func (m sourceSet) has(s Source) bool          { return m>>s&1 != 0 }
func (m sourceSet) with(s Source) sourceSet    { return m | 1<<s }
func (m sourceSet) without(s Source) sourceSet { return m &^ (1 << s) }

// best is the source that vouches for an address: the best but our own memory, which
// only repeats what others have said.
func (m sourceSet) best() Source {
	if m = m.without(SourceResume); m == 0 {
		return SourceResume
	}
	return Source(bits.TrailingZeros16(uint16(m)))
}

// foreign says whether a private torrent may not use the address: nobody has named it
// but sources that are foreign to it.
func (m sourceSet) foreign() bool {
	m = m.without(SourceResume)
	return m != 0 && m&^foreignSources == 0
}

// foreignSources are those that are closed to private torrents.
const foreignSources sourceSet = 1<<SourceLSD | 1<<SourceLocalPEX | 1<<SourcePEX | 1<<SourceLocalDHT | 1<<SourceDHT

// sourceWeight ranks by source: each outweighs all that come after it together, and an
// address that several name outweighs one that the best of them names alone.
var sourceWeight = [sourceKinds]int{
	SourceUser: 256, SourceResume: 128, SourceMagnet: 64, SourceTracker: 32, SourceLocalTracker: 32, SourceLSD: 16,
	SourceLocalPEX: 8, SourcePEX: 4, SourceLocalDHT: 2, SourceDHT: 2, SourceIncoming: 1,
}

func (m sourceSet) weight() (n int) {
	for s := range Source(sourceKinds) {
		if m.has(s) {
			n += sourceWeight[s]
		}
	}
	return n
}

// sourceLetters stand for sources in the resume record: they must not change.
const sourceLetters = "urmtTlPpDdi"

// letters writes the set for the resume record.
func (m sourceSet) letters() string {
	var b []byte
	for s := range Source(sourceKinds) {
		if m.has(s) && s != SourceResume {
			b = append(b, sourceLetters[s])
		}
	}
	return string(b)
}

// sourcesOf reads what letters wrote; what it does not know it ignores.
func sourcesOf(letters string) (m sourceSet) {
	for _, l := range []byte(letters) {
		for s := range Source(sourceKinds) {
			if sourceLetters[s] == l && s != SourceResume {
				m = m.with(s)
			}
		}
	}
	return m
}

const (
	// sourceShare of the addresses may be of one source while others want room.
	sourceShare = maxCandidates / 4
	// maxPerIP addresses of one public IP are remembered on others' word.
	maxPerIP = 4
)

// crowds reports whether an IP has all the addresses that others may name of it. In a
// household many may be behind one.
func (b *addressBook) crowds(ip netip.Addr, s Source) bool {
	return s > SourceMagnet && !b.manyPerIP && b.perIP[ip] >= maxPerIP && !transport.IsLocal(ip)
}

// forgetWorst makes room for an address of a source: the worst of the source that has
// most beyond its share goes, which may be the new one's own; if none has more than that,
// the worst of all, unless it is better than the new one.
func (b *addressBook) forgetWorst(source Source) bool {
	var n [sourceKinds]int
	for _, c := range b.list {
		n[c.mask.best()]++
	}
	full := source
	if n[source] < sourceShare {
		for s := range Source(sourceKinds) {
			if n[s] > max(n[full], sourceShare) && s > SourceMagnet {
				full = s
			}
		}
	}
	worst := -1
	for i, c := range b.list {
		of := n[full] <= sourceShare || c.mask.best() == full
		if of && !c.busy && (worst < 0 || b.list[worst].better(c)) {
			worst = i
		}
	}
	if worst < 0 || n[full] <= sourceShare && b.list[worst].fails == 0 && b.list[worst].source < source {
		return false
	}
	b.removeAt(worst)
	return true
}
