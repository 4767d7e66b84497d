package dht

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// The way into the network (BEP 5): "Upon inserting the first node into its routing
// table and when starting up thereafter, the node should attempt to find the closest
// nodes in the DHT to itself."
//
//	start: contacts of the last run ---+
//	bootstrap hosts, if those are few  +--> lookup of our own id --> buckets that
//	addresses of peers and torrents ---+      |  nobody answered      are not full
//	          ^                               v
//	          +------ hosts resolved anew, after 5 s, 10 s, ... 5 min

// boot is how far we are. Owner: the node.
type boot struct {
	done     bool
	running  *search
	due      bool       // try at the next look
	next     clock.Time // or at this time
	retry    time.Duration
	contacts []Contact        // of the last run, of the other family's node
	addrs    []netip.AddrPort // of hosts
	fresh    []netip.AddrPort // of peers and torrents, not pinged yet
	extra    []string         // hosts that torrents have named
	resolve  map[uint64]host  // by cookie
	cookie   uint64
	lastErr  string
	saved    []Contact // of the last run's, those to be pinged still
	short    bool      // buckets that have room are to be looked up, once saved is empty
	fill     []int     // these buckets, from the nearest to the farthest
}

// host is one that is being resolved.
type host struct {
	name string
	port uint16
}

// care is the regular work.
type care struct {
	next    clock.Time
	expire  clock.Time
	save    clock.Time
	refresh *search
	self    clock.Time    // when our own id is looked up again
	pause   time.Duration // from then to the next time
}

func (n *Node) startBoot(c *Ctx) {
	n.boot.due, n.boot.retry = true, minRetry
	if len(n.cfg.Saved) == 0 {
		return
	}
	_, saved, err := ParseSaved(n.cfg.Saved)
	if err != nil {
		c.Log().Warn("dht: the saved table is unreadable", "err", err)
		return
	}
	// They are filtered anew: the policy may have changed since.
	n.boot.contacts = slices.DeleteFunc(saved, func(k Contact) bool { return !n.cfg.allows(k.Addr) })
	n.boot.saved = slices.Clone(n.boot.contacts)
	n.boot.contacts = n.boot.contacts[:min(len(n.boot.contacts), maxCandidates/2)]
}

func (n *Node) startCare(c *Ctx) {
	now := c.Now()
	n.care.next = now
	n.care.expire = now.Add(expireInterval)
	n.care.save = now.Add(SaveInterval)
}

// look is the regular look after everything, when its time has come.
func (n *Node) look(c *Ctx) {
	now := c.Now()
	if n.boot.due || now >= n.boot.next && !n.boot.done {
		n.join(c)
	}
	if now < n.care.next {
		return
	}
	if n.boot.done && len(n.boot.saved) > 0 {
		n.pingSaved(c)
	} else {
		n.ping(c)
		n.refresh(c)
	}
	if now >= n.care.expire {
		n.care.expire = now.Add(expireInterval)
		n.peers.Expire(now)
		n.items.Expire(now)
		n.lost(c)
	}
	if now >= n.care.save {
		n.save(c)
	}
	every := tick
	if !n.boot.done || n.boot.short || len(n.boot.fill) > 0 || len(n.boot.fresh) > 0 {
		every = eagerTick
	}
	n.care.next = now.Add(every + time.Duration(c.Rand().Int64N(int64(every/4))))
}

// join looks our own id up, and has hosts resolved if we know too few to ask.
func (n *Node) join(c *Ctx) {
	n.boot.due = false
	if n.boot.running != nil {
		return
	}
	n.boot.next = c.Now().Add(n.boot.retry)
	n.boot.retry = min(2*n.boot.retry, maxRetry)
	if len(n.boot.contacts) < K || n.boot.lastErr != "" {
		n.resolve(c)
	}
	if len(n.boot.fresh) > 0 {
		take := min(len(n.boot.fresh), maxStartAddrs)
		n.boot.addrs = append(n.boot.addrs, n.boot.fresh[:take]...)
		n.boot.fresh = slices.Delete(n.boot.fresh, 0, take)
	}
	n.boot.addrs = n.boot.addrs[max(0, len(n.boot.addrs)-2*maxStartAddrs):]
	s := n.ownSearch(c, n.id)
	n.boot.running = s
	if !n.begin(c, s) {
		n.boot.running = nil
		if n.boot.lastErr == "" && len(n.boot.resolve) == 0 {
			n.boot.lastErr = "no node is known to begin with"
		}
	}
}

// ownSearch is a lookup for the table's sake.
func (n *Node) ownSearch(c *Ctx, target ID) *search {
	s := &search{own: true, asked: c.Now(), job: &nodesJob{target: target, silent: true, both: !n.cfg.Other.IsZero() && !n.boot.done}}
	s.l = lookup{target: target, self: n.id, alpha: n.cfg.Limits.Alpha, anyID: n.cfg.AnyID, allow: n.cfg.allows}
	return s
}

// ownDone takes the end of a lookup for the table.
func (n *Node) ownDone(c *Ctx, s *search, err error) {
	switch s {
	case n.care.refresh:
		n.care.refresh = nil
	case n.boot.running:
		n.boot.running = nil
		n.joined(c, s, err)
	}
}

func (n *Node) joined(c *Ctx, s *search, err error) {
	switch {
	case errors.Is(err, ErrStopped):
	case err != nil:
		n.boot.lastErr = "none of " + strconv.Itoa(s.l.queried) + " nodes has answered"
		before := len(n.boot.addrs)
		n.resolve(c)
		n.boot.due = n.boot.due || len(n.boot.addrs) > before
	default:
		n.boot.done, n.boot.lastErr, n.boot.retry = true, "", minRetry
		n.boot.contacts = nil
		n.boot.short = true
		n.care.next = min(n.care.next, c.Now())
		n.care.self, n.care.pause = c.Now().Add(firstSelf), 2*firstSelf
	}
}

// short returns the buckets that have room, the nearest first.
func (t *Table) short() []int {
	var out []int
	for i := len(t.buckets) - 1; i >= 0; i-- {
		if len(t.buckets[i].nodes) < t.limit(i) {
			out = append(out, i)
		}
	}
	return out
}

// rejoin begins anew under another id.
func (n *Node) rejoin(c *Ctx) {
	if n.boot.running != nil {
		n.end(c, n.boot.running, ErrCancelled)
	}
	n.boot.due, n.boot.retry = true, minRetry
}

// lost notices that nobody answers any more.
func (n *Node) lost(c *Ctx) {
	if n.boot.done && n.table.Count(c.Now()).Good == 0 {
		n.boot.done, n.boot.due = false, true
		n.boot.lastErr = "no node answers any more"
	}
}

// trouble says in words why there are no nodes, if there are none.
func (b *boot) trouble(good int) string {
	switch {
	case good > 0: // the first lookup is still under way
		return ""
	case b.done || b.lastErr != "":
		return b.lastErr
	case len(b.resolve) > 0:
		return "the bootstrap hosts are not resolved yet"
	}
	return "no node has answered yet"
}

// pingSaved asks the nodes of the last run's table, which is to be as it was: nodes
// all over the space, chosen by years of chance, where lookups find again and again
// those that everybody knows. The first that answers may have been the way in.
func (n *Node) pingSaved(c *Ctx) {
	for asked := 0; asked < savedPerTick && len(n.boot.saved) > 0; {
		k := n.boot.saved[0]
		n.boot.saved = n.boot.saved[1:]
		if _, there := n.table.State(k, c.Now()); there {
			continue
		}
		n.ask(c, k, true, probe{}, askPing)
		asked++
	}
	if len(n.boot.saved) == 0 {
		n.boot.saved = nil
	}
}

// ping asks nodes that are questionable, only heard of, or only known by address.
func (n *Node) ping(c *Ctx) {
	for range pingsPerTick {
		if len(n.boot.fresh) > 0 {
			to := n.boot.fresh[0]
			n.boot.fresh = slices.Delete(n.boot.fresh, 0, 1)
			n.ask(c, Contact{Addr: to}, false, probe{}, askPing)
			continue
		}
		k, ok := n.table.NextPing(c.Now())
		if !ok {
			return
		}
		if !n.ask(c, k, true, probe{}, askPing) {
			n.table.Failed(k, c.Now())
		}
	}
}

func askPing(q *Msg) { q.Method = MethodPing }

// probe is a ping whose outcome matters to the table alone.
type probe struct{}

func (probe) onReply(*Node, *Ctx, *flight, *Msg) {}
func (probe) onLate(*Node, *Ctx, *flight)        {}

// onGone: the table knows already of those who were silent or have another id. There is
// nothing wrong with a ping, so who answers an error is no better than who is silent.
func (probe) onGone(n *Node, c *Ctx, f *flight, err error) {
	var said *RemoteError
	if f.named && errors.As(err, &said) {
		n.table.Failed(Contact{f.id, f.to}, c.Now())
	}
}

// refresh looks up a bucket that has not changed for long, or has room after joining,
// and our own id: who joined at the same time as we did is not found by the first lookup.
// One at a time.
func (n *Node) refresh(c *Ctx) {
	if n.care.refresh != nil || !n.boot.done {
		return
	}
	if n.boot.short {
		n.boot.short, n.boot.fill = false, n.table.short()
	}
	var target ID
	switch {
	case len(n.boot.fill) > 0:
		target = RandomIn(n.id, n.boot.fill[0], c.Rand())
		if n.boot.fill = n.boot.fill[1:]; len(n.boot.fill) == 0 {
			n.boot.fill = nil
		}
	case c.Now() >= n.care.self:
		n.care.self = c.Now().Add(n.care.pause)
		n.care.pause = min(2*n.care.pause, lastSelf)
		target = n.id
	default:
		t, ok := n.table.NextRefresh(c.Rand(), c.Now())
		if !ok {
			return
		}
		target = t
	}
	s := n.ownSearch(c, target)
	n.care.refresh = s
	if !n.begin(c, s) {
		n.care.refresh = nil
	}
}

// save hands the table to whoever keeps it.
func (n *Node) save(c *Ctx) {
	n.care.save = c.Now().Add(SaveInterval)
	if n.cfg.Save == nil || n.table == nil {
		return
	}
	contacts := n.table.Contacts(nil, c.Now())
	if len(contacts) == 0 {
		contacts = n.boot.contacts // what we began with may still be of use
	}
	n.stats.SaveCount++
	n.cfg.Save(AppendSaved(nil, n.id, contacts))
}

// onAddNodes takes addresses to ping. Who has no nodes yet begins with them at once.
func (n *Node) onAddNodes(c *Ctx, m AddNodes) {
	for _, a := range m.Addrs {
		a = unmapped(a)
		if !n.cfg.allows(a) || len(n.boot.fresh) >= maxNewAddrs || slices.Contains(n.boot.fresh, a) || n.table.Verified(a) {
			continue
		}
		n.boot.fresh = append(n.boot.fresh, a)
	}
	n.hasten(c)
}

// hasten makes use of new addresses.
func (n *Node) hasten(c *Ctx) {
	if !n.boot.done && n.boot.running == nil {
		n.boot.due = true
	}
	if len(n.boot.fresh) > 0 {
		n.care.next = min(n.care.next, c.Now().Add(eagerTick))
	}
}

func (n *Node) onHint(c *Ctx, m Hint) {
	for _, k := range m.Contacts[:min(len(m.Contacts), maxNamed)] {
		k.Addr = unmapped(k.Addr)
		if !n.cfg.allows(k.Addr) {
			continue
		}
		n.table.Heard(k, c.Now())
		if !n.boot.done && len(n.boot.contacts) < maxCandidates/2 && !slices.Contains(n.boot.contacts, k) {
			n.boot.contacts = append(n.boot.contacts, k)
		}
	}
	if len(n.boot.contacts) > 0 {
		n.hasten(c)
	}
}

func (n *Node) onAddHosts(c *Ctx, m AddHosts) {
	if n.boot.done {
		return
	}
	for _, h := range m.Hosts {
		if len(n.boot.extra) < maxHosts/2 && !slices.Contains(n.boot.extra, h) {
			n.boot.extra = append(n.boot.extra, h)
		}
	}
	n.resolve(c)
}

// resolve begins to find the addresses of hosts that are not being resolved.
func (n *Node) resolve(c *Ctx) {
	hosts := slices.Concat(n.cfg.Bootstrap, n.boot.extra)
	for _, hp := range hosts[:min(len(hosts), maxHosts)] {
		name, p, err := net.SplitHostPort(hp)
		port, perr := strconv.ParseUint(p, 10, 16)
		if err != nil || perr != nil || port == 0 {
			n.boot.lastErr = "bad bootstrap host " + strconv.Quote(hp)
			continue
		}
		if ip, err := netip.ParseAddr(name); err == nil {
			if !n.addHostAddr(netip.AddrPortFrom(ip, uint16(port))) && n.cfg.Family.Holds(ip.Unmap()) {
				n.boot.lastErr = "the bootstrap node " + hp + " is at an address or port that may not be asked"
			}
		} else if n.cfg.Resolver != nil && len(n.boot.resolve) < maxHosts {
			n.lookUpHost(c, host{name, uint16(port)})
		}
	}
}

// lookUpHost begins to resolve a host, unless that is under way: a resolver may be
// silent for minutes.
func (n *Node) lookUpHost(c *Ctx, h host) {
	for _, pending := range n.boot.resolve { //order: irrelevant
		if pending == h {
			return
		}
	}
	n.boot.cookie++
	if n.boot.resolve == nil {
		n.boot.resolve = map[uint64]host{}
	}
	n.boot.resolve[n.boot.cookie] = h
	n.cfg.Resolver.Resolve(h.name, n.boot.cookie, actor.Adapt(c.Self(), func(r Resolved) Message { return resolved{r} }))
}

func (n *Node) onResolved(c *Ctx, r Resolved) {
	h, ok := n.boot.resolve[r.Cookie]
	if !ok {
		return
	}
	delete(n.boot.resolve, r.Cookie)
	if r.Err != nil && len(n.boot.addrs) == 0 && !n.boot.done {
		n.boot.lastErr = r.Err.Error()
	}
	used := 0
	for _, a := range r.Addrs {
		if used < maxHostAddrs && n.addHostAddr(netip.AddrPortFrom(a, h.port)) {
			used++
		}
	}
	if used > 0 && !n.boot.done {
		n.meet(c)
	}
}

// addHostAddr keeps an address to begin with.
func (n *Node) addHostAddr(a netip.AddrPort) bool {
	a = unmapped(a)
	if !n.cfg.allows(a) {
		return false
	}
	if !slices.Contains(n.boot.addrs, a) {
		n.boot.addrs = append(n.boot.addrs, a)
	}
	return true
}

// meet brings new addresses into the lookups that have nobody to ask.
func (n *Node) meet(c *Ctx) {
	if s := n.boot.running; s != nil {
		s.l.startAt(n.boot.addrs)
		n.drive(c, s, proceed{})
		return
	}
	n.boot.due = true
}
