package mse

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// Start begins the handshake; the first output is ready.
func (o Outgoing) Start() *Machine {
	m := &Machine{a: o, next: (*Machine).aKey, rand: rand.New(o.Rand)}
	m.res.Key = o.Key
	switch {
	case len(o.Initial) > MaxInitial:
		m.next, m.err = nil, ErrInitial
	case o.Offer&OfferAny == 0:
		m.next, m.err = nil, ErrMethod
	default:
		m.sayKey() // "1 A->B: Diffie Hellman Ya, PadA"
	}
	return m
}

// plainHead is what a BitTorrent handshake begins with (BEP 3).
var plainHead = []byte("\x13BitTorrent protocol")

// aKey hears the remote's public key and answers with step 3.
func (m *Machine) aKey() (bool, error) {
	if bytes.HasPrefix(m.got, plainHead) {
		return false, ErrSync // it speaks first, and in the clear: no key will come
	}
	theirs, ok := m.take(publicLen)
	if !ok {
		return false, nil
	}
	if err := m.hearKey(theirs); err != nil {
		return false, err
	}
	// "HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S)"
	m.out = append(m.out, hash("req1", m.secret[:])...)
	at := len(m.out)
	m.out = append(m.out, hash("req2", m.a.Key[:])...)
	xor(m.out[at:], hash("req3", m.secret[:]))
	// "ENCRYPT(VC, crypto_provide, len(PadC), PadC, len(IA)), ENCRYPT(IA)"
	m.enc = newStream("keyA", m.secret[:], m.a.Key[:])
	at = len(m.out)
	m.out = append(m.out, make([]byte, vcLen)...)
	m.out = binary.BigEndian.AppendUint32(m.out, uint32(m.a.Offer&OfferAny))
	m.out = m.padding(m.out)
	m.out = binary.BigEndian.AppendUint16(m.out, uint16(len(m.a.Initial)))
	m.out = append(m.out, m.a.Initial...)
	m.enc.XOR(m.out[at:], m.out[at:])

	m.in = newStream("keyB", m.secret[:], m.a.Key[:])
	m.in.XOR(m.want[:], m.want[:])
	m.next = (*Machine).aSync
	return true, nil
}

// aSync looks for the end of PadB.
func (m *Machine) aSync() (bool, error) {
	ok, err := m.sync(m.want[:], maxSyncA)
	if ok {
		m.next = (*Machine).aSelect
	}
	return ok, err
}

// aSelect hears "crypto_select, len(padD)".
func (m *Machine) aSelect() (bool, error) {
	b, ok := m.take(6)
	if !ok {
		return false, nil
	}
	m.in.XOR(b, b)
	chosen := binary.BigEndian.Uint32(b)
	switch chosen {
	case uint32(Plaintext), uint32(RC4):
		m.res.Method = Method(chosen)
	}
	// "if the selected crypto method wasn't provided" the handshake is invalid: here
	// somebody on the way could otherwise take the encryption off.
	if !m.a.Offer.Has(m.res.Method) {
		return false, ErrMethod
	}
	if m.skip = int(binary.BigEndian.Uint16(b[4:])); m.skip > maxPad {
		return false, ErrLength
	}
	m.next = (*Machine).aPad
	return true, nil
}

// aPad skips PadD: the stream begins.
func (m *Machine) aPad() (bool, error) {
	b, ok := m.take(m.skip)
	if !ok {
		return false, nil
	}
	m.in.XOR(b, b)
	m.finish()
	return true, nil
}
