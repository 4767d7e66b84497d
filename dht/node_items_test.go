package dht_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
)

func keyPair(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(key ed25519.PrivateKey) [32]byte { return [32]byte(key.Public().(ed25519.PublicKey)) }

func (x *node) put(it dht.Item, change func(*dht.PutItem)) dht.ItemStored {
	x.n.t.Helper()
	return x.ask(func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
		m := dht.PutItem{ID: id, Item: it, Reply: to}
		if change != nil {
			change(&m)
		}
		return m
	}).last.(dht.ItemStored)
}

func (x *node) get(change func(*dht.GetItem)) dht.ItemFound {
	x.n.t.Helper()
	return x.ask(func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
		m := dht.GetItem{ID: id, Reply: to}
		change(&m)
		return m
	}).last.(dht.ItemFound)
}

func TestItems(t *testing.T) {
	n := newNetwork(t, 1)
	all := n.nodes(40, 100*time.Millisecond)
	n.run(30 * time.Second)
	writer, reader := all[1], all[30]

	fixed, err := dht.NewItem([]byte("12:Hello World!"))
	if err != nil {
		t.Fatal(err)
	}
	if s := writer.put(fixed, nil); s.Err != nil || s.Stored != dht.K || s.Target != fixed.Target() {
		t.Fatalf("put: %+v", s)
	}
	if f := reader.get(func(m *dht.GetItem) { m.Target = fixed.Target() }); f.Err != nil || string(f.Item.Value) != "12:Hello World!" {
		t.Fatalf("get: %+v", f)
	}
	if f := reader.get(func(m *dht.GetItem) { m.Target = hash("nothing") }); !errors.Is(f.Err, dht.ErrNotFound) {
		t.Fatalf("get of nothing: %+v", f)
	}

	key := keyPair(1)
	mutable := func(value string, seq int64) dht.Item {
		it, err := dht.SignItem(key, []byte("s"), []byte(value), seq)
		if err != nil {
			t.Fatal(err)
		}
		return it
	}
	mine := func(m *dht.GetItem) { m.Mutable, m.Key, m.Salt = true, public(key), []byte("s") }
	if s := writer.put(mutable("3:one", 1), nil); s.Err != nil || s.Stored != dht.K {
		t.Fatalf("put: %+v", s)
	}
	if s := writer.put(mutable("3:two", 2), func(m *dht.PutItem) { m.HasCAS, m.CAS = true, 1 }); s.Err != nil {
		t.Fatalf("put with cas: %+v", s)
	}
	var refused *dht.RemoteError
	if s := writer.put(mutable("3:six", 6), func(m *dht.PutItem) { m.HasCAS, m.CAS = true, 5 }); !errors.As(s.Err, &refused) || refused.Code != dht.CodeCASMismatch {
		t.Fatalf("put with a wrong cas: %+v", s)
	}
	if s := writer.put(mutable("3:one", 1), nil); !errors.As(s.Err, &refused) || refused.Code != dht.CodeSeqTooLow {
		t.Fatalf("put of an old one: %+v", s)
	}
	f := reader.get(mine)
	if f.Err != nil || string(f.Item.Value) != "3:two" || f.Item.Seq != 2 || f.Closest < dht.K-1 || f.Copies < dht.K-1 { // the reader itself may be the eighth
		t.Fatalf("get: %+v", f)
	}
	if f = reader.get(func(m *dht.GetItem) { mine(m); m.Newer, m.Seq = true, 2 }); !errors.Is(f.Err, dht.ErrNotFound) {
		t.Fatalf("get of something newer: %+v", f)
	}
	forged := mutable("3:two", 3)
	forged.Seq = 9
	if s := writer.put(forged, nil); !errors.Is(s.Err, dht.ErrBadItem) || s.Effort.Queried != 0 {
		t.Fatalf("put of a forgery: %+v", s)
	}
}

func TestSample(t *testing.T) {
	n := newNetwork(t, 2)
	all := n.nodes(20, 100*time.Millisecond)
	h := hash("a torrent")
	_, done := all[3].getPeers(h, func(m *dht.GetPeers) { m.Announce = true })
	a := all[4].ask(func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
		return dht.Sample{ID: id, Addr: done.Closest[0].Addr, Target: h, Reply: to}
	}).last.(dht.Sampled)
	if a.Err != nil || len(a.Hashes) != 1 || a.Hashes[0] != h || a.Num != 1 || a.Node != done.Closest[0] || len(a.Nodes) == 0 {
		t.Errorf("%+v", a)
	}
	p := all[4].ask(func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
		return dht.Ping{ID: id, Addr: all[7].addr, Reply: to}
	}).last.(dht.Ponged)
	if p.Err != nil || p.Node.ID != all[7].id || p.RTT != 40*time.Millisecond {
		t.Errorf("%+v", p)
	}
}

// TestFollower: a publisher changes a torrent, a follower hears of it, and keeps the
// item alive when the publisher is gone (BEP 46).
func TestFollower(t *testing.T) {
	n := newNetwork(t, 3)
	all := n.nodes(40, 100*time.Millisecond)
	n.run(30 * time.Second)
	key := keyPair(2)
	publish := func(name string, seq int64) {
		it, err := dht.SignItem(key, nil, dht.TorrentValue(hash(name)), seq)
		if err != nil {
			t.Fatal(err)
		}
		if s := all[1].put(it, nil); s.Err != nil {
			t.Fatal(s.Err)
		}
	}
	var told []dht.Followed
	actor.Root(n.w, dht.FollowSpec(), dht.NewFollower(dht.FollowConfig{
		Nodes: []actor.Ref[dht.Message]{all[20].child.Ref, all[21].child.Ref},
		Key:   public(key),
		Reply: actor.FuncRef(func(f dht.Followed) { told = append(told, f) }),
	}), nil)
	n.run(10 * time.Second)
	if len(told) != 2 || !errors.Is(told[0].Err, dht.ErrNotFound) || told[1] != told[0] {
		t.Fatalf("before there is anything: %+v", told)
	}
	publish("one", 1)
	n.run(time.Minute)
	last := func() dht.Followed { return told[len(told)-1] }
	if last().Hash != hash("one") || last().Err != nil {
		t.Fatalf("first: %+v", told)
	}
	publish("two", 2)
	n.run(20 * time.Minute)
	if len(told) > 20 {
		t.Errorf("%d polls", len(told))
	}
	changes := 0
	for _, f := range told {
		if f.Changed {
			changes++
		}
	}
	if last().Hash != hash("two") || last().Seq != 2 || changes != 2 {
		t.Fatalf("second: %+v", told)
	}
	// Items live for two hours; the follower's puts keep this one.
	n.run(5 * time.Hour)
	f := all[30].get(func(m *dht.GetItem) { m.Mutable, m.Key = true, public(key) })
	if got, err := dht.TorrentHash(&f.Item); f.Err != nil || err != nil || got != hash("two") {
		t.Errorf("after five hours: %+v", f)
	}
}

func TestTorrentHash(t *testing.T) {
	for _, v := range []string{"", "i1e", "de", "d2:ih3:abce", "d2:ihi5ee", "le"} {
		if _, err := dht.TorrentHash(&dht.Item{Value: []byte(v)}); !errors.Is(err, dht.ErrNotTorrent) {
			t.Errorf("%q: %v", v, err)
		}
	}
}
