package engine

import "github.com/shoal-bt/shoal/pex"

// onPEX takes a ut_pex message (BEP 11): what may be believed of it goes to the torrent.
func (p *peer) onPEX(payload []byte) error {
	if !p.cfg.pex {
		return nil // we have not offered it, or no longer
	}
	if p.guard == nil {
		p.guard = pex.NewGuard(originScope(p.cfg.addr.Addr()), scopeOf)
	}
	news, err := p.guard.Take(payload, p.clock.heard)
	if err != nil {
		return p.ended(faultProtocol, err, "")
	}
	if len(news) > 0 {
		r := p.report()
		r.pex = append(r.pex, news...)
	}
	return nil
}

// sendPEX tells the remote of other peers, unless that has become unwanted meanwhile.
func (p *peer) sendPEX(payload []byte) {
	if p.phase == peerLive && p.cfg.pex {
		p.sendExtended(extPEX, payload)
	}
}
