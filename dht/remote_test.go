package dht_test

import (
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/dht"
)

// player is the other side of a dialogue, played by a test.
type player struct {
	n    *network
	addr netip.AddrPort
	id   dht.ID
	got  []dht.Msg // what has come and was not taken yet
	raw  [][]byte
	// reply, if set, answers queries by itself.
	reply func(from netip.AddrPort, q dht.Msg) *dht.Msg
}

func (n *network) player(addr netip.AddrPort) *player {
	r := &player{n: n, addr: addr, id: dht.SecureID(addr.Addr(), n.rnd)}
	n.at[addr] = func(from netip.AddrPort, b []byte) {
		m, err := dht.Parse(b)
		if err != nil {
			n.t.Errorf("%v sends nonsense: %v: %q", from, err, b)
		}
		if r.reply != nil && m.Kind == dht.KindQuery {
			if a := r.reply(from, m); a != nil {
				a.TID = m.TID
				r.send(from, a)
			}
			return
		}
		r.got, r.raw = append(r.got, m), append(r.raw, b)
	}
	return r
}

func (r *player) send(to netip.AddrPort, m *dht.Msg) {
	if m.ID.IsZero() {
		m.ID = r.id
	}
	m.Has |= dht.HasID
	r.sendRaw(to, m.Append(nil))
}

func (r *player) sendRaw(to netip.AddrPort, b []byte) { _ = (&socket{r.n, r.addr}).Send(to, b) }

// query sends a query and returns the answer, nil for silence.
func (r *player) query(to netip.AddrPort, m dht.Msg) *dht.Msg {
	m.Kind, m.TID = dht.KindQuery, []byte{'q', byte(r.n.rnd.Uint32())}
	r.send(to, &m)
	return r.answerTo(m.TID)
}

// answerTo waits for the answer to a transaction.
func (r *player) answerTo(tid []byte) *dht.Msg {
	var a *dht.Msg
	r.n.until(time.Second, func() bool {
		i := slices.IndexFunc(r.got, func(m dht.Msg) bool { return m.Kind != dht.KindQuery && string(m.TID) == string(tid) })
		if i >= 0 {
			m := r.got[i]
			r.got = slices.Delete(r.got, i, i+1)
			a = &m
		}
		return a != nil
	})
	return a
}

// honest answers every query as a node without contacts would.
func (r *player) honest(from netip.AddrPort, q dht.Msg) *dht.Msg {
	a := &dht.Msg{Kind: dht.KindReply, IP: from}
	if q.Method != dht.MethodPing {
		a.Has |= dht.HasNodes
		a.Token = []byte("tok")
	}
	return a
}

// contact is where it is found.
func (r *player) contact() dht.Contact { return dht.Contact{ID: r.id, Addr: r.addr} }
