// Package lsd finds peers in the local network: Local Service Discovery (BEP 14).
//
// An [Announcer] is the actor that owns a session's part in it: which torrents are
// announced and when, what was heard of whom, and the multicast sockets, one for
// IPv4 and one for IPv6. Torrents ask it with [Add] and are told what is [Found];
// what was given to [Remove] is named in no datagram after it.
//
// Everybody in the network hears everything, so the announcer is sparing. Several
// torrents share one datagram; a torrent is named every 5 minutes and never twice in
// one; datagrams are spaced, however many torrents there are. What comes in is
// believed of local addresses only, is rate limited before it is read, and matters
// only if it names a torrent that was added. One who is new is answered, at most
// once a minute, because it cannot know of those who were there before it.
package lsd
