package mse

import (
	"errors"
	"fmt"
	"strings"
)

// Method is how a stream goes on after the handshake. Its value is its bit in
// crypto_provide and crypto_select.
type Method uint8

// Methods: "0x01 means plaintext, 0x02 means RC4".
const (
	None      Method = 0 // there was no encrypted handshake
	Plaintext Method = 1 // only the handshake was encrypted
	RC4       Method = 2
)

// String returns "none", "plaintext" or "rc4".
func (m Method) String() string {
	switch m {
	case None:
		return "none"
	case Plaintext:
		return "plaintext"
	case RC4:
		return "rc4"
	}
	return fmt.Sprintf("method %d", uint8(m))
}

// Offer is a set of methods. The zero Offer is no encryption at all.
type Offer uint8

// Offers.
const (
	OfferPlaintext = Offer(Plaintext)
	OfferRC4       = Offer(RC4)
	OfferAny       = OfferPlaintext | OfferRC4
)

// Has reports whether m is one of the methods.
func (o Offer) Has(m Method) bool { return m != None && o&Offer(m) == Offer(m) }

// String lists the methods, "plaintext rc4", or says "none".
func (o Offer) String() string {
	var out []string
	for _, m := range []Method{Plaintext, RC4} {
		if o.Has(m) {
			out = append(out, m.String())
		}
	}
	if len(out) == 0 {
		return None.String()
	}
	return strings.Join(out, " ")
}

// Policy is what a session wants of encryption.
type Policy uint8

// Policies.
const (
	// Prefer, the zero Policy: outgoing connections are encrypted first, and plain if that
	// fails; incoming ones may be either. What hides is the handshake: the rest is in the
	// clear if both sides allow that, see Favourite.
	Prefer Policy = iota
	// Off: connections are plain, both ways. Encrypted ones are refused.
	Off
	// Allow: outgoing connections are plain; incoming ones may be either, and go on
	// in the clear after an encrypted handshake if the remote offers that.
	Allow
	// Require: whatever is not encrypted is refused, both ways, and never a plain
	// byte is said. Plaintext after the handshake is not taken for encrypted, unless
	// the methods are set to it: then the handshakes hide and the rest does not.
	Require
)

var policyNames = [...]string{Off: "off", Allow: "allow", Prefer: "prefer", Require: "require"}

// ErrPolicy says that a text names no Policy.
var ErrPolicy = errors.New("no encryption policy")

// ParsePolicy reads "off", "allow", "prefer" or "require".
func ParsePolicy(s string) (Policy, error) {
	for p, name := range policyNames {
		if s == name {
			return Policy(p), nil
		}
	}
	return Off, fmt.Errorf("%w: %q (there are %s)", ErrPolicy, s, strings.Join(policyNames[:], ", "))
}

// String returns the policy's name.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("policy %d", uint8(p))
}

// MarshalText implements encoding.TextMarshaler.
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Policy) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePolicy(string(text))
	return err
}

// Encrypted reports whether incoming connections may be encrypted.
func (p Policy) Encrypted() bool { return p != Off }

// Plain reports whether connections, of either direction, may be plain.
func (p Policy) Plain() bool { return p != Require }

// Methods are what may be used where nothing else is configured.
func (p Policy) Methods() Offer {
	switch p {
	case Off:
		return 0
	case Require:
		return OfferRC4
	}
	return OfferAny
}

// Outgoing is what the first attempt at a peer offers; zero is a plain connection.
func (p Policy) Outgoing() Offer {
	if p == Off || p == Allow {
		return 0
	}
	return p.Methods()
}

// Favourite is the method that an incoming connection gets if both are possible: RC4
// costs either side more than everything else that is done with the bytes, and keeps
// nothing secret from who wants to know. Who needs it requires it, or narrows the methods.
const Favourite = Plaintext
