// Package mse is Message Stream Encryption, also called Protocol Encryption, as a
// state machine: bytes of a stream go in, bytes for it come out. It opens no socket,
// reads no clock and draws no random number of its own; who owns a connection feeds it.
//
// There is no BEP. The description is that of the Vuze wiki ("Message Stream
// Encryption", version 1.0); comments quote it. A is who connects, B who is connected
// to, SKEY the torrent's info-hash:
//
//	1 A->B: Diffie Hellman Ya, PadA
//	2 B->A: Diffie Hellman Yb, PadB
//	3 A->B: HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S),
//	        ENCRYPT(VC, crypto_provide, len(PadC), PadC, len(IA)), ENCRYPT(IA)
//	4 B->A: ENCRYPT(VC, crypto_select, len(padD), padD), ENCRYPT2(Payload Stream)
//	5 A->B: ENCRYPT2(Payload Stream)
//
// A [Machine] is one side of one handshake and belongs to one goroutine:
//
//	m := mse.Outgoing{Key: hash, Offer: mse.OfferAny, Initial: hello, Rand: r}.Start()
//	for !m.Done() {
//		write(m.Output())            // nil when there is nothing to say
//		err := m.Feed(read())        // an error ends the connection
//	}
//	write(m.Output())
//	res := m.Result()
//
// and afterwards Result.Out encrypts what is sent, Result.In decrypts what comes; both
// are nil when the stream goes on in the clear. What was read beyond the handshake is
// Result.Left.
//
// This is obfuscation, not security: RC4 under a key of 60 to 80 bits, no
// authentication of who speaks or of what is said, and everybody who knows an
// info-hash can be either side. It hides from a network that looks only at the bytes
// of a connection that it is BitTorrent.
package mse
