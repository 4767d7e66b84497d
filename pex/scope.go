package pex

import "net/netip"

// Scope is from where an address can be reached; who sorts addresses is the caller. A
// remote in one scope is told of, and may name, addresses of that scope and of those
// before it: someone on the internet knows nothing of use about a network at home, and
// a neighbour there nothing about this machine.
type Scope uint8

// Scopes, the widest first.
const (
	Public   Scope = iota // from everywhere
	Private               // from the same network
	Loopback              // from this machine
	Nowhere               // no peer has it, or it means something else to everyone
)

// may reports whether a remote of scope s and an address of another have to do with
// each other.
func (s Scope) may(addr Scope) bool {
	return addr == Public || addr <= s && s < Nowhere
}

// ScopeFunc sorts an address.
type ScopeFunc func(netip.Addr) Scope
