package dht

import "testing"

// pact is what the liars of a network have agreed to say of a target.
type pact struct {
	target               ID
	fakes, sybils, liars []Contact
}

// agree makes the liars' pact for a target.
func (m *model) agree(target ID) *pact {
	if m.pact != nil && m.pact.target == target {
		return m.pact
	}
	p := &pact{target: target, fakes: fakesNearby(m, nil, target)}
	p.liars = m.nearest(target, K, func(x *member) bool { return x.liar })
	for i, c := range p.liars {
		c.ID = target
		c.ID[IDLen-3] ^= byte(i + 1)
		p.sybils = append(p.sybils, c)
	}
	m.pact = p
	return p
}

// sybils names liars under ids next to the target, which their addresses do not allow.
// They answer under those, which is no answer to who has asked for their own.
func sybils(m *model, liar *member, target ID) []Contact {
	p := m.agree(target)
	for _, c := range p.sybils {
		if c.Addr == liar.Addr {
			return nil
		}
	}
	return p.sybils
}

// fakes names addresses of nobody, the same ones as all the others.
func fakes(m *model, _ *member, target ID) []Contact { return m.agree(target).fakes }

// collusion names the liars that are closest, by their true ids.
func collusion(m *model, _ *member, target ID) []Contact { return m.agree(target).liars }

// mixed lies in one of these ways, each liar in its own.
func mixed(m *model, liar *member, target ID) []Contact {
	ways := [...]func(*model, *member, ID) []Contact{sybils, fakes, collusion}
	return ways[int(liar.ID[IDLen-2])%len(ways)](m, liar, target)
}

// TestLookupAmongLiars: half of the nodes lie in concert, and the lookup's result has
// at least 6 of the 8 closest honest nodes all the same. Where nobody lies it has 8
// nodes, and no more are asked than needed.
func TestLookupAmongLiars(t *testing.T) {
	if raceEnabled {
		return // one goroutine: there is nothing to find, and a minute to wait
	}
	const n, lookups = 1000, 60
	for _, c := range []struct {
		what          string
		dead, liars   int
		lie           func(*model, *member, ID) []Contact
		found         int     // per cent of the lookups with 6 of 8, at least
		size, queries float64 // at most
	}{
		{"nobody", 0, 0, nil, 100, 8.3, 24},
		{"nobody, 30 % dead", 30, 0, nil, 98, 9, 30},
		{"sybils", 0, 50, sybils, 95, 2 * K, 100},
		{"fakes", 0, 50, fakes, 95, 2*K + 1, 100},
		{"collusion", 0, 50, collusion, 95, maxResult, 70},
		{"mixed", 0, 50, mixed, 95, maxResult, 100},
	} {
		m := newModel(2, n, c.dead, c.liars)
		m.lie = c.lie
		found, size, queries := 0, 0.0, 0.0
		for range lookups {
			from := m.honest()
			target := RandomID(m.rnd)
			want := m.nearest(target, K, func(x *member) bool { return !x.dead && !x.liar && x != from })
			p := m.lookup(from, target, Alpha)
			if p.missing(want) <= 2 {
				found++
			}
			size += float64(len(p.l.closest())) / lookups
			queries += float64(p.l.queried) / lookups
		}
		t.Logf("%-18s 6 of 8 in %d of %d, %.1f nodes in the result, %.1f queries", c.what, found, lookups, size, queries)
		if 100*found < c.found*lookups || size > c.size || queries > c.queries {
			t.Errorf("%s: want 6 of 8 in %d %%, %.1f nodes, %.0f queries", c.what, c.found, c.size, c.queries)
		}
	}
}

// TestRing: who knows whom, a row each, and whether the first one belongs to a ring.
func TestRing(t *testing.T) {
	for _, c := range []struct {
		what string
		rows [K]string
		ring bool
	}{
		{"all know all", [K]string{"11111111", "11111111", "11111111", "11111111", "11111111", "11111111", "11111111", "11111111"}, false},
		{"four liars", [K]string{"11110000", "11110000", "11110000", "11110000", "11111111", "11111111", "11111111", "11111111"}, true},
		{"one of the honest", [K]string{"11111111", "01111111", "01111111", "01111111", "01111111", "01111111", "01111111", "01111111"}, false},
		{"the seven others", [K]string{"11111110", "11111110", "11111110", "11111110", "11111110", "11111110", "11111110", "11111111"}, true},
		{"poor tables", [K]string{"11011000", "11111111", "11110101", "10011111", "11111110", "01011111", "11110011", "11111111"}, false},
	} {
		var knows [K]uint32
		for i, row := range c.rows {
			for k := range row {
				knows[i] |= uint32(row[k]-'0') << k
			}
		}
		if got := ring(knows, 0); got != c.ring {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}
