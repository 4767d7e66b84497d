package engine

import (
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// maxMetadata bytes of an info dictionary are fetched, announced and served.
	maxMetadata = 16 << 20

	// metadataCopies whole copies are served to one remote within metadataSpan, and
	// metadataLeast pieces if that is more. BEP 9: "Clients MAY implement flood
	// protection by rejecting request messages after a certain number of them have
	// been served. Typically the number of pieces of metadata times a factor."
	metadataCopies = 2
	metadataLeast  = 16
	metadataSpan   = time.Minute
)

// peerMetadata is what is asked with ut_metadata (BEP 9), in both directions. Owner:
// the peer, which has none as long as nothing is asked.
type peerMetadata struct {
	asked []int32    // pieces asked of the remote and not answered
	queue []int32    // pieces that the remote has asked for, to be sent
	until actor.Time // end of the span in which
	left  int32      // so many pieces may still be asked for
}

func (p *peer) metadata() *peerMetadata {
	if p.meta == nil {
		p.meta = &peerMetadata{}
	}
	return p.meta
}

// metadataAnswer is a piece of metadata that the remote has sent, or refused.
type metadataAnswer struct {
	piece int32
	total int64  // size of the whole, as it says with this piece; 0: unsaid
	data  []byte // the torrent's; nil: refused
}

// onAskMetadata asks the remote for pieces of metadata. One that takes no such messages
// any more refuses.
func (p *peer) onAskMetadata(m askMetadata) {
	for _, i := range m.pieces {
		if p.phase == peerLive && p.sendMetadata(wire.MetadataMsg{Kind: wire.MetadataRequest, Piece: i}) {
			p.metadata().asked = append(p.metadata().asked, i)
			continue
		}
		r := p.report()
		r.metadata = append(r.metadata, metadataAnswer{piece: i})
	}
}

func (p *peer) sendMetadata(m wire.MetadataMsg) bool {
	return p.remote.ids.has(extMetadata) && p.sendExtended(extMetadata, wire.AppendMetadata(nil, m))
}

// onMetadata takes a message of ut_metadata. BEP 9: "an unrecognized message ID MUST be
// ignored".
func (p *peer) onMetadata(now actor.Time, payload []byte) error {
	m, err := wire.ParseMetadata(payload)
	if err != nil {
		return p.ended(faultProtocol, err, "")
	}
	switch m.Kind {
	case wire.MetadataRequest:
		p.onMetadataRequest(now, m.Piece)
	case wire.MetadataData:
		p.onMetadataAnswer(metadataAnswer{m.Piece, m.Total, m.Data})
	case wire.MetadataReject:
		p.onMetadataAnswer(metadataAnswer{piece: m.Piece})
	}
	return nil
}

// onMetadataAnswer passes an answer on to the torrent, if the question was ours. The
// data is copied: it lies in the link's buffer.
func (p *peer) onMetadataAnswer(a metadataAnswer) {
	if p.meta == nil {
		return
	}
	i := slices.Index(p.meta.asked, a.piece)
	if i < 0 {
		return // never asked for, or answered before
	}
	p.meta.asked = slices.Delete(p.meta.asked, i, i+1)
	a.data = slices.Clone(a.data)
	r := p.report()
	r.metadata = append(r.metadata, a)
}

// onMetadataRequest queues a piece to be sent. "Peers that do not have the entire
// metadata MUST respond with a reject message to any metadata request."
func (p *peer) onMetadataRequest(now actor.Time, i int32) {
	pieces := wire.MetadataPieces(int64(len(p.cfg.info)))
	if i >= pieces || !p.metadata().may(now, pieces) {
		p.sendMetadata(wire.MetadataMsg{Kind: wire.MetadataReject, Piece: i})
		return
	}
	p.meta.queue = append(p.meta.queue, i)
}

// may counts one more piece that is asked of us, if the remote may ask for it. At most
// one span's pieces wait, which is the bound of the queue.
func (m *peerMetadata) may(now actor.Time, pieces int32) bool {
	most := max(metadataCopies*pieces, metadataLeast)
	if m.until <= now {
		m.until, m.left = now.Add(metadataSpan), most
	}
	if m.left == 0 || len(m.queue) >= int(most) {
		return false
	}
	m.left--
	return true
}

// serveMetadata sends what was asked for, as the remote reads it.
func (p *peer) serveMetadata() {
	if p.meta == nil {
		return
	}
	n := 0
	for ; n < len(p.meta.queue) && p.out.control < controlMark; n++ {
		i, total := p.meta.queue[n], int64(len(p.cfg.info))
		at := int(i) * wire.MetadataPiece
		p.sendMetadata(wire.MetadataMsg{Kind: wire.MetadataData, Piece: i, Total: total,
			Data: p.cfg.info[at : at+wire.MetadataPieceSize(total, i)]})
	}
	if p.meta.queue = slices.Delete(p.meta.queue, 0, n); len(p.meta.queue) == 0 {
		p.meta.queue = nil
	}
}
