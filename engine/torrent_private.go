package engine

import (
	"errors"

	"github.com/shoal-bt/shoal/actor"
)

// errPrivate ends connections to peers that a private torrent may not know.
var errPrivate = errors.New("the torrent is private")

// private says whether only trackers, and addresses that the user has given, may be used
// (BEP 27). A torrent may be private by its metadata, or because the user says so before
// that has arrived.
func (t *torrent) private() bool {
	return t.cfg.private || t.cfg.meta != nil && t.cfg.meta.Private
}

// mayPEX says whether ut_pex may be used (BEP 11).
func (t *torrent) mayPEX() bool { return !t.private() && !t.cfg.noPEX }

// foreign says whether a private torrent may not use addresses of a source. BEP 27: it
// "MUST only initiate connections to peers returned from the private tracker".
func (s Source) foreign() bool {
	return s == SourceLSD || s == SourceLocalPEX || s == SourcePEX || s == SourceLocalDHT || s == SourceDHT
}

// becamePrivate is called when the metadata has turned out to be private, before anything
// else leaves: addresses and connections that are known from foreign sources only are
// let go, and ut_pex is off.
func (t *torrent) becamePrivate(*actor.Ctx[torrentMsg]) {
	t.swarm.book.removeIf(func(x *candidate) bool { return x.source.foreign() })
	for _, p := range t.swarm.list {
		switch {
		case p.gone:
		case p.source.foreign():
			t.drop(p, errPrivate)
		default:
			p.child.Ref.Notify(pexAllowed{false})
		}
	}
}
