// Package netpath models what lies between two UDP sockets, one direction and one
// datagram at a time: a rate with a buffer that drops from its tail, a propagation
// delay, loss, reordering, repetition and an MTU. It reads no clock and draws from a
// stream of its own, so that the simulator and a relay of live sockets decide alike,
// and one link's traffic does not shift another's fates.
package netpath
