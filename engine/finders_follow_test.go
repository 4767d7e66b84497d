package engine

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
)

// tell puts a message to the finders of a home, as an outsider does.
func (h *home) tell(m findersMsg) {
	h.v.t.Helper()
	h.ts.core.session.Ref.Tell(askDHT{actor.FuncRef(func(in actor.Inlet[findersMsg]) {
		if !in.TryPut(m) {
			h.v.t.Error("the finders take nothing")
		}
	})})
	h.v.pass(0)
}

// publish makes a key name a torrent, by a home's node.
func (h *home) publish(key ed25519.PrivateKey, hash [20]byte, seq int64) {
	h.v.t.Helper()
	it, err := dht.SignItem(key, nil, dht.TorrentValue(hash), seq)
	if err != nil {
		h.v.t.Fatal(err)
	}
	stored := 0
	h.tell(askNodes{actor.FuncRef(func(d dhtDoors) {
		d.inlets[0].TryPut(dht.PutItem{ID: 1, Item: it, Reply: actor.FuncRef(func(a dht.Answer) { stored = a.(dht.ItemStored).Stored })})
	})})
	h.v.pass(10 * time.Second)
	if stored == 0 {
		h.v.t.Fatal("nobody stores the item")
	}
}

// Whoever follows before there is a node hears of the torrent as soon as there is one,
// and of each later torrent, until it has had enough.
func TestFollowing(t *testing.T) {
	v := newVillage(t, 7, 6, func(c *Config) { c.NoLSD = true })
	late := v.move(6, func(c *Config) { c.NoLSD = true })
	late.broken = errors.New("no UDP here")
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	v.homes[2].publish(key, [20]byte{1}, 1)

	var told []dht.Followed
	var over []error
	late.tell(follow{id: 9, cfg: dht.FollowConfig{
		Key: [32]byte(key.Public().(ed25519.PublicKey)), Interval: time.Minute,
		Reply: actor.FuncRef(func(f dht.Followed) { told = append(told, f) }),
	}, over: actor.FuncRef(func(err error) { over = append(over, err) })})
	v.pass(5 * time.Second)
	if len(told) == 0 || told[0].Changed || !errors.Is(told[0].Err, dht.ErrNoNodes) {
		t.Fatalf("without a node: %+v", told)
	}
	late.broken = nil
	v.pass(time.Minute)
	last := func() dht.Followed { return told[len(told)-1] }
	if f := last(); f.Hash != [20]byte{1} || f.Err != nil {
		t.Fatalf("with a node: %+v", told)
	}
	v.homes[3].publish(key, [20]byte{2}, 2)
	v.pass(2 * time.Minute)
	if f := last(); f.Hash != [20]byte{2} || f.Seq != 2 || f.Err != nil {
		t.Fatalf("the second: %+v", told)
	}
	late.tell(unfollow{9})
	v.pass(time.Second)
	if !slices.Equal(over, []error{nil}) {
		t.Errorf("over: %v", over)
	}
	polls := len(told)
	late.tell(unfollow{9}) // a second time is no matter
	v.pass(10 * time.Minute)
	if len(told) != polls || len(over) != 1 {
		t.Errorf("told %d times after the end, over: %v", len(told)-polls, over)
	}
}

func TestFollowersAreBounded(t *testing.T) {
	v := newVillage(t, 8, 1, func(c *Config) { c.NoLSD = true })
	var over []error
	for i := range uint64(maxFollows + 1) {
		v.homes[0].tell(follow{id: i, over: actor.FuncRef(func(err error) { over = append(over, err) })})
	}
	if !slices.Equal(over, []error{errFollows}) {
		t.Errorf("%v", over)
	}
	v.homes[0].ts.core.Close(0)
	v.pass(time.Second)
	if !v.homes[0].ended {
		t.Error("followers keep the session from its end")
	}
}
