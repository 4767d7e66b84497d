// Package utp is the micro transport protocol of BEP 29 as a state machine: bytes of
// packets and moments go in, bytes of packets come out. It opens no socket, reads no
// clock, starts no goroutine and draws no random number; who owns a UDP socket feeds
// it, and the simulator runs the very same code.
//
// A [Machine] is one connection and belongs to one goroutine. Its owner does, for all
// datagrams that one drain of the socket brought,
//
//	p, err := utp.Parse(datagram)    // and finds the machine by p.ConnID
//	m.Receive(&p, now, deliver)      // deliver gets the bytes of the stream, in order
//
// and then, once for each machine that was touched or whose Deadline came,
//
//	m.Output(now, alloc)             // alloc lends the bytes of a datagram to send
//	wheel.Set(m, m.Deadline())
//
// so that a drain of many packets is answered by one acknowledgement.
//
// Congestion control is LEDBAT (RFC 6817) with two amendments that keep flows fair to
// each other: a multiplicative decrease above the target, and slowdowns now and then
// during which the queue empties and a late-comer learns the true base delay
// (draft-irtf-iccrg-ledbat-plus-plus). [Config.Plain] turns both off.
//
// Packet size is searched for by padding: a probe carries no more data than is known
// to pass, and grows by extension headers that receivers skip. A lost probe is sent
// again without them, so a black hole for large datagrams costs no data.
package utp
