package mse

import "errors"

// What a handshake fails with. All but ErrBusy and ErrInitial are the remote's doing.
var (
	// ErrKey: the remote's Diffie-Hellman value allows only secrets that everybody
	// can guess, or lies outside of the group.
	ErrKey = errors.New("encryption: bad public key")
	// ErrSync: what was to follow the padding did not come where it has to. The remote
	// speaks another protocol, replays another handshake, or sends garbage.
	ErrSync = errors.New("encryption: no synchronisation")
	// ErrUnknown: the remote wants a torrent that is not here.
	ErrUnknown = errors.New("encryption: no such torrent")
	// ErrMethod: the two sides have no method in common, or the remote chose one that
	// was not offered.
	ErrMethod = errors.New("encryption: no method in common")
	// ErrLength: a length beyond its limit.
	ErrLength = errors.New("encryption: length beyond its limit")
	// ErrBusy: too many handshakes lately to calculate another one.
	ErrBusy = errors.New("encryption: too many handshakes")
	// ErrInitial: our own initial payload is longer than MaxInitial.
	ErrInitial = errors.New("encryption: initial payload too long")
)
