package pex

import (
	"fmt"
	"net/netip"

	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/compact"
)

// Time is a moment on the caller's clock.
type Time = clock.Time

// Flags are what a message says of a peer that it names (BEP 11).
type Flags uint8

// BEP 11, "Flags are defined as follows"; other bits are reserved.
const (
	Encryption Flags = 1 << iota // "prefers encryption, as indicated by e field in extension handshake"
	Seed                         // "seed/upload_only"
	UTP                          // "supports uTP"
	Holepunch                    // "peer indicated ut_holepunch support in extension handshake"
	Reachable                    // "outgoing connection, peer is reachable"

	knownFlags = Encryption | Seed | UTP | Holepunch | Reachable
)

// Peer is a contact and what is said of it.
type Peer struct {
	Addr  netip.AddrPort // IPv4 never mapped into IPv6
	Flags Flags
}

// Message is one ut_pex message. IPv4 and IPv6 stand in the same list.
type Message struct {
	Added   []Peer
	Dropped []netip.AddrPort
}

// Caps on what is read of one message.
const (
	// MaxMessage bytes may a message have. BEP 11 sets no bound to the first one; 500
	// peers of each family have 13 kB.
	MaxMessage = 32 << 10
	// maxTokens bencoded items and maxDepth levels: there are six strings in use.
	maxTokens = 256
	maxDepth  = 4
)

const size4, size6 = compact.Size4, compact.Size6

// Parse reads a message and keeps nothing of b. Fields that are missing or of another
// type are empty, flags that are missing are 0, and what follows the last whole contact
// is ignored. It fails if b is not a bencoded dictionary, or is too large.
func Parse(b []byte) (Message, error) {
	v, _, err := bencode.ParsePrefix(b, bencode.Options{
		Limits: bencode.Limits{Size: MaxMessage, Depth: maxDepth, Tokens: maxTokens},
	})
	if err != nil {
		return Message{}, fmt.Errorf("peer exchange: %w", err)
	}
	if v.Kind() != bencode.Dict {
		return Message{}, fmt.Errorf("peer exchange: a %v, not a dictionary", v.Kind())
	}
	var f fields
	for key, val := range v.Dict() {
		f.set(string(key), val)
	}
	var m Message
	if n := len(f.added)/size4 + len(f.added6)/size6; n > 0 {
		m.Added = make([]Peer, 0, n)
	}
	if n := len(f.dropped)/size4 + len(f.dropped6)/size6; n > 0 {
		m.Dropped = make([]netip.AddrPort, 0, n)
	}
	m.Added = appendPeers(m.Added, f.added, f.flags, size4)
	m.Added = appendPeers(m.Added, f.added6, f.flags6, size6)
	m.Dropped = appendContacts(m.Dropped, f.dropped, size4)
	m.Dropped = appendContacts(m.Dropped, f.dropped6, size6)
	return m, nil
}

// fields are the six strings of a message.
type fields struct{ added, flags, added6, flags6, dropped, dropped6 []byte }

func (f *fields) set(key string, v bencode.Value) {
	b, _ := v.Bytes()
	switch key {
	case "added":
		f.added = b
	case "added.f":
		f.flags = b
	case "added6":
		f.added6 = b
	case "added6.f":
		f.flags6 = b
	case "dropped":
		f.dropped = b
	case "dropped6":
		f.dropped6 = b
	}
}

// contact reads one contact, whose size is known to be right.
func contact(b []byte) netip.AddrPort {
	a, _ := compact.Parse(b)
	return a
}

func appendPeers(dst []Peer, b, flags []byte, size int) []Peer {
	for i := 0; len(b) >= size; i++ {
		p := Peer{Addr: contact(b[:size])}
		if i < len(flags) { // "added.f: optional"
			p.Flags = Flags(flags[i])
		}
		dst, b = append(dst, p), b[size:]
	}
	return dst
}

func appendContacts(dst []netip.AddrPort, b []byte, size int) []netip.AddrPort {
	for ; len(b) >= size; b = b[size:] {
		dst = append(dst, contact(b[:size]))
	}
	return dst
}

func is4(a netip.AddrPort) bool { return a.Addr().Unmap().Is4() }

// Append appends the message in canonical bencoding. Fields without a contact are
// left out.
func (m *Message) Append(dst []byte) []byte {
	var f fields
	for _, p := range m.Added {
		if is4(p.Addr) {
			f.added, f.flags = compact.Append(f.added, p.Addr), append(f.flags, byte(p.Flags))
		} else {
			f.added6, f.flags6 = compact.Append(f.added6, p.Addr), append(f.flags6, byte(p.Flags))
		}
	}
	for _, a := range m.Dropped {
		if is4(a) {
			f.dropped = compact.Append(f.dropped, a)
		} else {
			f.dropped6 = compact.Append(f.dropped6, a)
		}
	}
	dst = append(dst, 'd') // keys in sorted order
	dst = appendField(dst, "added", f.added)
	dst = appendField(dst, "added.f", f.flags)
	dst = appendField(dst, "added6", f.added6)
	dst = appendField(dst, "added6.f", f.flags6)
	dst = appendField(dst, "dropped", f.dropped)
	dst = appendField(dst, "dropped6", f.dropped6)
	return append(dst, 'e')
}

func appendField(dst []byte, key string, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return bencode.AppendString(bencode.AppendString(dst, key), b)
}
