package mse

import (
	"encoding/binary"
	"math/rand/v2"
)

// Start waits for a handshake: the first output follows the remote's public key.
func (i Incoming) Start() *Machine {
	return &Machine{b: i, next: (*Machine).bKey, rand: rand.New(i.Rand)}
}

// bKey hears the remote's public key and answers with our own: "2 B->A: Diffie Hellman
// Yb, PadB".
func (m *Machine) bKey() (bool, error) {
	theirs, ok := m.take(publicLen)
	if !ok {
		return false, nil
	}
	if !goodPublic(theirs) {
		return false, ErrKey
	}
	if m.b.Admit != nil && !m.b.Admit() {
		return false, ErrBusy
	}
	m.sayKey()
	m.next = (*Machine).bSync
	return true, m.hearKey(theirs)
}

// bSync looks for the end of PadA.
func (m *Machine) bSync() (bool, error) {
	ok, err := m.sync(hash("req1", m.secret[:]), maxSyncB)
	if ok {
		m.next = (*Machine).bTorrent
	}
	return ok, err
}

// bTorrent hears which torrent it is about: "HASH('req2', SKEY) xor HASH('req3', S)".
func (m *Machine) bTorrent() (bool, error) {
	b, ok := m.take(KeyLen)
	if !ok {
		return false, nil
	}
	xor(b, hash("req3", m.secret[:]))
	key, ok := m.b.Find([KeyLen]byte(b))
	if !ok {
		return false, ErrUnknown
	}
	m.res.Key = key
	m.in = newStream("keyA", m.secret[:], key[:])
	m.enc = newStream("keyB", m.secret[:], key[:])
	m.next = (*Machine).bProvide
	return true, nil
}

// bProvide hears "VC, crypto_provide, len(PadC)".
func (m *Machine) bProvide() (bool, error) {
	b, ok := m.take(vcLen + 6)
	if !ok {
		return false, nil
	}
	m.in.XOR(b, b)
	if [vcLen]byte(b) != [vcLen]byte{} {
		return false, ErrSync
	}
	// Bits that we do not know are for versions to come.
	if m.res.Method = m.choose(Offer(b[vcLen+3]) & OfferAny); m.res.Method == None {
		return false, ErrMethod
	}
	if m.skip = int(binary.BigEndian.Uint16(b[vcLen+4:])); m.skip > maxPad {
		return false, ErrLength
	}
	m.next = (*Machine).bPad
	return true, nil
}

// choose picks one of the methods that the remote offers.
func (m *Machine) choose(offered Offer) Method {
	both := offered & m.b.Accept
	switch {
	case both.Has(m.b.Favourite):
		return m.b.Favourite
	case both.Has(RC4):
		return RC4
	case both.Has(Plaintext):
		return Plaintext
	}
	return None
}

// bPad skips PadC, hears len(IA) and answers: "4 B->A: ENCRYPT(VC, crypto_select,
// len(padD), padD)".
func (m *Machine) bPad() (bool, error) {
	b, ok := m.take(m.skip + 2)
	if !ok {
		return false, nil
	}
	m.in.XOR(b, b)
	at := len(m.out)
	m.out = append(m.out, make([]byte, vcLen)...)
	m.out = binary.BigEndian.AppendUint32(m.out, uint32(m.res.Method))
	m.out = m.padding(m.out)
	m.enc.XOR(m.out[at:], m.out[at:])
	if m.res.Method == RC4 {
		m.finish() // the initial payload is the beginning of the stream
		return true, nil
	}
	if m.skip = int(binary.BigEndian.Uint16(b[len(b)-2:])); m.skip > MaxInitial {
		return false, ErrLength
	}
	m.next = (*Machine).bInitial
	return true, nil
}

// bInitial awaits the initial payload of a stream that goes on in the clear: it is
// encrypted, what follows it is not.
func (m *Machine) bInitial() (bool, error) {
	if len(m.got) < m.skip {
		return false, nil
	}
	m.in.XOR(m.got[:m.skip], m.got[:m.skip])
	m.finish()
	return true, nil
}
