// Package picker shows how to register a piece picker of one's own: it prefers the
// ends of a torrent, alternating from both sides towards the middle, as somebody
// might want who first looks at headers and indexes. After the import it is known
// by its name to engine.AddOptions.Picker, to engine.Torrent.SetStrategy and, if a
// command links it in, to --picker.
package picker

import "github.com/shoal-bt/shoal/picker"

// Name is what the strategy is registered by.
const Name = "edges"

func init() { picker.Register(Name, func() picker.Strategy { return edges{} }) }

// edges keeps no state: the torrent's facts are all that it needs.
type edges struct{}

// Rebuild implements picker.Strategy.
func (edges) Rebuild(picker.Facts) {}

// Changed implements picker.Strategy.
func (edges) Changed(picker.Facts, int32, picker.Change) {}

// Order implements picker.Strategy: pieces that are in progress first, so that few
// are, then from both ends towards the middle.
func (edges) Order(f picker.Facts, p *picker.Peer, offer func(int32, picker.Hint) bool) {
	for _, busy := range []bool{true, false} {
		for i := range f.Pieces() {
			piece := inward(i, f.Pieces())
			at := f.Piece(piece)
			if at.Busy != busy || !at.Wanted() || at.Missing == 0 || p.Has != nil && !p.Has.Has(piece) {
				continue
			}
			if !offer(piece, 0) {
				return
			}
		}
	}
}

// inward maps 0, 1, 2, ... to first, last, second, last but one, ...
func inward(i, n int32) int32 {
	if i%2 == 0 {
		return i / 2
	}
	return n - 1 - i/2
}
