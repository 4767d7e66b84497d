// Package swarm builds swarms of production engines in the seeded world: each node
// is an engine.Core over models of network, disk and tracker, and its torrent is
// fetched in virtual time. What it reports is the same under the same seed, bit for
// bit.
package swarm
