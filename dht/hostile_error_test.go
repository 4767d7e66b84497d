package dht_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
)

// Nodes that have earned their places by one good answer, and then answer every ping with
// an error, are not kept for ever: they lose their places to
// those that wait.
func TestErrorsKeepNoPlace(t *testing.T) {
	n := newNetwork(t, 8)
	x := n.node(n.publicIP(), nil)
	var liars []*remote
	for range 40 {
		r := n.remote(n.publicIP()).ok()
		r.query(x.addr, dht.Msg{Method: dht.MethodPing})
		liars = append(liars, r)
		n.run(6 * time.Second)
	}
	there := x.table()
	if len(there) < 8 {
		t.Fatalf("%d nodes", len(there))
	}
	for _, r := range liars {
		r.on = nil
		n.at[r.addr] = func(_ netip.AddrPort, b []byte) {
			if q, err := dht.Parse(b); err == nil && q.Kind == dht.KindQuery {
				r.raw(x.addr, (&dht.Msg{Kind: dht.KindError, TID: q.TID, Code: dht.CodeGeneric, Text: []byte("no")}).Append(nil))
			}
		}
	}
	for range 150 { // 40 minutes, in which others come
		n.remote(n.publicIP()).ok().query(x.addr, dht.Msg{Method: dht.MethodPing})
		n.run(16 * time.Second)
	}
	kept := 0
	for _, a := range x.table() {
		if slices.ContainsFunc(liars, func(r *remote) bool { return r.addr == a }) {
			kept++
		}
	}
	t.Logf("%d nodes, of them %d of those that answer errors", len(x.table()), kept)
	if kept > len(there)/4 { // where nobody waits they stay
		t.Errorf("%d of %d are there still", kept, len(there))
	}
}
