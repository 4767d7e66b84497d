package dht

import (
	"errors"
	"fmt"

	"github.com/shoal-bt/shoal/bencode"
)

// MaxSaved caps the contacts of a saved table: as many as a wide one holds, and more.
const MaxSaved = 512

// ErrSaved is the fault of whoever wrote a saved table.
var ErrSaved = errors.New("dht: not a saved table")

// AppendSaved appends a node's id and contacts as they are kept between runs ("The
// routing table should be saved between invocations of the client software", BEP 5):
// a dictionary with the keys id, nodes and nodes6, in the form that KRPC has.
func AppendSaved(b []byte, own ID, contacts []Contact) []byte {
	contacts = contacts[:min(len(contacts), MaxSaved)]
	b = append(append(b, "d2:id20:"...), own[:]...)
	b = appendNodes(b, "5:nodes", true, contacts, IDLen+6)
	b = appendNodes(b, "6:nodes6", true, contacts, IDLen+18)
	return append(b, 'e')
}

// ParseSaved reads what AppendSaved wrote. Nothing in it is trusted: the contacts are
// addresses worth asking, not nodes of the table, and the caller filters them anew.
func ParseSaved(b []byte) (own ID, saved []Contact, err error) {
	v, err := bencode.Parse(b, bencode.Options{Limits: bencode.Limits{Size: 1 << 20, Depth: 4, Tokens: 64}})
	if err != nil {
		return ID{}, nil, fmt.Errorf("%w: %w", ErrSaved, err)
	}
	id := exactly(v.Get("id"), IDLen)
	if id == nil {
		return ID{}, nil, ErrSaved
	}
	saved = contacts(nil, v.Get("nodes"), 4, MaxSaved)
	return ID(id), contacts(saved, v.Get("nodes6"), 16, MaxSaved), nil
}
