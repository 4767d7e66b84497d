package engine

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utpnative"
)

// Engine is a live session: torrents over real sockets and files. All methods may be
// called from any goroutine.
type Engine struct {
	core  *Core
	world *actor.Live
	hub   hub
	below *below
	ended chan struct{}
	err   error
	over  sync.Once
}

// New starts an engine. Close it to have all of it back.
func New(cfg Config) (*Engine, error) {
	e := &Engine{world: actor.NewLive(actor.LiveConfig{Logger: cfg.Logger}), ended: make(chan struct{})}
	e.below = newBelow(e.world, &cfg)
	e.core = NewCore(e.below.deps, cfg, e.hub.emit, func(err error) {
		e.err = err
		close(e.ended)
	})
	if cfg.NoListen {
		return e, nil
	}
	addrs, err := e.Addrs(context.Background())
	if err != nil {
		_ = e.Close(0) // err says more
		return nil, err
	}
	if len(addrs) > 0 {
		e.below.port.Store(uint32(addrs[0].Port()))
	}
	return e, nil
}

// Close ends all torrents in good order, with up to limit for trackers to hear of
// it, and gives everything back: goroutines, sockets, files. It may be called again,
// also at the same time: all calls return when it is done. The error says why the
// engine ended otherwise than in good order, or that files could not be closed well.
func (e *Engine) Close(limit time.Duration) error {
	e.core.Close(limit)
	<-e.ended
	e.over.Do(func() {
		e.err = errors.Join(e.err, e.below.close(e.world))
		e.hub.close()
	})
	return e.err
}

// Add adds a torrent; it begins to work at once unless opt says Paused.
func (e *Engine) Add(ctx context.Context, opt AddOptions) (*Torrent, error) {
	a, err := actor.Ask(ctx, e.core.session.Inlet, func(r actor.Ref[added]) sessionMsg { return add{opt, r} })
	return a.t, closedOr(errors.Join(err, a.err))
}

// Torrents lists all torrents in the order in which they were added.
func (e *Engine) Torrents(ctx context.Context) ([]*Torrent, error) {
	out, err := actor.Ask(ctx, e.core.session.Inlet, func(r actor.Ref[[]*Torrent]) sessionMsg { return list{r} })
	return out, closedOr(err)
}

// Addrs returns the addresses on which the engine listens, or why it can't.
func (e *Engine) Addrs(ctx context.Context) ([]netip.AddrPort, error) {
	b, err := actor.Ask(ctx, e.core.session.Inlet, func(r actor.Ref[boundTo]) sessionMsg { return whereBound{r} })
	return b.addrs, closedOr(errors.Join(err, b.err))
}

// DHT returns the way to the engine's nodes of the DHT.
func (e *Engine) DHT() DHT {
	return DHT{func(ctx context.Context) (actor.Inlet[findersMsg], error) {
		return actor.Ask(ctx, e.core.session.Inlet, func(r actor.Ref[actor.Inlet[findersMsg]]) sessionMsg { return askDHT{r} })
	}}
}

// SetLimits changes the session's rate limits, at once.
func (e *Engine) SetLimits(l Limits) { e.core.governor.Ref.Tell(setLimits{limits: l}) }

// Events returns a channel of everything that happens from now on, and a function
// that ends it. A reader that falls more than buffer events behind loses the newest;
// state can always be asked for.
func (e *Engine) Events(buffer int) (<-chan Event, func()) { return e.hub.subscribe(buffer) }

// below is what a live engine makes beneath its actors.
type below struct {
	deps     Deps
	disk     actor.Child[storage.Message]
	workers  *storage.LiveWorkers
	trackers *tracker.LiveClient
	diskGone chan struct{}
	finders  *findersBelow
	port     atomic.Uint32 // that the engine listens on, once it is known
}

func newBelow(world *actor.Live, cfg *Config) *below {
	b := &below{diskGone: make(chan struct{})}
	memory := cfg.Memory
	if memory <= 0 {
		memory = 64 << 20
	}
	slab := block.NewSlab(memory)
	b.startStorage(world, cfg, slab)
	network := transport.NewNet(transport.NetConfig{Bind: cfg.Bind})
	b.deps = Deps{World: world, Slab: slab, Disk: b.disk.Ref}
	b.finders = newFindersBelow(network, bindOr(cfg.Bind, cfg.Listen.Addr()), cfg.StateDir)
	b.finders.fill(&b.deps)
	b.trackers = tracker.NewLiveClient(tracker.ClientConfig{UserAgent: "shoal/" + Version, Network: trackerNet{network, b.deps.Datagrams, &b.port}})
	b.deps.Trackers = b.trackers
	b.deps.Keys = new(transport.Keys)
	makers := cfg.Transports
	if makers == nil {
		makers = DefaultTransports
	}
	for _, f := range makers {
		b.deps.Transports = append(b.deps.Transports, f(transport.Env{
			Slab: slab, Keys: b.deps.Keys, Encryption: cfg.Encryption,
			World: world, Net: network, Datagrams: b.deps.Datagrams,
		}))
	}
	return b
}

// DefaultTransports are TCP, and uTP of our own (BEP 29) for whom TCP does not reach.
var DefaultTransports = []func(transport.Env) transport.Transport{transport.TCP, utpnative.Make}

// startStorage starts the storage actor and its workers.
func (b *below) startStorage(world *actor.Live, cfg *Config, slab *block.Slab) {
	b.workers = storage.NewLiveWorkers()
	a := storage.New(storage.Config{
		Workers: b.workers, Slab: slab, StateDir: cfg.StateDir, Shared: cfg.SharedState, Lanes: b.workers.Lanes(),
	})
	b.disk = actor.Root(world, actor.Spec{Name: "storage", Limit: diskLimit(cfg.Caps) + storage.MailLimit}, a,
		func(actor.Exit) { close(b.diskGone) })
}

// close ends what is below, when the session is gone.
func (b *below) close(world *actor.Live) error {
	b.disk.Stop(nil)
	<-b.diskGone
	err := b.workers.Close()
	b.trackers.Close()
	b.finders.close()
	world.Close()
	return err
}

// hub hands events to whoever has subscribed. It never holds up the actors.
type hub struct {
	mu     sync.Mutex
	subs   []*subscription
	closed bool
}

type subscription struct{ ch chan Event }

func (h *hub) emit(ev Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subs) == 0 {
		return
	}
	ev.Time = time.Now()
	for _, s := range h.subs {
		select {
		case s.ch <- ev:
		default: // it reads too slowly
		}
	}
}

func (h *hub) subscribe(buffer int) (<-chan Event, func()) {
	s := &subscription{make(chan Event, max(buffer, 1))}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(s.ch)
		return s.ch, func() {}
	}
	h.subs = append(h.subs, s)
	return s.ch, func() { h.unsubscribe(s) }
}

func (h *hub) unsubscribe(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, x := range h.subs {
		if x == s {
			h.subs = append(h.subs[:i], h.subs[i+1:]...)
			close(s.ch)
			return
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.subs {
		close(s.ch)
	}
	h.subs, h.closed = nil, true
}
