// Package engine is the program: sessions, torrents and peers as actors over the
// folders beneath it. Embedders use [Engine] in engine.go; everything else is
// messages.
//
// # Where to start reading
//
// torrent.go's Handle is the map: what can happen to a torrent. torrent_messages.go
// says who says what, peer.go and peer_messages.go the same for one connection,
// windows.go holds every bound between actors, deps.go what engine needs of the
// rest.
//
// # Who owns what
//
//   - The session owns the set of torrents and the listening sockets, and routes
//     connections that come in.
//   - The governor owns what all torrents share: rate limits, connection and
//     half-open slots, upload slots.
//   - A torrent owns its pieces, the remote bitfields, who was asked for which
//     block, the addresses it knows, and its choker and picker.
//   - A peer owns one connection: the handshake, what was requested of the remote
//     and when, and what the remote has requested of us.
//   - Storage, announcers and transports own theirs, below.
//
// # Torrents that begin with a link
//
// A torrent without metadata is the same torrent: it announces, connects and shakes
// hands. metadata.go decides what to ask of whom, torrent_metadata.go what follows:
// once the info dictionary is there and has the hash, it passes the one loader, storage
// opens, and peers judge what remotes have said of pieces meanwhile (peer_early.go).
//
// # Life of a block
//
// A peer with room for n more requests says need(n). The torrent answers with runs
// of blocks, which the peer requests. The link brings the payload in slots, a batch
// per drain of its socket; the peer matches it with its requests and reports the
// batch to the torrent, which marks the blocks and hands the slots to storage.
// Storage hashes them as they come in order and answers once per piece: verified
// and written, or bad. The torrent appends good pieces to its log of haves, which
// peers announce, and asks who lied about bad ones.
package engine
