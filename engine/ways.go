package engine

import (
	"errors"
	"math/bits"
	"slices"

	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
)

// way is one manner to connect to a peer: by which transport, and whether the stream
// begins with an encrypted handshake.
type way struct {
	transport uint8 // index in Deps.Transports
	encrypted bool
}

// ways are the manners to connect that the configuration permits, the preferred first.
// Pure and constant; owner: the session.
type ways []way

// maxWays bounds them: a wayMemory has a bit for each.
const maxWays = 16

// newWays orders the ways: by transport as they are listed, and within each by what is
// preferred of encrypted and plain. none of either: it is never tried.
func newWays(transports int, kinds ...bool) ways {
	var out ways
	for t := range transports {
		for _, encrypted := range kinds {
			if len(out) < maxWays {
				out = append(out, way{uint8(t), encrypted})
			}
		}
	}
	return out
}

// waysOf orders the ways as a policy wants it.
func waysOf(p mse.Policy, transports int) ways {
	switch p {
	case mse.Off:
		return newWays(transports, false)
	case mse.Allow:
		return newWays(transports, false, true)
	case mse.Require:
		return newWays(transports, true)
	}
	return newWays(transports, true, false)
}

// wayMemory is what is known of the ways to one address. Owner: its candidate.
type wayMemory struct {
	failed uint16 // ways that failed since the last time that one worked, or all were tried
	works  uint8  // 1 + the way that worked last; 0: none has
}

// wayFailure says how far a way has led.
type wayFailure uint8

const (
	// nobodyThere: no connection. The transport's other ways would fail as well.
	nobodyThere wayFailure = iota
	// noHandshake: there was a connection, and it ended before the handshake was
	// complete: perhaps the remote wants, or knows, only the other kind.
	noHandshake
	// noUse: the remote is not whom we look for. There is no other way to it.
	noUse
)

// next returns the way to try now.
func (w ways) next(m wayMemory) way {
	if i := m.works; i > 0 && m.failed&(1<<(i-1)) == 0 {
		return w[i-1]
	}
	return w[min(bits.TrailingZeros16(^m.failed), len(w)-1)]
}

// index is a way's place.
func (w ways) index(x way) int {
	for i, o := range w {
		if o == x {
			return i
		}
	}
	return 0
}

// onFailure remembers that a way has failed, and reports whether there is another
// that is worth trying at once. Once all have failed, the next try begins anew.
func (w ways) onFailure(m *wayMemory, x way, f wayFailure) (another bool) {
	for i, o := range w {
		if o == x || f == nobodyThere && o.transport == x.transport {
			m.failed |= 1 << i
		}
	}
	if f == noUse || m.failed == 1<<len(w)-1 {
		m.failed = 0
		return false
	}
	return true
}

// onSuccess remembers the way that has worked.
func (w ways) onSuccess(m *wayMemory, x way) { *m = wayMemory{works: uint8(w.index(x)) + 1} }

// hint says what may be the matter with a remote to which no way has led, where the
// policy leaves some out, to be said behind the failure; "" if there is nothing to say.
func (w ways) hint(f wayFailure) string {
	encrypted := func(x way) bool { return x.encrypted }
	switch {
	case f != noHandshake:
		return ""
	case !slices.ContainsFunc(w, encrypted):
		return "; perhaps it wants encryption, which is off here"
	case !slices.ContainsFunc(w, func(x way) bool { return !x.encrypted }):
		return "; perhaps it knows no encryption, which is required here"
	}
	return ""
}

// underway reports whether some of the ways were tried in vain and others are left.
func (m wayMemory) underway() bool { return m.failed != 0 }

// wayFailureOf says how far an attempt has led that ended with err.
func wayFailureOf(err error) wayFailure {
	var e *peerError
	var cut *transport.LinkError
	switch {
	case !errors.As(err, &e) || e.fault == faultWrong:
		return noUse
	case e.fault == faultDial && !(errors.As(err, &cut) && cut.Fault == transport.RemoteFault):
		return nobodyThere
	}
	return noHandshake
}
