package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// Core is the engine's actors over given dependencies: what Engine runs live and a
// simulation runs under a seed. Its methods never wait; answers come to functions
// that are called on an actor's turn and must not wait either.
type Core struct {
	governor actor.Child[governorMsg]
	session  actor.Child[sessionMsg]
}

// NewCore starts session and governor in the world of deps. emit sees every event.
// ended is called once, when the session has closed and the governor is gone.
func NewCore(deps Deps, cfg Config, emit func(Event), ended func(error)) *Core {
	if cfg.Version == "" {
		cfg.Version = "shoal/" + Version
	}
	c := &Core{}
	exits := &exits{left: 2, ended: ended}
	c.governor = actor.Root(deps.World, actor.Spec{Name: "governor", Limit: governorLimit}, newGovernor(cfg.Caps, cfg.Limits),
		func(e actor.Exit) {
			c.session.Stop(e.Err) // does nothing in good order
			exits.add(e)
		})
	s := newSession(deps, cfg, c.governor.Ref, actor.FuncRef(emit))
	c.session = actor.Root(deps.World, actor.Spec{Name: "session", Limit: sessionLimit, Pump: commandWindow}, s,
		func(e actor.Exit) {
			c.governor.Stop(nil)
			exits.add(e)
		})
	c.session.Ref.Tell(open{c.session.Inlet, !cfg.NoListen})
	return c
}

// exits waits for the ends of several actors, which may come on several goroutines.
type exits struct {
	mu    sync.Mutex
	left  int
	err   error
	ended func(error)
}

func (x *exits) add(e actor.Exit) {
	x.mu.Lock()
	x.err = errors.Join(x.err, e.Err)
	x.left--
	last, err := x.left == 0, x.err
	x.mu.Unlock()
	if last {
		x.ended(err)
	}
}

// Add adds a torrent.
func (c *Core) Add(opt AddOptions, done func(*Torrent, error)) {
	c.session.Ref.Tell(add{opt, actor.FuncRef(func(a added) { done(a.t, a.err) })})
}

// Close ends the session in good order; trackers have limit to hear of it.
func (c *Core) Close(limit time.Duration) { c.session.Ref.Tell(closeAll{limit}) }

// Torrent is a torrent of a session. Its methods may be called from any goroutine;
// after its removal they return ErrClosed.
type Torrent struct {
	hash     metainfo.Hash
	meta     atomic.Pointer[metainfo.Torrent]
	in       actor.Inlet[torrentMsg]
	governor actor.Ref[governorMsg]
	session  actor.Inlet[sessionMsg]
	disk     actor.Ref[storage.Message]
	store    storage.ID
	id       uint64
}

// Meta returns the torrent's description, nil as long as that of a magnet is not known.
// It must not be changed.
func (t *Torrent) Meta() *metainfo.Torrent { return t.meta.Load() }

// Metadata waits until the torrent's description is known and returns it. The error says
// why it will not be: the torrent has ended or failed, or ctx has.
func (t *Torrent) Metadata(ctx context.Context) (*metainfo.Torrent, error) {
	if m := t.Meta(); m != nil {
		return m, nil
	}
	got, err := ask(ctx, t, func(r actor.Ref[gotMetadata]) torrentMsg { return askMetaInfo{r} })
	return got.meta, errors.Join(err, closedOr(got.err))
}

// Hash returns the info-hash by which the torrent was added, which stays its name in the
// session. Of a hybrid that was added by a link with one of its two hashes, Meta has both.
func (t *Torrent) Hash() metainfo.Hash { return t.hash }

// do sends a command and waits for its answer.
func (t *Torrent) do(ctx context.Context, m func(actor.Ref[error]) torrentMsg) error {
	err, failed := actor.Ask(ctx, t.in, m)
	return closedOr(errors.Join(failed, err))
}

// closedOr translates the runtime's word for an actor that has ended.
func closedOr(err error) error {
	if errors.Is(err, actor.ErrStopped) {
		return ErrClosed
	}
	return err
}

func ask[R any](ctx context.Context, t *Torrent, m func(actor.Ref[R]) torrentMsg) (R, error) {
	r, err := actor.Ask(ctx, t.in, m)
	return r, closedOr(err)
}

// Stats returns a snapshot.
func (t *Torrent) Stats(ctx context.Context) (TorrentStats, error) {
	return ask(ctx, t, func(r actor.Ref[TorrentStats]) torrentMsg { return askStats{r} })
}

// Peers returns a snapshot of the connections.
func (t *Torrent) Peers(ctx context.Context) ([]PeerStats, error) {
	return ask(ctx, t, func(r actor.Ref[[]PeerStats]) torrentMsg { return askPeers{r} })
}

// Trackers returns a snapshot of the trackers.
func (t *Torrent) Trackers(ctx context.Context) ([]TrackerStats, error) {
	return ask(ctx, t, func(r actor.Ref[[]TrackerStats]) torrentMsg { return askTrackers{r} })
}

// Files returns a snapshot of the files, in the order of the torrent.
func (t *Torrent) Files(ctx context.Context) ([]FileStats, error) {
	return ask(ctx, t, func(r actor.Ref[[]FileStats]) torrentMsg { return askFiles{r} })
}

// Pause ends all transfer; Resume takes it up again, also after a failure.
func (t *Torrent) Pause(ctx context.Context) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return pause{r} })
}

// Resume takes transfer up again, after Pause or a failure.
func (t *Torrent) Resume(ctx context.Context) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return resume{r} })
}

// SetPriorities says how much each file is wanted: 0 not at all, 1 to 7 otherwise, 4
// is normal. There must be one for each file.
func (t *Torrent) SetPriorities(ctx context.Context, prio []uint8) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return setPriorities{prio, r} })
}

// SetStrategy switches the picker, the choker or both, by name, while running.
func (t *Torrent) SetStrategy(ctx context.Context, picker, choker string) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return setStrategy{picker, choker, r} })
}

// Recheck hashes everything on disk again and returns when that is done.
func (t *Torrent) Recheck(ctx context.Context) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return recheck{r} })
}

// Reannounce asks all trackers for peers as soon as they allow it.
func (t *Torrent) Reannounce(ctx context.Context) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return reannounce{r} })
}

// AddTrackers adds trackers.
func (t *Torrent) AddTrackers(ctx context.Context, urls ...string) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return addTrackers{urls, r} })
}

// AddPeers adds addresses of peers.
func (t *Torrent) AddPeers(ctx context.Context, addrs ...netip.AddrPort) error {
	return closedOr(t.in.Put(ctx, found{addrs, SourceUser}))
}

// Move moves the files to another folder, also across devices, while transfer goes on.
func (t *Torrent) Move(ctx context.Context, dir string) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return move{dir, r} })
}

// Rename gives a file another path, below the torrent's folder.
func (t *Torrent) Rename(ctx context.Context, file metainfo.FileIndex, path string) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return rename{file, path, r} })
}

// Sync makes everything written so far durable.
func (t *Torrent) Sync(ctx context.Context) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return syncAll{r} })
}

// SetPeerLimits limits the connection to the peer at addr, as Peers names it, for as
// long as it lasts.
func (t *Torrent) SetPeerLimits(ctx context.Context, addr netip.AddrPort, l Limits) error {
	return t.do(ctx, func(r actor.Ref[error]) torrentMsg { return limitPeer{addr, l, r} })
}

// SetLimits changes the torrent's own rate limits, at once.
func (t *Torrent) SetLimits(l Limits) { t.governor.Tell(setLimits{torrent: t.id, limits: l}) }

// Remove ends the torrent and forgets it, with its files if data says so. Trackers
// have up to limit to hear of it.
func (t *Torrent) Remove(ctx context.Context, data bool, limit time.Duration) error {
	return t.end(ctx, remove{hash: t.hash, data: data, limit: limit})
}

// Close ends the torrent in good order, as the end of its engine does: its files and
// its record stay, and adding it again goes on where it stopped. Trackers have up to
// limit to hear of it.
func (t *Torrent) Close(ctx context.Context, limit time.Duration) error {
	return t.end(ctx, remove{hash: t.hash, keep: true, limit: limit})
}

func (t *Torrent) end(ctx context.Context, m remove) error {
	err, failed := actor.Ask(ctx, t.session, func(r actor.Ref[error]) sessionMsg {
		m.reply = r
		return m
	})
	return closedOr(errors.Join(failed, err))
}

// String names the torrent for logs.
func (t *Torrent) String() string {
	if m := t.Meta(); m != nil {
		return fmt.Sprintf("%s (%v)", m.Name, t.hash)
	}
	return t.hash.String()
}
