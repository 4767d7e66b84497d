package engine

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/pex"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// FuzzExtended plays any extended messages (BEP 9, 10, 11, 21, 54) to a peer, with or
// without the metadata: it ends the connection or goes on, passes on no more than the
// bounds allow, and answers no more than it was asked.
func FuzzExtended(f *testing.F) {
	f.Add(uint8(0), []byte("d1:md11:ut_metadatai3e6:ut_pexi4e11:lt_donthavei5e12:ut_holepunchi6ee1:ei1e1:pi6881e4:reqqi5e13:metadata_sizei99ee"),
		uint8(2), []byte("d5:added12:\x2d\x01\x02\x03\x1a\xe1\x0a\x01\x02\x03\x1a\xe17:added.f2:\x12\x02e"), uint8(0))
	f.Add(uint8(1), []byte("d8:msg_typei0e5:piecei0ee"), uint8(1), []byte("d8:msg_typei1e5:piecei0e10:total_sizei5eeabcde"), uint8(1))
	f.Add(uint8(3), []byte("\x00\x00\x00\x05"), uint8(4), []byte("\x01"), uint8(2))
	f.Add(uint8(3), []byte("\xff\xff\xff\xff"), uint8(0), []byte("d1:md6:ut_pexi0eee"), uint8(3))
	f.Fuzz(func(t *testing.T, id1 uint8, first []byte, id2 uint8, second []byte, how uint8) {
		if len(first)+len(second) > 64<<10 {
			return
		}
		tp := livePeer(t, wire.FlagExtension|wire.Reserved(how&4), func(cfg *peerConfig) {
			cfg.pex = how&8 == 0
			switch how & 3 {
			case 0:
				cfg.info = make([]byte, 40_000)
			case 1:
				cfg.lengths, cfg.have = metainfo.Lengths{}, nil
			}
		})
		rumours := 0
		for _, m := range []struct {
			id      uint8
			payload []byte
		}{{id1, first}, {id2, second}, {id1, first}, {id2, second}} {
			if tp.exit != nil {
				break
			}
			b := transport.NewBatch()
			for range 2 {
				b.Add(wire.ExtendedMessage(m.id, m.payload))
			}
			b.Wire = int64(2 * len(m.payload))
			tp.put(b)
			got := tp.heard()
			rumours += len(got.pex)
			if !tp.cfg.pex && len(got.pex) > 0 {
				t.Fatal("ut_pex was not offered")
			}
			for _, p := range got.pex {
				if originScope(p.Addr.Addr()) == pex.Loopback || p.Addr.Port() == 0 {
					t.Fatalf("%v is believed of %v", p.Addr, tpRemote)
				}
			}
			tp.pass(time.Second)
		}
		if rumours > 200 {
			t.Fatalf("%d addresses are believed", rumours)
		}
	})
}
