// Package pex decides what to tell a peer about other peers, and what to believe of
// what peers tell: peer exchange (BEP 11). It is pure; the engine owns one State and
// one Guard for each connection, and asks them when something has happened.
//
//	Message  the ut_pex message: Parse and Append
//	State    what we have told one remote; Diff makes the next message, within BEP 11's bounds
//	Guard    what one remote has told us; Take bounds, filters and believes little of it
//
// Peer exchange is a diff: "added" names those that the sender has connected to since
// its last message, "dropped" those that it is no longer connected to. Only peers that
// the sender is connected to are ever named, so that nobody can be made to spread
// addresses that no one has verified.
package pex
