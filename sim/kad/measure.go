package kad

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport"
)

// Result is what one lookup has brought.
type Result struct {
	From   *Member
	Target dht.ID
	Err    error
	Effort dht.Effort
	Took   time.Duration
	// Learned is when the node first heard of the one closest to the target, 0 if it
	// stood in its own table, and -1 if it never did.
	Learned time.Duration
	// Found is how many of the Want honest nodes closest to the target are in the
	// result.
	Found, Want int
	// Places is how many of the nodes closest to the target, liars counted, are
	// honest, Placed how many of these are in the result.
	Placed, Places int
}

// tableTime is how long the node may take to show its table.
const tableTime = time.Second

// Lookup lets an honest node look for a target.
func (n *Net) Lookup(from *Member, target dht.ID) (Result, error) {
	want := n.Closest(target, dht.K, from)
	r := Result{From: from, Target: target, Learned: -1, Want: len(want)}
	if len(want) == 0 {
		return r, fmt.Errorf("nobody is left")
	}
	table, err := sim.Ask(n.World, n.now().Add(tableTime), from.Node.Inlet,
		func(reply actor.Ref[dht.TableView]) dht.Message { return dht.AskTable{Reply: reply} })
	if err != nil {
		return r, fmt.Errorf("table: %w", err)
	}
	if holds(table, want[0].ID) {
		r.Learned = 0
	}
	begun := n.now()
	from.tap = func(p *transport.Packet) { r.hears(p, want[0].ID, n.now().Sub(begun)) }
	answer, err := sim.Ask(n.World, begun.Add(10*time.Minute), from.Node.Inlet,
		func(reply actor.Ref[dht.Answer]) dht.Message { return dht.Lookup{Target: target, Reply: reply} })
	from.tap = nil
	if err != nil {
		return r, fmt.Errorf("lookup: %w", err)
	}
	done := answer.(dht.NodesFound)
	r.Err, r.Effort, r.Took = done.Err, done.Effort, n.now().Sub(begun)
	r.Places = n.places(target, from)
	for i, m := range want {
		if !slices.Contains(done.Nodes, m.Contact) {
			continue
		}
		r.Found++
		if i < r.Places {
			r.Placed++
		}
	}
	return r, nil
}

func holds(t dht.TableView, id dht.ID) bool {
	for _, b := range t.Buckets {
		if slices.ContainsFunc(b.Nodes, func(v dht.NodeView) bool { return v.Contact.ID == id }) {
			return true
		}
	}
	return false
}

// hears notes when a reply first names the goal, or comes from it.
func (r *Result) hears(p *transport.Packet, goal dht.ID, after clock.Duration) {
	if r.Learned >= 0 {
		return
	}
	m, err := dht.Parse(p.Data)
	if err == nil && m.Kind == dht.KindReply && (m.ID == goal ||
		slices.ContainsFunc(m.Nodes, func(c dht.Contact) bool { return c.ID == goal })) {
		r.Learned = after
	}
}

// Lookups lets random honest nodes look for random targets, one after the other. Of the
// nodes those ask whose number leaves a remainder of i by mod.
func (n *Net) Lookups(count, i, mod int) (Results, error) {
	out := make(Results, 0, count)
	for range count {
		r, err := n.Lookup(n.Any(i, mod), dht.RandomID(n.rnd))
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Results are the lookups of one run.
type Results []Result

// Found is how many of the 8 closest honest nodes a lookup has found, on average.
func (rs Results) Found() float64 {
	sum := 0
	for _, r := range rs {
		sum += r.Found
	}
	return float64(sum) / float64(len(rs))
}

// Placed is the share of honest nodes among the 8 closest of all that have been found.
func (rs Results) Placed() float64 {
	placed, places := 0, 0
	for _, r := range rs {
		placed += r.Placed
		places += r.Places
	}
	return float64(placed) / float64(max(places, 1))
}

// Complete is the share of lookups that have found at least so many of the closest
// nodes, of 1.
func (rs Results) Complete(found int) float64 {
	n := 0
	for _, r := range rs {
		if r.Found >= min(found, r.Want) {
			n++
		}
	}
	return float64(n) / float64(len(rs))
}

// Rounds is the mean number of round trips until the closest node has been learned of,
// in a network where all take the same time, and how many lookups never did.
func (rs Results) Rounds(rtt time.Duration) (mean float64, never int) {
	sum := 0.0
	for _, r := range rs {
		if r.Learned < 0 {
			never++
			continue
		}
		sum += float64(r.Learned) / float64(rtt)
	}
	return sum / float64(len(rs)-never), never
}

// Quantile of a measure over all results; q is of 1.
func (rs Results) Quantile(q float64, f func(Result) time.Duration) time.Duration {
	all := make([]time.Duration, len(rs))
	for i, r := range rs {
		all[i] = f(r)
	}
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)]
}

// Took and Learned are measures for Quantile.
func Took(r Result) time.Duration    { return r.Took }
func Learned(r Result) time.Duration { return r.Learned }

// String sums the results up in a line.
func (rs Results) String() string {
	var e dht.Effort
	for _, r := range rs {
		e.Queried += r.Effort.Queried
		e.Replied += r.Effort.Replied
		e.Lied += r.Effort.Lied
	}
	per := func(n int) float64 { return float64(n) / float64(len(rs)) }
	return fmt.Sprintf("%d lookups: %.1f %% have all 8, %.1f %% at least 6, mean %.2f; took %v (90 %%: %v), closest learned after %v; %.1f queries, %.1f replies, %.1f lies",
		len(rs), 100*rs.Complete(8), 100*rs.Complete(6), rs.Found(),
		rs.Quantile(0.5, Took).Round(time.Millisecond), rs.Quantile(0.9, Took).Round(time.Millisecond),
		rs.Quantile(0.5, Learned).Round(time.Millisecond), per(e.Queried), per(e.Replied), per(e.Lied))
}

// Health is what the honest nodes' tables hold.
type Health struct {
	Good, Questionable, Buckets float64 // of a node, on average
	Bootstrapped                int     // nodes
	BytesOut                    float64 // of a node, on average
}

// Health asks every honest node for its numbers.
func (n *Net) Health() (h Health) {
	count := 0
	add := actor.FuncRef(func(s dht.Stats) {
		count++
		h.Good += float64(s.Good)
		h.Questionable += float64(s.Questionable)
		h.Buckets += float64(s.Buckets)
		h.BytesOut += float64(s.BytesOut)
		if s.Bootstrapped {
			h.Bootstrapped++
		}
	})
	for _, m := range n.Members {
		if m.Honest() && !m.Node.IsZero() {
			m.Node.Ref.Tell(dht.AskStats{Reply: add})
		}
	}
	n.World.Run(n.now().Add(time.Millisecond))
	c := float64(max(count, 1))
	h.Good, h.Questionable, h.Buckets, h.BytesOut = h.Good/c, h.Questionable/c, h.Buckets/c, h.BytesOut/c
	return h
}

// Heap is how much of the Go heap is in use, in bytes, after a collection.
func Heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Neighbours is the share of all honest nodes' 8 closest honest neighbours that stand
// in their tables, of 1. On it rests that lookups end at the closest nodes.
func (n *Net) Neighbours() float64 {
	have, all := 0, 0
	for _, m := range n.Members {
		if !m.Honest() || m.Node.IsZero() {
			continue
		}
		want := n.Closest(m.ID, dht.K, m)
		m.Node.Ref.Tell(dht.AskTable{Reply: actor.FuncRef(func(t dht.TableView) {
			for _, w := range want {
				all++
				if holds(t, w.ID) {
					have++
				}
			}
		})})
	}
	n.World.Run(n.now().Add(time.Millisecond))
	return float64(have) / float64(max(all, 1))
}
