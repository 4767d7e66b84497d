// Package dht is a node of BitTorrent's distributed hash table, Mainline: BEP 5, 32,
// 33, 42, 43, 44, 45, 46 and 51.
//
//   - The pieces are pure: ids and distances (id.go), the codec (krpc.go), the
//     routing table, tokens, the stores of peers and items, the limiter, the votes on
//     our own address, and the iterative lookup (lookup.go), a machine that is stepped
//     by events and can be played by hand.
//   - A node ([New]) is an actor that owns one of each for one socket. It never waits;
//     messages.go says what it can be told, and what it answers.
//   - A [Follower] watches a mutable item for the torrent it names (BEP 46).
//
// Everything that comes from the network is hostile until proven otherwise. A node
// knows nothing of sockets: it is given one with a Send, and datagrams as messages, so
// that thousands of nodes run in one process under a virtual clock.
package dht
