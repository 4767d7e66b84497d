package engine

import (
	"errors"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/tracker"
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
func (s Source) foreign() bool { return sourceSet(0).with(s).foreign() }

// becamePrivate is called when the metadata has turned out to be private, before anything
// else leaves: addresses and connections that are known from foreign sources only are
// let go, ut_pex is off, and nothing more goes to the DHT or the local network that names
// the torrent. What user and link have named stays, trackers too: they are asked one at a
// time from now on, each only when the ones before it fail (BEP 27).
func (t *torrent) becamePrivate() {
	t.endDiscovery()
	t.silenceNodes()
	t.tellAnnouncer(tracker.Private{})
	for _, p := range t.swarm.list {
		switch {
		case p.gone:
		case t.isForeign(p):
			t.drop(p, errPrivate)
		default:
			p.child.Ref.Notify(pexAllowed{false})
		}
	}
	t.tellPeersPorts()
	t.swarm.book.removeIf(func(x *candidate) bool { return x.mask.foreign() })
}

// keepSilence lets nodes that are new know, too, that a private torrent is not to be
// named: others may ask them for it, and announce it to them.
func (t *torrent) keepSilence() {
	if t.known() && t.cfg.meta.Private || t.disc.silent != [2]actor.Ref[dht.Message]{} {
		t.silenceNodes()
	}
}

func (t *torrent) silenceNodes() {
	for i, at := range t.disc.at.dht {
		if !at.IsZero() && at != t.disc.silent[i] {
			t.disc.silent[i] = at
			at.Tell(dht.Forget{Hash: t.wireHash()})
		}
	}
}

// isForeign reports whether a peer that we have dialed is known from foreign sources
// only. Who has come to us has the torrent from somewhere.
func (t *torrent) isForeign(p *peerEntry) bool {
	if x := t.swarm.book.byAddr[p.dial]; x != nil && !p.incoming {
		return x.mask.foreign()
	}
	return p.source.foreign()
}
