package dht

import (
	"net/netip"
	"strconv"

	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/internal/compact"
)

// Append appends the message in canonical bencoding. What a message of its kind and
// method does not have is left out, whatever the fields say.
func (m *Msg) Append(b []byte) []byte {
	b = append(b, 'd')
	switch m.Kind {
	case KindQuery:
		b = append(m.appendArguments(append(b, "1:ad"...)), 'e')
	case KindError:
		b = append(b, "1:el"...)
		b = bencode.AppendInt(b, int64(m.Code))
		b = append(bencode.AppendString(b, m.Text), 'e')
	}
	if m.IP.Addr().IsValid() {
		b = appendAddr(append(b, "2:ip"...), m.IP)
	}
	switch m.Kind {
	case KindQuery:
		b = appendName(append(b, "1:q"...), m)
	case KindReply:
		b = append(m.appendReturned(append(b, "1:rd"...)), 'e')
	}
	b = appendFlag(b, "2:ro", m.ReadOnly && m.Kind == KindQuery)
	b = bencode.AppendString(append(b, "1:t"...), m.TID)
	b = appendBytes(b, "1:v", m.Version)
	return append(append(b, "1:y1:"...), byte(m.Kind), 'e')
}

func appendName(b []byte, m *Msg) []byte {
	if m.Method == MethodUnknown {
		return bencode.AppendString(b, m.Name)
	}
	return bencode.AppendString(b, m.Method.String())
}

// appendArguments writes the keys of "a" in order.
func (m *Msg) appendArguments(b []byte) []byte {
	b = m.appendNumber(b, "3:cas", HasCAS, m.CAS)
	b = m.appendID(b, "2:id", HasID, m.ID)
	b = appendFlag(b, "12:implied_port", m.ImpliedPort)
	if m.hashed() {
		b = m.appendID(b, "9:info_hash", HasTarget, m.Target)
	}
	b = appendBytes(b, "1:k", m.K)
	b = appendFlag(b, "6:noseed", m.NoSeed)
	if m.Method == MethodAnnounce || m.Port != 0 {
		b = bencode.AppendUint(append(b, "4:port"...), uint64(m.Port))
	}
	b = appendBytes(b, "4:salt", m.Salt)
	b = appendFlag(b, "6:scrape", m.Scrape)
	b = appendFlag(b, "4:seed", m.Seed)
	b = m.appendNumber(b, "3:seq", HasSeq, m.Seq)
	b = appendBytes(b, "3:sig", m.Sig)
	if !m.hashed() {
		b = m.appendID(b, "6:target", HasTarget, m.Target)
	}
	b = appendBytes(b, "5:token", m.Token)
	b = appendRaw(b, "1:v", m.V)
	return appendWant(b, m.Want)
}

// hashed reports whether the target is called info_hash.
func (m *Msg) hashed() bool { return m.Method == MethodGetPeers || m.Method == MethodAnnounce }

// appendReturned writes the keys of "r" in order.
func (m *Msg) appendReturned(b []byte) []byte {
	b = appendBloom(b, "4:BFpe", m.Peers)
	b = appendBloom(b, "4:BFsd", m.Seeds)
	b = m.appendID(b, "2:id", HasID, m.ID)
	if m.Has&HasSamples != 0 {
		b = bencode.AppendInt(append(b, "8:interval"...), m.Interval)
	}
	b = appendBytes(b, "1:k", m.K)
	b = appendNodes(b, "5:nodes", m.Has&HasNodes != 0, m.Nodes, IDLen+6)
	b = appendNodes(b, "6:nodes6", m.Has&HasNodes6 != 0, m.Nodes6, IDLen+18)
	if m.Has&HasSamples != 0 {
		b = bencode.AppendInt(append(b, "3:num"...), m.Num)
		b = appendHeader(append(b, "7:samples"...), IDLen*len(m.Samples))
		for i := range m.Samples {
			b = append(b, m.Samples[i][:]...)
		}
	}
	b = m.appendNumber(b, "3:seq", HasSeq, m.Seq)
	b = appendBytes(b, "3:sig", m.Sig)
	b = appendBytes(b, "5:token", m.Token)
	b = appendRaw(b, "1:v", m.V)
	return appendValues(b, m.Values)
}

func (m *Msg) appendID(b []byte, key string, has Fields, id ID) []byte {
	if m.Has&has == 0 {
		return b
	}
	return append(append(append(b, key...), "20:"...), id[:]...)
}

func (m *Msg) appendNumber(b []byte, key string, has Fields, n int64) []byte {
	if m.Has&has == 0 {
		return b
	}
	return bencode.AppendInt(append(b, key...), n)
}

func appendFlag(b []byte, key string, on bool) []byte {
	if !on {
		return b
	}
	return append(append(b, key...), "i1e"...)
}

func appendBytes(b []byte, key string, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return bencode.AppendString(append(b, key...), v)
}

// appendRaw writes a value that is bencoded already.
func appendRaw(b []byte, key string, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return append(append(b, key...), v...)
}

func appendBloom(b []byte, key string, f *Bloom) []byte {
	if f == nil {
		return b
	}
	return bencode.AppendString(append(b, key...), f[:])
}

func appendWant(b []byte, w Want) []byte {
	if w == 0 {
		return b
	}
	b = append(b, "4:wantl"...)
	if w&WantN4 != 0 {
		b = append(b, "2:n4"...)
	}
	if w&WantN6 != 0 {
		b = append(b, "2:n6"...)
	}
	return append(b, 'e')
}

// appendHeader begins a string of n bytes.
func appendHeader(b []byte, n int) []byte {
	return append(strconv.AppendInt(b, int64(n), 10), ':')
}

// appendNodes writes compact node info of one family; contacts of the other are the
// caller's bug and left out.
func appendNodes(b []byte, key string, has bool, nodes []Contact, size int) []byte {
	if !has {
		return b
	}
	n := 0
	for i := range nodes {
		if IDLen+compact.Size(nodes[i].Addr) == size {
			n++
		}
	}
	b = appendHeader(append(b, key...), n*size)
	for i := range nodes {
		if IDLen+compact.Size(nodes[i].Addr) == size {
			b = compact.Append(append(b, nodes[i].ID[:]...), nodes[i].Addr)
		}
	}
	return b
}

func appendValues(b []byte, values []netip.AddrPort) []byte {
	if len(values) == 0 {
		return b
	}
	b = append(b, "6:valuesl"...)
	for _, a := range values {
		b = appendAddr(b, a)
	}
	return append(b, 'e')
}

// appendAddr writes a compact address as a string.
func appendAddr(b []byte, a netip.AddrPort) []byte {
	return compact.Append(appendHeader(b, compact.Size(a)), a)
}
