package dht

import (
	"errors"
	"fmt"
)

// Why a request found nothing. None of them is the disk's or a bug.
var (
	ErrCancelled = errors.New("dht: cancelled")
	ErrForgotten = errors.New("dht: the torrent is private: nothing may be asked for it")
	ErrStopped   = errors.New("dht: the node has stopped")
	ErrBusy      = errors.New("dht: too many lookups are waiting")
	ErrNoNodes   = errors.New("dht: no node of the network has answered")
	ErrTimeout   = errors.New("dht: the node has not answered")
	ErrAddress   = errors.New("dht: the address is of the wrong kind or not allowed")
	ErrNotFound  = errors.New("dht: no node has the item, or a newer one")
	ErrNotStored = errors.New("dht: no node has accepted the item")
	ErrNoSamples = errors.New("dht: the node does not give samples (BEP 51)")
	ErrReadOnly  = errors.New("dht: the node is read-only")
)

// RemoteError is what another node says has gone wrong: KRPC's "e".
type RemoteError struct {
	Code int64  // 201 to 207, 301, 302, see BEP 5 and 44
	Text string // cleaned, at most a line
}

// Error prints the node's words.
func (e *RemoteError) Error() string {
	return fmt.Sprintf("dht: the node answers %d: %s", e.Code, e.Text)
}
