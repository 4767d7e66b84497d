// Package sim is the seeded world: the same actors that run live run here on one
// thread, a virtual clock and a seed, over models of the network, disks and
// trackers. The same seed gives the same run, bit for bit; [World.Hash] is the
// witness.
package sim
