// Package choker decides which peers may download from us. It holds the
// strategies, pure and registered by name; sending choke and unchoke, and how many
// slots a torrent has, are the engine's.
//
// A Strategy is asked at least every ten seconds while somebody is interested, and
// whenever something changes that could fill or free a slot. It sees the peers in a
// View and answers with Grants. It owns only what it remembers between two
// questions: who waits since when, who was served how much.
//
//	tit-for-tat       while downloading, those that give us most, and one that is
//	                  tried out; when seeding, as seed-round-robin
//	seed-round-robin  everybody in turn
//	fastest           those that take fastest from us, and one that is tried out
//
// All three fill free slots at once, never unchoke a seed or a peer that is not
// interested, and choke nobody within ten seconds of unchoking it: "It should avoid
// choking and unchoking quickly, known as 'fibrillation'" (BEP 3).
package choker
