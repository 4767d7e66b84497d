package transport

import (
	"slices"
	"sync/atomic" //atomic: the session writes, every connection that comes in encrypted reads

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport/mse"
)

// Keys are the torrents that incoming encrypted connections may ask for. They name one
// by a hash of its info-hash, so that all have to be known beforehand. The zero Keys
// holds none. Its methods wait for nobody and may be called by any goroutine: readers
// see an immutable part of the table. They also are the session's limit on how many
// such connections are listened to, see Admit.
type Keys struct {
	parts [256]atomic.Pointer[[]keyEntry] // by the first byte of req2
	costs costs
}

type keyEntry struct {
	req2, key [mse.KeyLen]byte
}

// Add admits a torrent, under all the hashes by which handshakes know it.
func (k *Keys) Add(h metainfo.Hash) {
	for _, key := range h.Wire() {
		e := keyEntry{mse.Req2(key), key}
		k.change(e, func(old []keyEntry) []keyEntry { return append(old[:len(old):len(old)], e) })
	}
}

// Remove shuts a torrent out again.
func (k *Keys) Remove(h metainfo.Hash) {
	for _, key := range h.Wire() {
		k.change(keyEntry{mse.Req2(key), key}, func(old []keyEntry) []keyEntry { return old })
	}
}

// change replaces the part in which e is, or would be, by what to makes of the others.
func (k *Keys) change(e keyEntry, to func(others []keyEntry) []keyEntry) {
	p := &k.parts[e.req2[0]]
	for {
		old := p.Load()
		var now []keyEntry
		if old != nil {
			now = slices.DeleteFunc(slices.Clone(*old), func(o keyEntry) bool { return o == e })
		}
		if now = to(now); p.CompareAndSwap(old, &now) {
			return
		}
	}
}

// Find returns the info-hash that req2 is the HASH('req2', SKEY) of.
func (k *Keys) Find(req2 [mse.KeyLen]byte) (key [mse.KeyLen]byte, ok bool) {
	if p := k.parts[req2[0]].Load(); p != nil {
		for i := range *p {
			if (*p)[i].req2 == req2 {
				return (*p)[i].key, true
			}
		}
	}
	return key, false
}
