// Package utpanacrolix is the transport "utp" by another implementation of BEP 29:
// github.com/anacrolix/utp (MPL-2.0). It is here to be compared with package utpnative,
// and for those who rather trust what others have used for years. It has no congestion
// control but its window of 256 packets, so it does not yield to other traffic; it
// finds no larger packets than 1,438 bytes; it ends connections on which nothing comes
// for 2 minutes, or whose packets nobody acknowledges for 15 s. One lock of that library
// guards all of its connections.
//
// The library does not defend itself, so it stands behind a guard: a virtual socket
// that shows it only well-formed packets of connections that exist, a bounded number of
// SYNs, and that lets it answer none but those who have shown that they receive at their
// address, beyond one acknowledgement of each SYN. It panics where its state surprises
// it; where that happens on a goroutine of ours it is contained.
//
// Only this package imports the library. A program links it by naming this package.
package utpanacrolix
