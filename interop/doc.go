// Package interop tests the shoal binary against other people's clients, and the
// harness against the clients alone. It is a module of its own, so that what only
// such tests need stays out of the main one.
//
//	SHOAL_INTEROP=1 go test ./...
//
// needs Linux, root (or user namespaces) and Debian's packages transmission-daemon,
// python3-libtorrent, aria2, qbittorrent-nox, rtorrent, opentracker and iproute2.
// Without the variable nothing runs, but under CI the tests are always required.
// SHOAL_BIN names a binary to test instead of building one, SHOAL_INTEROP_KEEP a
// folder that the logs of failed tests are copied to, SHOAL_INTEROP_FLAGS more flags
// for every shoal, SHOAL_INTEROP_LIMIT another deadline for every test,
// SHOAL_INTEROP_FULL payloads of uTP of 1 GiB and 256 MiB.
//
// Everything runs in a private network and process table, see internal/clients, so
// that nothing outlives a test, not even one that is killed.
package interop
