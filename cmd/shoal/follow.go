package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

// follower hears from the DHT which torrent a key names (BEP 46).
type follower struct {
	updates chan update // nil: nothing is followed
	dht     engine.DHT
}

// update is what a key names now, or why that could not be found out.
type update struct {
	hash metainfo.Hash
	seq  int64
	err  error
}

// followEvery is how often a newer torrent is asked for.
var followEvery = 5 * time.Minute

// followRetry is when a DHT is asked for again that is not there.
const followRetry = 5 * time.Second

// follow starts a follower, which ends with ctx.
func follow(ctx context.Context, d engine.DHT, key metainfo.MutableKey) follower {
	f := follower{make(chan update), d}
	o := engine.DHTFollow{Key: key.Key, Salt: key.Salt, Interval: followEvery}
	go func() {
		for ctx.Err() == nil {
			err := d.Follow(ctx, o, func(n dht.Followed) { f.tell(ctx, named(n)) })
			f.tell(ctx, update{err: err})
			select {
			case <-time.After(followRetry):
			case <-ctx.Done():
			}
		}
	}()
	return f
}

// tell waits until the transfer has time for it.
func (f *follower) tell(ctx context.Context, u update) {
	select {
	case f.updates <- u:
	case <-ctx.Done():
	}
}

// named is what the DHT says of a key.
func named(n dht.Followed) update {
	if errors.Is(n.Err, dht.ErrNotTorrent) {
		return update{err: fail(exitBadTorrent, "what the key names is no torrent: %w", n.Err)}
	}
	return update{hash: metainfo.HashV1(n.Hash), seq: n.Seq, err: n.Err}
}

// errNewer ends the transfer of a torrent when its key names another.
var errNewer = errors.New("there is a newer torrent")

// runFollowing transfers what a key names, and what it names later, while that goes on.
func (x *transfer) runFollowing(ctx context.Context, eng *engine.Engine) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	x.follow = follow(inner, eng.DHT(), *x.follows)
	if err := x.awaitNamed(ctx); err != nil {
		return err
	}
	for {
		err := x.fetch(ctx, eng)
		if !errors.Is(err, errNewer) {
			return err
		}
		x.become(x.next)
	}
}

// awaitNamed waits until it is known which torrent the key names.
func (x *transfer) awaitNamed(ctx context.Context) error {
	tick := time.NewTicker(x.rep.pace())
	defer tick.Stop()
	why := "no answer yet"
	for {
		select {
		case u := <-x.follow.updates:
			if u.err == nil {
				x.become(u)
				return nil
			}
			if exitCode(u.err) == exitBadTorrent {
				return fail(exitBadTorrent, "%s: %w", x.name, u.err)
			}
			why = u.err.Error()
		case <-tick.C:
			x.rep.progress(progress{id: x.id, phase: resolving, eta: -1, TorrentStats: engine.TorrentStats{Name: x.name}})
			if err := x.overdueName(time.Now(), why); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// overdueName ends the wait for what the key names at --timeout, and tells in time why
// it takes so long.
func (x *transfer) overdueName(now time.Time, why string) error {
	waited, limit := now.Sub(x.start), x.opt.timeout.Duration
	over := limit > 0 && waited >= limit
	if !over && (x.moves.said || waited < explainAfter) {
		return nil
	}
	text := why
	if t := trouble(x.follow.dht); t != "" {
		text += ": " + t
	}
	if !x.moves.said {
		x.moves.said = true
		x.rep.event("diagnosis", x.hash, keys{"text": "DHT: " + text, "peers": 0, "addresses": 0, "trackers": []keys{}, "sources": []keys{{"name": "dht", "state": text, "on": true, "addresses": 0}}, "failures": []string{}})
		x.rep.note("%s: DHT: %s", x.name, text)
	}
	if over {
		return fail(exitNoPeers, "%s: what it names was not found within %v: DHT: %s", x.name, limit, text)
	}
	return nil
}

// become makes it the transfer of the torrent that the key names now.
func (x *transfer) become(u update) {
	link := *x.add.Magnet
	link.Hash = u.hash
	x.hash, x.add.Magnet, x.add.Torrent, x.add.Choose = u.hash, &link, nil, x.chosen
	x.meta, x.told, x.added, x.stats = nil, nil, false, engine.TorrentStats{}
	x.done, x.troubled, x.flushed, x.voices = false, false, nil, voices{}
	now := time.Now()
	x.moves = moves{from: now, at: now}
	x.rep.event("resolved", u.hash, keys{"key": hex.EncodeToString(x.follows.Key[:]), "salt": hex.EncodeToString([]byte(x.follows.Salt)), "seq": u.seq})
	x.rep.note("%s: names %v (version %d)", short(x.name, 60), u.hash, u.seq)
}

// onUpdate takes word of what the key names while a torrent is transferred: a newer one
// replaces it. That nobody answers at the moment is no matter then.
func (x *transfer) onUpdate(u update) error {
	if u.err != nil || u.hash == x.hash {
		return nil
	}
	x.next = u
	return fmt.Errorf("%s: %w", x.name, errNewer)
}
