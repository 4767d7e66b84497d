package mse

import (
	"bytes"
	"math/big"
	"math/rand/v2"
)

// KeyLen is the length of info-hashes and of all hashes of the handshake.
const KeyLen = 20

// Limits of a handshake. Both sides keep to them, and hold the remote to them.
const (
	// maxPad bounds each of the paddings: "a random length of 0 to 512 bytes each".
	maxPad = 512
	// vcLen: "VC is a verification constant that is used to verify whether the other
	// side knows S and SKEY and thus defeats replay attacks of the SKEY hash. As of
	// this version VC is a String of 8 bytes set to 0x00."
	vcLen = 8
	// maxSyncB: "if A didn't send the correct S hash within 628 bytes after the
	// connection start (synchronisation point)", of which 96 are its public key.
	maxSyncB = maxPad + KeyLen
	// maxSyncA: "if VC can't be decoded correctly within 616 bytes after the connection
	// start (synchronisation point)", of which 96 are the public key.
	maxSyncA = maxPad + vcLen
	// MaxInitial bounds the remote's initial payload, which is only waited for where
	// the stream goes on in the clear: its handshake with an extension handshake and a
	// bitfield of 100,000 pieces behind it fit. It bounds ours as well.
	MaxInitial = 16 << 10
	// MaxHandshake is the most that either side can say before the handshake is over
	// or has failed: 96 + PadA + S hash + SKEY hash + (VC, provide, length) + PadC +
	// length + IA.
	MaxHandshake = publicLen + maxPad + 2*KeyLen + vcLen + 6 + maxPad + 2 + MaxInitial
)

// Outgoing describes a handshake that we begin.
type Outgoing struct {
	Key     [KeyLen]byte // the torrent: one of the 20-byte forms of its info-hash
	Offer   Offer        // at least one method
	Initial []byte       // what the stream begins with: our BitTorrent handshake, or nothing
	Rand    rand.Source  // for the private key and the padding: unpredictable outside of tests
}

// Incoming describes a handshake that the remote begins.
type Incoming struct {
	// Find returns the torrent for a HASH('req2', SKEY), see [Req2].
	Find func(req2 [KeyLen]byte) (key [KeyLen]byte, ok bool)
	// Accept are the methods that may be chosen, Favourite the one that is if there
	// is a choice.
	Accept    Offer
	Favourite Method
	// Admit, if set, is asked once, before the expensive part. If it says no, the
	// handshake fails with ErrBusy.
	Admit func() bool
	Rand  rand.Source
}

// Result is what a handshake has led to.
type Result struct {
	Method Method // Plaintext or RC4
	Key    [KeyLen]byte
	// In decrypts what comes from now on, Out encrypts what is sent. Both are nil if
	// the stream goes on in the clear.
	In, Out *Stream
	// Left is what came beyond the handshake: the first bytes of the stream, still to
	// be decrypted by In. Initial payload of the remote is part of it.
	Left []byte
}

// Machine is one side of a handshake. Its owner feeds it what comes and sends its
// output, until it is done or has failed.
type Machine struct {
	next stage // nil: done or failed
	err  error
	got  []byte // fed and not yet understood
	seen int    // of got: where no synchronisation point can begin
	out  []byte

	rand    *rand.Rand
	private *big.Int
	secret  [publicLen]byte // S
	in, enc *Stream
	want    [vcLen]byte // A: how the remote's encrypted VC looks
	skip    int         // length of the padding, or of the initial payload, that comes
	res     Result

	a Outgoing // for one role
	b Incoming // for the other
}

// stage takes what it needs from the front of Machine.got. It reports false as long as
// that is not there.
type stage func(*Machine) (ok bool, err error)

// Feed takes what has come, all of it. It keeps a copy of what it can't yet use. After
// an error the connection is to be closed, without another word.
func (m *Machine) Feed(b []byte) error {
	m.got = append(m.got, b...)
	for m.next != nil {
		ok, err := m.next(m)
		if err != nil {
			m.next, m.err, m.got, m.out = nil, err, nil, nil
		}
		if !ok {
			break
		}
	}
	return m.err
}

// Output returns what is to be sent now, once; nil if there is nothing.
func (m *Machine) Output() []byte {
	out := m.out
	m.out = nil
	return out
}

// Done reports whether the handshake is over. There may still be output.
func (m *Machine) Done() bool { return m.next == nil && m.err == nil }

// Result returns what a handshake that is done has led to.
func (m *Machine) Result() Result {
	if !m.Done() {
		return Result{}
	}
	m.res.Left = m.got
	return m.res
}

// take removes n bytes from the front, if there are as many.
func (m *Machine) take(n int) (b []byte, ok bool) {
	if len(m.got) < n {
		return nil, false
	}
	b, m.got = m.got[:n:n], m.got[n:]
	return b, true
}

// sync removes everything up to the end of a mark, which must end within limit bytes:
// "Since the length of PadA and PadB are unknown, B will be able to resynchronize on
// HASH('req1', S), A will be able to resynchronize on ENCRYPT(VC)".
func (m *Machine) sync(mark []byte, limit int) (ok bool, err error) {
	field := m.got[:min(len(m.got), limit)]
	if i := bytes.Index(field[m.seen:], mark); i >= 0 {
		m.got = m.got[m.seen+i+len(mark):]
		m.seen = 0
		return true, nil
	}
	if len(field) == limit {
		return false, ErrSync
	}
	m.seen = max(0, len(field)-len(mark)+1)
	return false, nil
}

// sayKey appends the public key and padding.
func (m *Machine) sayKey() {
	m.private = privateKey(m.rand)
	m.out = appendPublic(m.out, m.private)
	n := m.rand.IntN(maxPad + 1)
	for range n {
		m.out = append(m.out, byte(m.rand.Uint32()))
	}
}

// hearKey calculates S from the remote's public key.
func (m *Machine) hearKey(theirs []byte) (err error) {
	m.secret, err = secret(theirs, m.private)
	m.private = nil
	return err
}

// padding appends a length and as many zeros: "For padding-only usage in the current
// version they should be zeroed."
func (m *Machine) padding(b []byte) []byte {
	n := m.rand.IntN(maxPad + 1)
	b = append(b, byte(n>>8), byte(n))
	return append(b, make([]byte, n)...)
}

// finish ends the handshake with the method that was chosen.
func (m *Machine) finish() {
	m.next = nil
	if m.res.Method == RC4 {
		m.res.In, m.res.Out = m.in, m.enc
	}
	m.in, m.enc = nil, nil
}
