package dht

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/scenario"
)

// Commands:
//
//	new OWN [wide] [enforce] [spares=N]     a table
//	own OWN                                 our id changes
//	at 15m                                  the time
//	replied NODE... [addr=] [rtt=50ms]      they answered us; prints what became of each
//	queried NODE... [addr=], heard NODE...  they asked us, somebody named them
//	failed NODE... [times=1]                they left our queries unanswered
//	filter IP                               this address is not allowed any more
//	show                                    buckets: nodes (? questionable, ! bad) | spares (+ answered)
//	closest TARGET [n=8] [questionable] [bad]
//	ping [n=1]                              whom to ping next
//	refresh                                 the bucket to refresh, by the prefix of the target
//	due                                     when that is to be asked next
//	verified ADDR
//	contacts                                what is worth saving
//
// A NODE is the first bytes of its id in hex; it is at 45.X.Y.1:6881 where XY are the
// first two, which does not satisfy BEP 42. "local:NODE" is at 10.X.Y.1:6881, where
// every id does.
type tablePlayer struct {
	*Table
	now clock.Time
	rnd *rand.Rand
}

func TestTableScenarios(t *testing.T) {
	scenario.Run(t, "testdata/table_*.txt", func() scenario.Player { return &tablePlayer{rnd: random(1)} })
}

func shortID(t *testing.T, s string) (id ID) {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("id %q: %v", s, err)
	}
	copy(id[:], b)
	return id
}

// name is an id as it is written in the scenarios.
func name(id ID) string {
	s := strings.TrimRight(id.String(), "0")
	if len(s)%2 == 1 {
		s += "0"
	}
	return s
}

func (p *tablePlayer) contact(t *testing.T, arg string, c scenario.Command) Contact {
	node, local := strings.CutPrefix(arg, "local:")
	id := shortID(t, node)
	ip := netip.AddrFrom4([4]byte{45, id[0], id[1], 1})
	if local {
		ip = netip.AddrFrom4([4]byte{10, id[0], id[1], 1})
	}
	if a, ok := c.Get("addr"); ok {
		return Contact{id, ap(a)}
	}
	return Contact{id, netip.AddrPortFrom(ip, 6881)}
}

func (p *tablePlayer) Do(t *testing.T, c scenario.Command) string {
	switch c.Name {
	case "new":
		o := TableOptions{Wide: c.Is("wide"), Enforce: c.Is("enforce"), Spares: int(c.Int(t, "spares", 0))}
		p.Table = NewTable(shortID(t, c.Args[0]), o, p.now)
	case "own":
		p.SetOwn(shortID(t, c.Args[0]), p.now)
	case "at":
		p.now = clock.Time(span(t, c.Args[0]))
	case "filter":
		no := netip.MustParseAddr(c.Args[0])
		p.Filter(func(a netip.AddrPort) bool { return a.Addr() != no }, p.now)
	case "replied", "queried", "heard", "failed":
		return p.events(t, c)
	default:
		return p.ask(t, c)
	}
	return ""
}

func span(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (p *tablePlayer) events(t *testing.T, c scenario.Command) string {
	var out []string
	for _, arg := range c.Args {
		n := p.contact(t, arg, c)
		switch c.Name {
		case "replied":
			rtt := 50 * time.Millisecond
			if s, ok := c.Get("rtt"); ok {
				rtt = span(t, s)
			}
			placed := p.Replied(n, rtt, p.now)
			out = append(out, arg+" "+[...]string{"refused", "spare", "kept", "added"}[placed])
		case "queried":
			p.Queried(n, p.now)
		case "heard":
			p.Heard(n, p.now)
		case "failed":
			for range c.Int(t, "times", 1) {
				p.Failed(n, p.now)
			}
		}
	}
	return strings.Join(out, ", ")
}

func (p *tablePlayer) ask(t *testing.T, c scenario.Command) string {
	switch c.Name {
	case "show":
		return p.show()
	case "closest":
		least := Good
		if c.Is("questionable") {
			least = Questionable
		} else if c.Is("bad") {
			least = Bad
		}
		return names(p.Closest(nil, shortID(t, c.Args[0]), int(c.Int(t, "n", K)), least, p.now))
	case "contacts":
		return names(p.Contacts(nil, p.now))
	case "ping":
		return p.ping(int(c.Int(t, "n", 1)))
	case "refresh":
		id, ok := p.NextRefresh(p.rnd, p.now)
		if !ok {
			return "nothing"
		}
		return fmt.Sprint("prefix ", min(CommonPrefix(p.Own(), id), len(p.buckets)))
	case "due":
		return p.RefreshDue().String()
	case "verified":
		return fmt.Sprint(p.Verified(ap(c.Args[0])))
	}
	t.Errorf("unknown command %q", c.Name)
	return ""
}

func (p *tablePlayer) ping(n int) string {
	var out []string
	for range n {
		c, ok := p.NextPing(p.now)
		if !ok {
			return strings.Join(append(out, "nobody"), " ")
		}
		out = append(out, name(c.ID))
	}
	return strings.Join(out, " ")
}

func names(cs []Contact) string {
	var out []string
	for _, c := range cs {
		out = append(out, name(c.ID))
	}
	return strings.Join(out, " ")
}

func (p *tablePlayer) show() string {
	var b strings.Builder
	for i := range p.buckets {
		fmt.Fprintf(&b, "%d:", i)
		for _, e := range p.buckets[i].nodes {
			b.WriteString(" " + name(e.id) + [...]string{"!", "?", ""}[e.state(p.now)])
		}
		if len(p.buckets[i].spares) > 0 {
			b.WriteString(" |")
		}
		for _, e := range p.buckets[i].spares {
			b.WriteString(" " + name(e.id))
			if e.replied != 0 {
				b.WriteByte('+')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
