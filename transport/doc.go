// Package transport moves a peer's bytes: connections of every kind behind one
// interface, [Transport], and the pumps that wait at the sockets so that no actor
// has to. A peer actor never sees a net.Conn: it speaks [Link].
package transport
