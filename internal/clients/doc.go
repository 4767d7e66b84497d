// Package clients starts BitTorrent programs, other people's and our own binary, in
// a private network, for the tests in interop and the comparison in bench.
//
// Isolate puts the calling program into namespaces of its own: a network that knows
// nothing but the addresses 10.77.0.0/16 (transmission refuses peers at 127/8, and
// several clients refuse two peers at one address), a mount table for scratch file
// systems, and a process table, so that whatever was started ends with the caller,
// even if that is killed.
//
// A Client starts a Run for a Job: one torrent, one folder, one address. DHT, PEX,
// LSD, port mapping, queues and encryption are off, so that a run does what its test
// says. Nothing here uses shoal's own packages: torrents are made and bytes compared
// by code that shares no mistake with what is tested.
package clients
