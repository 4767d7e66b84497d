package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
)

// ErrNoDHT answers what needs a node of the DHT while there is none.
var ErrNoDHT = errors.New("no node of the DHT is running")

// DHT is the way to the nodes of the DHT that an [Engine] or a [DHTNode] runs, one for
// each family of addresses. Its methods may be called from any goroutine and wait until
// they have an answer or their context ends. They ask the nodes of both families at the
// same time unless an address says which.
type DHT struct {
	finders func(context.Context) (actor.Inlet[findersMsg], error)
}

// DHTLookup says what a GetPeers shall do besides looking.
type DHTLookup struct {
	// Announce tells the nodes closest to the hash that we are a peer, at Port or, if
	// that is 0, at the port of the DHT.
	Announce bool
	Port     uint16
	Seed     bool // announce as a seed (BEP 33)
	Scrape   bool // ask how many there are (BEP 33)
}

// open returns the doors, or why there are none.
func (d DHT) open(ctx context.Context) (doors dhtDoors, err error) {
	in, err := d.finders(ctx)
	if err == nil && !in.IsZero() {
		doors, err = actor.Ask(ctx, in, func(r actor.Ref[dhtDoors]) findersMsg { return askNodes{r} })
	}
	if err == nil && len(doors.inlets) == 0 {
		if err = ErrNoDHT; doors.err != nil {
			err = fmt.Errorf("%w: %w", ErrNoDHT, doors.err)
		}
	}
	return doors, closedOr(err)
}

// Addrs returns where the nodes listen.
func (d DHT) Addrs(ctx context.Context) ([]netip.AddrPort, error) {
	doors, err := d.open(ctx)
	return doors.addrs, err
}

// GetPeers looks for the peers of an info-hash. found gets them as they come, each call
// on the goroutine of the caller; it may be nil. It returns how the lookup of each node
// went, and an error if all have failed.
func (d DHT) GetPeers(ctx context.Context, hash [20]byte, o DHTLookup, found func([]netip.AddrPort)) ([]dht.LookupDone, error) {
	s := &peerStream{seen: map[netip.AddrPort]bool{}, news: make(chan struct{}, 1)}
	end := make(chan struct{})
	var done []dht.LookupDone
	var err error
	go func() {
		defer close(end)
		done, err = askAll[dht.LookupDone](ctx, d, func(r actor.Ref[dht.Answer]) dht.Message {
			return dht.GetPeers{ID: dhtIDs.next(), Hash: hash, Announce: o.Announce, Port: o.Port, Seed: o.Seed, Scrape: o.Scrape,
				Reply: actor.FuncRef(func(a dht.Answer) {
					if f, ok := a.(dht.PeersFound); ok {
						s.add(f.Addrs)
					} else {
						r.Tell(a)
					}
				})}
		}, func(a dht.LookupDone) error { return a.Err })
	}()
	for over := false; !over; {
		select {
		case <-s.news:
		case <-end:
			over = true
		}
		if addrs := s.take(); len(addrs) > 0 && found != nil {
			found(addrs)
		}
	}
	return done, err
}

// peerStream collects what nodes find until the caller takes it.
type peerStream struct {
	mu    sync.Mutex
	seen  map[netip.AddrPort]bool
	fresh []netip.AddrPort
	news  chan struct{}
}

func (s *peerStream) add(addrs []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range addrs {
		if !s.seen[a] {
			s.seen[a] = true
			s.fresh = append(s.fresh, a)
		}
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *peerStream) take() (out []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, s.fresh = s.fresh, nil
	return out
}

// Lookup finds the nodes closest to a target.
func (d DHT) Lookup(ctx context.Context, target dht.ID) ([]dht.NodesFound, error) {
	return askAll[dht.NodesFound](ctx, d, func(r actor.Ref[dht.Answer]) dht.Message {
		return dht.Lookup{ID: dhtIDs.next(), Target: target, Reply: r}
	}, func(a dht.NodesFound) error { return a.Err })
}

// Get looks for an item (BEP 44); ID and Reply of q are ignored. Of mutable items it
// returns the newest that any node has found.
func (d DHT) Get(ctx context.Context, q dht.GetItem) (dht.ItemFound, error) {
	all, err := askAll[dht.ItemFound](ctx, d, func(r actor.Ref[dht.Answer]) dht.Message {
		q.ID, q.Reply = dhtIDs.next(), r
		return q
	}, func(a dht.ItemFound) error { return a.Err })
	best := dht.ItemFound{Err: err}
	for _, a := range all {
		if a.Err == nil && (best.Item.Value == nil || best.Item.Seq < a.Item.Seq) {
			best = a
		}
	}
	return best, err
}

// Put stores an item (BEP 44), by the nodes of both families; ID and Reply of q are
// ignored. It returns the sum of what they have stored, and an error if that is nothing.
func (d DHT) Put(ctx context.Context, q dht.PutItem) (dht.ItemStored, error) {
	all, err := askAll[dht.ItemStored](ctx, d, func(r actor.Ref[dht.Answer]) dht.Message {
		q.ID, q.Reply = dhtIDs.next(), r
		return q
	}, func(a dht.ItemStored) error { return a.Err })
	sum := dht.ItemStored{Err: err}
	for _, a := range all {
		sum.Target = a.Target
		sum.Stored += a.Stored
		sum.Effort.Queried += a.Effort.Queried
		sum.Effort.Replied += a.Effort.Replied
		sum.Effort.Took = max(sum.Effort.Took, a.Effort.Took)
	}
	return sum, err
}

// DHTFollow says what Follow follows.
type DHTFollow struct {
	Key  [32]byte
	Salt string // at most dht.MaxSalt bytes
	// Interval between questions; default 5 minutes. While nothing is found they follow
	// each other by a few seconds.
	Interval time.Duration
}

// Follow asks again and again which torrent a key names (BEP 46), and keeps the item
// alive, until the context ends. told gets the outcomes, each call on the goroutine of
// the caller: while it is busy, the newest one is kept. The error says why there is
// nobody to ask; later there may be.
func (d DHT) Follow(ctx context.Context, o DHTFollow, told func(dht.Followed)) error {
	if len(o.Salt) > dht.MaxSalt {
		return dht.ErrBadItem
	}
	if _, err := d.open(ctx); err != nil {
		return err
	}
	in, err := d.finders(ctx)
	if err != nil {
		return closedOr(err)
	}
	news, end := make(chan dht.Followed, 1), make(chan error, 1)
	m := follow{id: dhtIDs.next()}
	m.cfg = dht.FollowConfig{Key: o.Key, Salt: []byte(o.Salt), Interval: o.Interval, Reply: actor.FuncRef(func(f dht.Followed) {
		select {
		case old := <-news:
			f.Changed = f.Changed || old.Changed
		default:
		}
		news <- f // nobody else writes there
	})}
	go func() {
		why, err := actor.Ask(ctx, in, func(r actor.Ref[error]) findersMsg { m.over = r; return m })
		end <- closedOr(errors.Join(err, why))
	}()
	for {
		select {
		case f := <-news:
			told(f)
		case err := <-end:
			_ = in.Put(context.WithoutCancel(ctx), unfollow{m.id}) // it fails if the finders have ended, too
			return err
		}
	}
}

// Sample asks one node which info-hashes it has stored (BEP 51).
func (d DHT) Sample(ctx context.Context, addr netip.AddrPort, target dht.ID) (dht.Sampled, error) {
	a, err := askOne[dht.Sampled](ctx, d, addr, func(r actor.Ref[dht.Answer]) dht.Message {
		return dht.Sample{ID: dhtIDs.next(), Addr: addr, Target: target, Reply: r}
	})
	return a, errors.Join(err, a.Err)
}

// Ping asks one node for its id.
func (d DHT) Ping(ctx context.Context, addr netip.AddrPort) (dht.Ponged, error) {
	a, err := askOne[dht.Ponged](ctx, d, addr, func(r actor.Ref[dht.Answer]) dht.Message {
		return dht.Ping{ID: dhtIDs.next(), Addr: addr, Reply: r}
	})
	return a, errors.Join(err, a.Err)
}

// Nodes returns the routing tables.
func (d DHT) Nodes(ctx context.Context) ([]dht.TableView, error) {
	return eachNode(ctx, d, func(in actor.Inlet[dht.Message]) (dht.TableView, error) {
		return actor.Ask(ctx, in, func(r actor.Ref[dht.TableView]) dht.Message { return dht.AskTable{Reply: r} })
	})
}

// Stats returns the numbers of each node.
func (d DHT) Stats(ctx context.Context) ([]dht.Stats, error) {
	return eachNode(ctx, d, func(in actor.Inlet[dht.Message]) (dht.Stats, error) {
		return actor.Ask(ctx, in, func(r actor.Ref[dht.Stats]) dht.Message { return dht.AskStats{Reply: r} })
	})
}

// AddNodes names addresses of nodes that are asked for their id, a few at a time.
func (d DHT) AddNodes(ctx context.Context, addrs ...netip.AddrPort) error {
	_, err := eachNode(ctx, d, func(in actor.Inlet[dht.Message]) (struct{}, error) {
		return struct{}{}, in.Put(ctx, dht.AddNodes{Addrs: addrs})
	})
	return err
}

// Ready waits until a node has found others. The error says why it has not, as far as
// it knows.
func (d DHT) Ready(ctx context.Context) error {
	const every = 50 * time.Millisecond
	why := ""
	for {
		all, err := d.Stats(ctx)
		for _, s := range all {
			if s.Good > 0 {
				return nil
			}
			why = orString(s.LastError, why)
		}
		if err != nil && !errors.Is(err, ErrNoDHT) && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the DHT: %w", ctx.Err()), reason(why), err)
		case <-time.After(every):
		}
	}
}

func reason(why string) error {
	if why == "" {
		return nil
	}
	return errors.New(why)
}

// eachNode asks all nodes something at the same time. It fails if none has answered.
func eachNode[A any](ctx context.Context, d DHT, ask func(actor.Inlet[dht.Message]) (A, error)) ([]A, error) {
	doors, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	answers, errs := make([]A, len(doors.inlets)), make([]error, len(doors.inlets))
	var wg sync.WaitGroup
	for i, in := range doors.inlets {
		wg.Go(func() { answers[i], errs[i] = ask(in) })
	}
	wg.Wait()
	var out []A
	for i := range answers {
		if errs[i] == nil {
			out = append(out, answers[i])
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, closedOr(errors.Join(errs...))
}

// askAll asks all nodes something that they answer once. It fails if all answers do, and
// returns those that there are nevertheless.
func askAll[A any](ctx context.Context, d DHT, ask func(actor.Ref[dht.Answer]) dht.Message, failed func(A) error) ([]A, error) {
	out, err := eachNode(ctx, d, func(in actor.Inlet[dht.Message]) (A, error) { return askNode[A](ctx, in, ask) })
	var errs []error
	for _, a := range out {
		if e := failed(a); e != nil {
			errs = append(errs, e)
		}
	}
	if err == nil && len(errs) == len(out) {
		err = errs[0]
	}
	return out, err
}

// askOne asks the node of an address's family.
func askOne[A any](ctx context.Context, d DHT, addr netip.AddrPort, ask func(actor.Ref[dht.Answer]) dht.Message) (A, error) {
	var none A
	doors, err := d.open(ctx)
	if err != nil {
		return none, err
	}
	for i, at := range doors.addrs {
		if at.Addr().Is4() == addr.Addr().Unmap().Is4() {
			return askNode[A](ctx, doors.inlets[i], ask)
		}
	}
	return none, fmt.Errorf("%v: %w of that family", addr, ErrNoDHT)
}

// askNode asks one node. When the context ends it is told that nobody waits any more.
func askNode[A any](ctx context.Context, in actor.Inlet[dht.Message], ask func(actor.Ref[dht.Answer]) dht.Message) (A, error) {
	var cancel dht.Cancel
	a, err := actor.Ask(ctx, in, func(r actor.Ref[dht.Answer]) dht.Message {
		m := ask(r)
		cancel = cancelOf(m)
		return m
	})
	if err != nil && ctx.Err() != nil {
		in.TryPut(cancel)
	}
	out, ok := a.(A)
	if err == nil && !ok {
		err = fmt.Errorf("the DHT answers with %T", a)
	}
	return out, closedOr(err)
}

// cancelOf makes the message that takes a request back.
func cancelOf(m dht.Message) dht.Cancel {
	switch m := m.(type) {
	case dht.GetPeers:
		return dht.Cancel{ID: m.ID, Reply: m.Reply}
	case dht.Lookup:
		return dht.Cancel{ID: m.ID, Reply: m.Reply}
	case dht.GetItem:
		return dht.Cancel{ID: m.ID, Reply: m.Reply}
	case dht.PutItem:
		return dht.Cancel{ID: m.ID, Reply: m.Reply}
	case dht.Sample:
		return dht.Cancel{ID: m.ID, Reply: m.Reply}
	case dht.Ping:
		return dht.Cancel{ID: m.ID, Reply: m.Reply}
	}
	return dht.Cancel{}
}

// dhtIDs numbers the requests of outsiders, apart from those of torrents.
var dhtIDs requestIDs

type requestIDs struct {
	mu sync.Mutex
	n  uint64
}

func (r *requestIDs) next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	return 1<<63 | r.n
}
