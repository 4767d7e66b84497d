// Package metainfo reads and writes what describes a torrent: .torrent files
// (BEP 3, 5, 12, 17, 19, 27, 38, 47, 52), info dictionaries that came from peers
// (BEP 9), magnet links (BEP 9, 53) and info-hashes.
//
// It is pure: bytes in, values out, no I/O and no clock; package create beneath
// it reads disks. Everything that a torrent says is hostile until it passed Load
// or LoadInfo, the one door for torrents: files, magnets and metadata from peers
// go through the same checks. Structural lies are refused, each with a Code of
// its own; hostile names are repaired, since users have such torrents. A Path can
// only be made by the sanitiser.
//
// Where to start reading: load.go (the door), info.go (the info dictionary),
// filelist.go and filetree.go (v1 and v2 files), path.go, names.go, symlinks.go
// (what keeps files apart and inside), merkle.go (v2 hashes), outer.go (the rest
// of a file), magnet.go, builder.go.
//
// Lengths owns all piece and block arithmetic, also of v2 torrents, whose files
// begin pieces.
package metainfo
