package dht_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
)

// FuzzNode throws datagrams at a node that has lookups of every kind under way; those
// that begin with an even byte answer its latest query, transaction id and all.
func FuzzNode(f *testing.F) {
	f.Add([]byte("\x01d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"))
	f.Add([]byte("\x01d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe"))
	f.Add([]byte("\x00d2:id20:0123456789abcdefghij5:nodes26:abcdefghijabcdefghij\x2d\x01\x02\x03\x1a\xe15:token2:tke"))
	f.Add([]byte("\x00d2:id20:0123456789abcdefghij6:valuesl6:\x2d\x01\x02\x03\x1a\xe1e5:token2:tke"))
	f.Add([]byte("\x00d2:id20:0123456789abcdefghij1:k3:abc3:seqi-1e3:sig1:x1:v1:ye"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		n := newNetwork(t, 1)
		r := n.player(netip.MustParseAddrPort("45.2.0.1:7000"))
		x := n.node(netip.MustParseAddrPort("45.1.0.1:6881"), func(c *dht.Config) { c.Bootstrap = []string{r.addr.String()} })
		var all []*answers
		for _, m := range []func(uint64, actor.Ref[dht.Answer]) dht.Message{
			func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
				return dht.GetPeers{ID: id, Announce: true, Scrape: true, Reply: to}
			},
			func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
				return dht.GetItem{ID: id, Mutable: true, Reply: to}
			},
			func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
				return dht.Sample{ID: id, Addr: r.addr, Reply: to}
			},
		} {
			all = append(all, x.request(m))
		}
		n.run(100 * time.Millisecond)
		if b[0]%2 == 1 {
			r.sendRaw(x.addr, b[1:])
		} else {
			for _, q := range r.got {
				m := append([]byte("d1:r"), b[1:]...)
				m = append(m, "1:t4:"...)
				r.sendRaw(x.addr, append(append(m, q.TID...), "1:y1:re"...))
			}
		}
		n.run(time.Minute)
		for i, a := range all {
			if a.many != 1 {
				t.Errorf("request %d was answered %d times", i, a.many)
			}
		}
	})
}
