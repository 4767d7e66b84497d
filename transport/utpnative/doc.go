// Package utpnative is the transport "utp": uTP (BEP 29) by the machines of package
// utp, over UDP sockets that other protocols share.
//
// One actor, the mux, owns the connections of one transport. Datagrams come to it
// from the sockets' pumps, batches and grants from the peers' links. It feeds the
// machines, and at the end of each turn lets every machine that was touched speak
// once: one acknowledgement for all that a drain of the socket brought, and segments
// as trains. One timing wheel holds the deadlines of all. There is no goroutine, lock
// or clock here, so that the simulator runs the very same code.
//
// Payload is copied once on its way in, from the datagram to the slot of its block,
// and once on its way out, from the block to the datagram. Blocks stay with their
// connection until the remote has acknowledged them; a batch counts as flushed once
// its bytes have been sent, which the congestion window decides. A connection at rest
// holds no buffer.
package utpnative
