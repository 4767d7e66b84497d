package transport

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrClosed answers dials and listens of a transport that has been closed.
var ErrClosed = errors.New("transport closed")

// ErrPlain refuses a plain connection where encryption is required.
var ErrPlain = errors.New("plain connection, but encryption is required")

// ErrNotOurs says that there is no listening on an address, whatever the port.
var ErrNotOurs = errors.New("not an address of this machine")

// listenError is an error of the system's, in words where it is about the address.
func listenError(err error) error {
	if errors.Is(err, errNotOurs) {
		return fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	return err
}

// Fault says whose doing the end of a connection is.
type Fault uint8

// Faults.
const (
	RemoteFault  Fault = iota // it broke the protocol, or did not answer
	NetworkFault              // the connection broke
	LocalFault                // we closed it
)

// String names the fault as it stands in error texts.
func (f Fault) String() string {
	switch f {
	case RemoteFault:
		return "remote"
	case NetworkFault:
		return "network"
	}
	return "closed here"
}

// LinkError is the Err of a [Closed] that is not io.EOF.
type LinkError struct {
	Remote netip.AddrPort
	Fault  Fault
	Err    error // for LocalFault, the reason given to Link.Close
}

// Error begins with the remote's address and whose fault it is.
func (e *LinkError) Error() string { return fmt.Sprintf("%v: %v: %v", e.Remote, e.Fault, e.Err) }

// Unwrap returns the cause.
func (e *LinkError) Unwrap() error { return e.Err }
