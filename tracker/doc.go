// Package tracker asks trackers for peers, over HTTP, HTTPS and UDP.
//
//   - The codecs are pure: a [Request] becomes a URL or a packet, a body or a
//     packet becomes a [Response]. BEP 3, 7, 15, 23, 24, 31, 41, 48.
//   - An announcer ([NewAnnouncer]) is an actor that owns one torrent's tiers (BEP
//     12), intervals, back-off and events. It never waits.
//   - A [Client] does the waiting. [LiveClient] has the sockets; a simulator brings
//     its own.
//
// Trackers are strangers: every answer is bounded by the constants in limits.go,
// and what they say in words is cleaned before it is passed on.
//
// Subfolder server is an embedded tracker.
package tracker
