package swarm

import (
	"testing"
	"time"
)

// TestSwarmsByDHTAlone: without tracker, PEX and LSD, nodes find each other in the DHT,
// and all have everything in the end.
func TestSwarmsByDHTAlone(t *testing.T) {
	for name, cfg := range map[string]Config{
		"all reachable":     {Leechers: 9},
		"some behind NATs":  {Leechers: 9, Unreachable: 40},
		"with magnet links": {Leechers: 5, Magnet: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Seed, cfg.Size, cfg.PieceLen, cfg.DHT, cfg.NoPEX = 3, 8<<20, 256<<10, true, true
			cfg.Join = 30 * time.Second
			a, err := runOnce(cfg)
			if err != nil {
				t.Fatal(err)
			}
			b, err := runOnce(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if a != b {
				t.Errorf("two runs of one seed differ: %x, %x", a, b)
			}
		})
	}
}
