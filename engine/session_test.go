package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// testSession is a session in a simulated world, over a storage that has nothing and
// transports that the test answers for.
type testSession struct {
	t       *testing.T
	w       *sim.World
	core    *Core
	events  []string
	disk    []string
	replies map[storage.ID]actor.Ref[storage.Answer]
	nets    []*testNet
	limits  limitsChanged // as the torrent has heard them last
	knocked int
	ended   int
	err     error
}

// testNet is a transport of a session.
type testNet struct {
	name    string
	listens []netip.AddrPort
	to      actor.Inlet[transport.Accepted]
	reply   actor.Ref[transport.Listening]
	closed  bool
}

func (n *testNet) Name() string        { return n.name }
func (n *testNet) Dial(transport.Dial) {}
func (n *testNet) Close()              { n.closed = true }
func (n *testNet) Listen(a netip.AddrPort, to actor.Inlet[transport.Accepted], reply actor.Ref[transport.Listening]) {
	n.listens = append(n.listens, a)
	n.to, n.reply = to, reply
}

func newTestSession(t *testing.T, cfg Config, transports ...string) *testSession {
	ts := &testSession{t: t, replies: map[storage.ID]actor.Ref[storage.Answer]{}}
	ts.w = sim.NewWorld(sim.Config{Seed: 3, Trace: func(_ clock.Time, _ *actor.Cell, m any) {
		if l, ok := m.(limitsChanged); ok {
			ts.limits = l
		}
	}})
	deps := Deps{World: ts.w, Slab: block.NewPhantomSlab(1 << 20), Disk: actor.FuncRef(ts.onDisk), Trackers: silentTrackers{}}
	for _, name := range transports {
		n := &testNet{name: name}
		ts.nets = append(ts.nets, n)
		deps.Transports = append(deps.Transports, n)
	}
	ts.core = NewCore(deps, cfg, ts.onEvent, func(err error) { ts.ended++; ts.err = err })
	ts.run(0)
	return ts
}

type silentTrackers struct{}

func (silentTrackers) Do(tracker.Request) {}

func (ts *testSession) run(d time.Duration) {
	ts.t.Helper()
	ts.w.Run(ts.w.Now().Add(d))
	if err := ts.w.Err(); err != nil {
		ts.t.Fatal(err)
	}
}

// onDisk is a storage that has nothing.
func (ts *testSession) onDisk(m storage.Message) {
	ts.disk = append(ts.disk, strings.TrimPrefix(fmt.Sprintf("%T", m), "storage."))
	var answer storage.Answer
	var id storage.ID
	switch m := m.(type) {
	case storage.Open:
		none := bits.New(m.Info.Lengths.Pieces())
		id, answer = m.ID, storage.Opened{ID: m.ID, Have: &none}
		ts.replies[id] = m.Reply
	case storage.Look:
		id, answer = m.ID, storage.Done{ID: m.ID, Cookie: m.Cookie}
	case storage.Save:
		id, answer = m.ID, storage.Done{ID: m.ID, Cookie: m.Cookie}
	case storage.Close:
		id, answer = m.ID, storage.Closed{ID: m.ID}
	default:
		return
	}
	ts.w.After(0, func() { ts.replies[id].Tell(answer) })
}

func (ts *testSession) onEvent(ev Event) {
	names := map[EventKind]string{TorrentAdded: "added", TorrentRemoved: "removed", Listening: "listening"}
	if ev.Kind == StateChanged {
		ts.events = append(ts.events, ev.State.String())
	} else if n := names[ev.Kind]; n != "" {
		ts.events = append(ts.events, n)
	}
}

// listening answers a transport's last Listen.
func (ts *testSession) listening(i int, err error) {
	ts.t.Helper()
	n := ts.nets[i]
	n.reply.Tell(transport.Listening{Addr: n.listens[len(n.listens)-1], Err: err})
	ts.run(0)
}

// addition is the answer to an Add.
type addition struct {
	n   int
	t   *Torrent
	err error
}

func (ts *testSession) add(opt AddOptions) *addition {
	ts.t.Helper()
	a := &addition{}
	ts.core.Add(opt, func(t *Torrent, err error) { a.n, a.t, a.err = a.n+1, t, err })
	ts.run(0)
	return a
}

// remove takes a torrent away; the answers are collected.
func (ts *testSession) remove(hash metainfo.Hash) *[]error {
	ts.t.Helper()
	var answers []error
	ts.core.session.Ref.Tell(remove{hash: hash, reply: actor.FuncRef(func(err error) { answers = append(answers, err) })})
	ts.run(0)
	return &answers
}

// small is a torrent of a few pieces whose name tells it from others.
func small(t testing.TB, name string) *metainfo.Torrent {
	t.Helper()
	m, err := (&metainfo.Builder{Name: name, Length: 5000, PieceLength: 16384, Pieces: make([]byte, 20)}).Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTorrentsComeAndGo(t *testing.T) {
	ts := newTestSession(t, Config{NoListen: true})
	a, b := small(t, "a"), small(t, "b")
	one := ts.add(AddOptions{Torrent: a, Dir: "/x"})
	if one.n != 1 || one.err != nil || one.t.Hash() != a.Hash {
		t.Fatalf("added %+v", one)
	}
	if again := ts.add(AddOptions{Torrent: a}); !errors.Is(again.err, ErrExists) {
		t.Errorf("the same again: %v", again.err)
	}
	two := ts.add(AddOptions{Torrent: b, Paused: true})
	ts.core.session.Ref.Tell(list{actor.FuncRef(func(l []*Torrent) {
		if len(l) != 2 || l[0] != one.t || l[1] != two.t {
			t.Errorf("listed %v", l)
		}
	})})
	ts.run(0)
	if want := []string{"added", "downloading", "added", "paused"}; !slices.Equal(ts.events, want) {
		t.Errorf("events %v, want %v", ts.events, want)
	}
	first, second := ts.remove(a.Hash), ts.remove(a.Hash)
	if len(*first) != 1 || (*first)[0] != nil || len(*second) != 1 || !errors.Is((*second)[0], ErrUnknown) {
		t.Errorf("removed %v, then %v", *first, *second)
	}
	if third := ts.add(AddOptions{Torrent: a}); third.err != nil {
		t.Errorf("added after it was removed: %v", third.err)
	}
}

func TestRemovedTwiceAtOnceIsAnsweredTwice(t *testing.T) {
	ts := newTestSession(t, Config{NoListen: true})
	a := small(t, "a")
	ts.add(AddOptions{Torrent: a, Trackers: [][]string{{"http://silent.test/announce"}}})
	var n int
	for range 2 {
		ts.core.session.Ref.Tell(remove{hash: a.Hash, limit: time.Second, reply: actor.FuncRef(func(err error) {
			n++
			if err != nil {
				t.Error(err)
			}
		})})
	}
	ts.run(time.Second - 1)
	if n != 0 {
		t.Error("trackers have a second")
	}
	if again := ts.add(AddOptions{Torrent: a}); !errors.Is(again.err, ErrExists) {
		t.Errorf("added while it leaves: %v", again.err)
	}
	ts.run(1)
	if n != 2 {
		t.Errorf("%d answers", n)
	}
}

func TestWhatCanNotBeAdded(t *testing.T) {
	ts := newTestSession(t, Config{NoListen: true})
	ssl := small(t, "ssl")
	ssl.SSL = true
	v2 := small(t, "v2")
	v2.Hash.HasV1 = false
	for what, c := range map[string]struct {
		opt  AddOptions
		want error
	}{
		"nothing":  {AddOptions{}, nil},
		"ssl":      {AddOptions{Torrent: ssl}, ErrSSL},
		"v2":       {AddOptions{Torrent: v2}, ErrV2},
		"a picker": {AddOptions{Torrent: small(t, "p"), Picker: "nonsense"}, nil},
		"a choker": {AddOptions{Torrent: small(t, "c"), Choker: "nonsense"}, nil},
	} {
		got := ts.add(c.opt)
		if got.n != 1 || got.err == nil || got.t != nil || c.want != nil && !errors.Is(got.err, c.want) {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if len(ts.events) != 0 {
		t.Errorf("events of torrents that there are not: %v", ts.events)
	}
}

func TestTorrentsWaitForThePort(t *testing.T) {
	ts := newTestSession(t, Config{Listen: ap("0.0.0.0:7000"), NextPorts: 2}, "tcp")
	a := ts.add(AddOptions{Torrent: small(t, "a")})
	if a.n != 0 {
		t.Fatal("the port is not known yet")
	}
	ts.listening(0, errRemote)
	ts.listening(0, errRemote)
	if want := []netip.AddrPort{ap("0.0.0.0:7000"), ap("0.0.0.0:7001"), ap("0.0.0.0:7002")}; !slices.Equal(ts.nets[0].listens, want) {
		t.Fatalf("tried %v", ts.nets[0].listens)
	}
	ts.listening(0, nil)
	if a.n != 1 || a.err != nil {
		t.Fatalf("added %+v", a)
	}
	if want := []string{"listening", "added", "downloading"}; !slices.Equal(ts.events, want) {
		t.Errorf("events %v", ts.events)
	}
}

func TestOtherPortsOfAnAddressThatIsNotOursAreNotTried(t *testing.T) {
	ts := newTestSession(t, Config{Listen: ap("45.1.2.3:7000"), NextPorts: 100}, "tcp")
	ts.listening(0, transport.ErrNotOurs)
	var got boundTo
	ts.core.session.Ref.Tell(whereBound{actor.FuncRef(func(b boundTo) { got = b })})
	ts.run(0)
	if len(ts.nets[0].listens) != 1 || !errors.Is(got.err, transport.ErrNotOurs) {
		t.Errorf("tried %v: %v", ts.nets[0].listens, got.err)
	}
}

func TestPortsDoNotWrapAround(t *testing.T) {
	ts := newTestSession(t, Config{Listen: ap("0.0.0.0:65534"), NextPorts: 100}, "tcp")
	ts.listening(0, errRemote)
	ts.listening(0, errRemote)
	var got boundTo
	ts.core.session.Ref.Tell(whereBound{actor.FuncRef(func(b boundTo) { got = b })})
	ts.run(0)
	if len(ts.nets[0].listens) != 2 || !errors.Is(got.err, errRemote) {
		t.Errorf("tried %v: %v", ts.nets[0].listens, got.err)
	}
}

func TestEveryTransportIsWaitedFor(t *testing.T) {
	ts := newTestSession(t, Config{Listen: ap("0.0.0.0:7000")}, "tcp", "pipe")
	var got []boundTo
	ask := func() {
		ts.core.session.Ref.Tell(whereBound{actor.FuncRef(func(b boundTo) { got = append(got, b) })})
		ts.run(0)
	}
	ask()
	ts.listening(0, nil)
	if len(got) != 0 {
		t.Fatal("one has not answered")
	}
	ts.listening(1, errRemote)
	if want := []netip.AddrPort{ap("0.0.0.0:7000"), ap("0.0.0.0:0")}; !slices.Equal(ts.nets[1].listens, want) {
		t.Errorf("the second was asked to listen at %v, want the port of the first, then any", ts.nets[1].listens)
	}
	ts.listening(1, errRemote)
	ask()
	if len(got) != 2 || len(got[0].addrs) != 1 || !errors.Is(got[0].err, errRemote) || !errors.Is(got[1].err, errRemote) {
		t.Errorf("answers %+v", got)
	}
}

// knocks at the session for a torrent, and returns why it was turned away.
func (ts *testSession) knocks(hash [20]byte) error {
	ts.t.Helper()
	ts.knocked++
	l := &closedLink{from: netip.AddrPortFrom(netip.AddrFrom4([4]byte{45, 1, 2, byte(ts.knocked)}), 4)}
	ts.nets[0].to.TryPut(transport.Accepted{Link: l, Handshake: wire.Handshake{InfoHash: hash, PeerID: ttID("x")}})
	ts.run(0)
	return l.why
}

type closedLink struct {
	from netip.AddrPort
	why  error
}

func (l *closedLink) Bind(actor.Inlet[transport.Event]) {}
func (l *closedLink) Send(b *transport.Batch)           { b.Release() }
func (l *closedLink) Allow(int64)                       {}
func (l *closedLink) Close(why error)                   { l.why = why }
func (l *closedLink) Info() transport.Info {
	return transport.Info{Transport: "tcp", Remote: l.from, Incoming: true}
}

func TestConnectionsFindTheirTorrent(t *testing.T) {
	ts := newTestSession(t, Config{}, "tcp")
	ts.listening(0, nil)
	a, b := small(t, "a"), small(t, "b")
	ts.add(AddOptions{Torrent: a})
	ts.add(AddOptions{Torrent: b, Paused: true})
	if why := ts.knocks(a.Hash.V1); why != nil {
		t.Errorf("turned away: %v", why)
	}
	if why := ts.knocks(b.Hash.V1); !errors.Is(why, errPaused) {
		t.Errorf("of a paused torrent: %v", why)
	}
	if why := ts.knocks([20]byte{1}); !errors.Is(why, errStranger) {
		t.Errorf("of none of ours: %v", why)
	}
	ts.core.session.Ref.Notify(crowded{true})
	ts.run(0)
	if why := ts.knocks(a.Hash.V1); !errors.Is(why, errFull) {
		t.Errorf("of a crowded session: %v", why)
	}
}

func TestCloseEndsAllAndNothingComesAfter(t *testing.T) {
	ts := newTestSession(t, Config{}, "tcp")
	early := ts.add(AddOptions{Torrent: small(t, "early")})
	ts.listening(0, nil)
	ts.add(AddOptions{Torrent: small(t, "a"), Trackers: [][]string{{"http://silent.test/announce"}}})
	ts.core.Close(time.Second)
	ts.core.Close(0) // a second one changes nothing
	ts.run(0)
	if !ts.nets[0].closed || ts.ended != 0 {
		t.Fatalf("transports closed %v, ended %d", ts.nets[0].closed, ts.ended)
	}
	if late := ts.add(AddOptions{Torrent: small(t, "late")}); !errors.Is(late.err, ErrClosed) {
		t.Errorf("added while closing: %v", late.err)
	}
	if why := ts.knocks(small(t, "a").Hash.V1); why == nil {
		t.Error("a connection came in while closing")
	}
	ts.run(time.Second)
	if ts.ended != 1 || ts.err != nil || early.err != nil {
		t.Fatalf("ended %d: %v; %v", ts.ended, ts.err, early.err)
	}
	if n := ts.w.Alive(); n != 0 {
		t.Errorf("%d actors are left", n)
	}
	if want := []string{"added", "downloading", "stopping", "removed"}; countAll(ts.events, want) != 8 {
		t.Errorf("events %v", ts.events)
	}
}

// countAll counts how often the words occur.
func countAll(list, words []string) (n int) {
	for _, s := range list {
		if slices.Contains(words, s) {
			n++
		}
	}
	return n
}

func TestCloseBeforeThePortIsKnown(t *testing.T) {
	ts := newTestSession(t, Config{}, "tcp")
	a := ts.add(AddOptions{Torrent: small(t, "a")})
	asked := 0
	ts.core.session.Ref.Tell(whereBound{actor.FuncRef(func(boundTo) { asked++ })})
	ts.core.Close(0)
	ts.run(0)
	if ts.ended != 1 || a.n != 1 || !errors.Is(a.err, ErrClosed) || asked != 1 {
		t.Errorf("ended %d, added %+v, %d answers", ts.ended, a, asked)
	}
	ts.listening(0, nil) // too late
	if late := ts.add(AddOptions{Torrent: small(t, "b")}); late.n != 0 {
		t.Errorf("a session that has ended answers: %+v", late)
	}
}

func TestSessionEndsWithItsGovernor(t *testing.T) {
	ts := newTestSession(t, Config{NoListen: true})
	ts.add(AddOptions{Torrent: small(t, "a")})
	ts.core.governor.Stop(errRemote) // as by a crash
	ts.run(0)
	if ts.ended != 1 || !errors.Is(ts.err, errRemote) || ts.w.Alive() != 0 {
		t.Errorf("ended %d: %v, %d actors are left", ts.ended, ts.err, ts.w.Alive())
	}
}

func TestLimitsOfANewTorrentHoldAtOnce(t *testing.T) {
	ts := newTestSession(t, Config{NoListen: true, Limits: Limits{Up: 100000}})
	a := ts.add(AddOptions{Torrent: small(t, "a"), Limits: Limits{Down: 5000, Up: 6000}})
	if a.err != nil {
		t.Fatal(a.err)
	}
	if want := (limitsChanged{limited{true, true}, 6000}); ts.limits != want {
		t.Errorf("the torrent has heard %+v, want %+v", ts.limits, want)
	}
	a.t.SetLimits(Limits{})
	ts.run(0)
	if want := (limitsChanged{limited{up: true}, 100000}); ts.limits != want {
		t.Errorf("then %+v, want %+v", ts.limits, want)
	}
}
