// Package transport moves a peer's bytes: connections of every kind behind one
// interface, [Transport], and the pumps that wait at the sockets so that no actor
// has to. A peer actor never sees a net.Conn: it speaks [Link].
//
// Below transports over UDP, and beside them for the DHT and trackers, are
// [Datagrams]: sockets that several services share ([Share]), told apart by how a
// datagram begins.
package transport
