package utpanacrolix

import (
	"fmt"
	"testing"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
)

// TestStreams moves 16 MiB between every two implementations, from who was dialed and
// from who dialed, and compares every byte.
func TestStreams(t *testing.T) {
	const blocks = 16 << 20 / block.Size
	for _, dir := range []struct{ dialer, listener string }{
		{"anacrolix", "anacrolix"}, {"anacrolix", "native"}, {"native", "anacrolix"},
	} {
		for _, leeches := range []string{"dialer", "listener"} {
			t.Run(fmt.Sprintf("%s dials %s, %s leeches", dir.dialer, dir.listener, leeches), func(t *testing.T) {
				w := newWorld(t)
				x := newNode(t, w, backends[dir.dialer], transport.Env{})
				y := newNode(t, w, backends[dir.listener], transport.Env{}).listen("127.0.0.1:0")
				l := x.dialed(y)
				var got, served chan error
				if leeches == "dialer" {
					got = startLeecher(x, l, blocks)
					served = startSeeder(y, waitFor(t, "a connection", y.accepted).Link)
				} else {
					served = startSeeder(x, l)
					got = startLeecher(y, waitFor(t, "a connection", y.accepted).Link, blocks)
				}
				if err := waitFor(t, "all blocks", got); err != nil {
					t.Fatal(err)
				}
				waitFor(t, "the seeder's end", served)
				eventually(t, "every slot is back", func() bool { return x.slab.Used()+y.slab.Used() == 0 })
			})
		}
	}
}
