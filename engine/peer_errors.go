package engine

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/shoal-bt/shoal/transport"
)

// peerFault says why a connection ended, and with that whose fault it was.
type peerFault uint8

const (
	faultDial     peerFault = iota // it could not be made: the network, or nobody there
	faultClosed                    // the remote or the network ended it
	faultTimeout                   // the remote said nothing for too long
	faultProtocol                  // the remote broke the protocol
	faultWrong                     // the remote serves something else
	faultDisk                      // our own disk failed us
)

// peerError is the Err of a peer's Exit when the peer itself has ended it.
type peerError struct {
	fault peerFault
	addr  netip.AddrPort
	text  string // which rule, or what happened
	err   error  // beneath, may be nil
}

func (e *peerError) Error() string { return "peer " + e.said() }

// said is the error where it is clear that it is a peer's.
func (e *peerError) said() string {
	s := e.addr.String()
	if e.fault == faultProtocol {
		s += " broke the protocol"
	}
	if e.text != "" {
		s += ": " + e.text
	}
	if l, ok := e.err.(*transport.LinkError); ok && l.Remote == e.addr { //nolint:errorlint // what it wraps says more
		return s + fmt.Sprintf(": %v: %v", l.Fault, l.Err) // without the address
	}
	if e.err != nil {
		s += ": " + e.err.Error()
	}
	return s
}

func (e *peerError) Unwrap() error { return e.err }

func (p *peer) ended(f peerFault, err error, format string, args ...any) error {
	return &peerError{f, p.cfg.addr, fmt.Sprintf(format, args...), err}
}

// broke is the error for a remote that violates a rule.
func (p *peer) broke(format string, args ...any) error {
	return p.ended(faultProtocol, nil, format, args...)
}

// linkError tells the remote's violations, which the link has found, from the ends of
// connections.
func (p *peer) linkError(err error) error {
	var l *transport.LinkError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return p.ended(faultClosed, err, "closed the connection")
	case errors.As(err, &l) && l.Fault == transport.RemoteFault:
		return p.ended(faultProtocol, l.Err, "")
	case l != nil:
		return p.ended(faultClosed, l.Err, "connection lost")
	}
	return p.ended(faultClosed, err, "connection lost")
}
