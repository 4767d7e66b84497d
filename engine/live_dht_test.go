package engine

import (
	"context"
	"crypto/ed25519"
	"crypto/sha1"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
)

// TestNodesOfTheDHTWithoutTorrents: two nodes over loopback, one of which begins with
// the other; the tables are kept.
func TestNodesOfTheDHTWithoutTorrents(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	lo := netip.MustParseAddrPort("127.0.0.1:0")
	start := func(dir string, begin ...string) (*DHTNode, netip.AddrPort) {
		n, err := NewDHTNode(DHTConfig{Listen: lo, StateDir: dir, Bootstrap: append([]string{}, begin...)})
		check(t, err)
		t.Cleanup(func() { check(t, n.Close()) })
		for ctx.Err() == nil {
			if addrs, err := n.Addrs(ctx); err == nil {
				return n, addrs[0]
			}
		}
		t.Fatal("no socket")
		return nil, lo
	}
	dir := t.TempDir()
	a, at := start("")
	b, _ := start(dir, at.String())
	check(t, b.Ready(ctx))
	hash := sha1.Sum([]byte("a torrent"))
	done, err := a.GetPeers(ctx, hash, DHTLookup{Announce: true, Port: 4242}, nil)
	check(t, err)
	if len(done) != 1 || done[0].Stored != 1 {
		t.Errorf("announced: %+v", done)
	}
	if p, err := b.Ping(ctx, at); err != nil || p.Node.Addr != at {
		t.Errorf("ping: %+v, %v", p, err)
	}
	if tables, err := b.Nodes(ctx); err != nil || len(tables) != 1 || len(tables[0].Buckets) == 0 {
		t.Errorf("tables %+v, %v", tables, err)
	}
	followTorrent(ctx, t, a)
	check(t, b.Close())
	if st, err := os.Stat(filepath.Join(dir, "dht4.dat")); err != nil || st.Size() == 0 {
		t.Errorf("the table is not kept: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := b.Stats(ctx); err == nil {
		t.Error("a node that is closed answers")
	}
	if err := b.Follow(ctx, DHTFollow{}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("followed by a node that is closed: %v", err)
	}
}

// followTorrent publishes by a node, the other keeps it, and follows by it until it has
// seen enough.
func followTorrent(ctx context.Context, t *testing.T, n *DHTNode) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	it, err := dht.SignItem(key, []byte("s"), dht.TorrentValue([20]byte{1}), 3)
	check(t, err)
	_, err = n.Put(ctx, dht.PutItem{Item: it})
	check(t, err)
	enough, stop := context.WithCancel(ctx)
	var last dht.Followed
	err = n.Follow(enough, DHTFollow{Key: it.Key, Salt: "s"}, func(f dht.Followed) { last = f; stop() })
	if last.Hash != [20]byte{1} || last.Seq != 3 || !last.Changed || !errors.Is(err, context.Canceled) {
		t.Errorf("followed: %+v, %v", last, err)
	}
	if err := n.Follow(ctx, DHTFollow{Salt: strings.Repeat("s", dht.MaxSalt+1)}, nil); !errors.Is(err, dht.ErrBadItem) {
		t.Errorf("a salt that is too long: %v", err)
	}
}
