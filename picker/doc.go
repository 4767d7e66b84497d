// Package picker decides which pieces a peer should be asked for, best first. It
// holds the strategies, pure and registered by name, and nothing else: blocks,
// leases, the bound on partial pieces, endgame and blame are the engine's.
//
// A Strategy keeps whatever index it needs over the torrent's facts and is told of
// each change. It owns that index and no fact: all facts are the torrent's, so a
// strategy can be exchanged while running by a Rebuild of the new one.
//
//	rarest      rarest first, random ties; the first four pieces at random
//	sequential  in order of index
//	random      at random
//
// All three put pieces with a deadline first, then higher priorities; they ask a
// snubbed peer for what others are least likely to be busy with, and one on parole
// for whole pieces that nobody has begun.
//
// A new strategy is a type with three methods and a Register in an init function;
// see the example.
package picker
