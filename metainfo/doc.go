// Package metainfo reads and writes what describes a torrent: .torrent files
// (BEP 3, 12, 17, 19, 27, 38, 47, 52), info dictionaries that came from peers
// (BEP 9), magnet links (BEP 9, 53) and info-hashes.
//
// It is pure: bytes in, values out, no I/O and no clock. Everything a torrent
// says is hostile until it passed Load or LoadInfo, the one door for torrents:
// files, magnets and metadata from peers go through the same checks.
//
// Lengths owns all piece and block arithmetic.
package metainfo
