package engine

import "testing"

// aria2 sends a bitfield whenever it is shorter than the haves that are due.
func TestLaterBitfieldsStandForHaves(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0)
	p := tt.tor.swarm.byID[tt.members["a"].cfg.id]
	tt.report("a", func(r *report) { r.has = setOf(tt.cfg.lengths.Pieces(), 0, 1) })
	if p.has.Count() != 2 || p.wants != 2 || p.fields != 0 || p.gone {
		t.Fatalf("a piece more: %d pieces, %d wanted, %d fields, gone %v", p.has.Count(), p.wants, p.fields, p.gone)
	}
}

func TestAFloodOfBitfieldsEndsThePeer(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0)
	tt.forget()
	for range maxFields + 1 {
		tt.report("a", func(r *report) { r.has = setOf(tt.cfg.lengths.Pieces(), 0) })
	}
	if !tt.has("a", "end: it sends bitfields") {
		t.Error("bitfields that tell of nothing new cost a walk over all pieces each")
	}
}
