// Package relay stands between two UDP endpoints of this machine and treats their
// datagrams as a long, lossy or narrow path would: see internal/netpath. One side
// dials the relay's address and believes it to be its peer; the other side sees an
// address of the relay's for each that dials. It serves tests and measurements only.
package relay
