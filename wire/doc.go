// Package wire is the peer wire protocol as bytes: the handshake, the messages of
// BEP 3, the Fast Extension (BEP 6), the DHT port (BEP 5), the envelope and the
// handshake dictionary of the extension protocol (BEP 10), and the ids of the v2
// hash messages (BEP 52). It is pure: bytes in, values out, and back.
//
// A connection is a handshake of 68 bytes,
//
//	19 "BitTorrent protocol" | reserved 8 | info-hash 20 | peer id 20
//
// then messages without end, all integers big-endian:
//
//	length 4 | id 1 | body length-1        length 0: keep-alive, no id
//
//	0 choke            -                   9 port          port 2
//	1 unchoke          -                  13 suggest       index 4
//	2 interested       -                  14 have all      -
//	3 not interested   -                  15 have none     -
//	4 have             index 4            16 reject        index 4, begin 4, length 4
//	5 bitfield         (pieces+7)/8       17 allowed fast  index 4
//	6 request          index, begin, len  20 extended      extended id 1, payload
//	7 piece            index, begin, data 21 hash request  48
//	8 cancel           index, begin, len  22 hashes        48, hashes
//	                                      23 hash reject   48
//
// Append and AppendPieceHeader write, Parse reads one whole message, and Splitter
// cuts what a socket delivers, at whatever boundaries, without holding or copying
// block data. What a remote may send is capped in one table, Limits.
//
// Every error of this package is the remote's fault: it broke the protocol.
package wire
