// Package server is an embedded tracker: HTTP and UDP on one port, everything in
// memory. It is what `shoal tracker` runs, and what labs, demos and tests embed.
//
//	s, err := server.Listen(ctx, "127.0.0.1:6969", server.Config{})
//	defer s.Close()
//	announce := "http://" + s.Addr().String() + "/announce"
//
// BEP 3, 7, 15, 23, 24, 31, 41 (read over) and 48. Peers are what they say and come
// from where they announce: addresses in requests are believed only if Config says
// so, and private addresses are given out as they come.
//
// A swarm belongs to one of many shards by its info-hash; a shard's lock is held for
// the time of one announce. Nobody waits while holding one.
package server
