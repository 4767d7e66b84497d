package mse

import (
	"bytes"
	"crypto/rc4"
	"crypto/sha1"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"
)

// torrent and another are info-hashes.
var (
	torrent = [KeyLen]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}
	another = [KeyLen]byte{9, 9, 9}
)

// hello stands for a BitTorrent handshake.
var hello = bytes.Repeat([]byte("hello, "), 10)[:68]

func source(seed uint64) rand.Source { return rand.NewPCG(seed, 42) }

func outgoing(o Offer, initial []byte) *Machine {
	return Outgoing{Key: torrent, Offer: o, Initial: initial, Rand: source(1)}.Start()
}

func incoming(accept Offer, favourite Method) *Machine {
	return Incoming{Find: findOnly(torrent), Accept: accept, Favourite: favourite, Rand: source(2)}.Start()
}

func findOnly(keys ...[KeyLen]byte) func([KeyLen]byte) ([KeyLen]byte, bool) {
	return func(req2 [KeyLen]byte) (key [KeyLen]byte, ok bool) {
		for _, k := range keys {
			if Req2(k) == req2 {
				return k, true
			}
		}
		return key, false
	}
}

// remote is the other side of a dialogue, written down once more from the
// specification, with the standard library's RC4. Its fields can be bent.
type remote struct {
	t       testing.TB
	x       *big.Int
	public  []byte // sent for a key; nil: the right one
	pad     int    // bytes of PadA or PadB
	skey    [KeyLen]byte
	s       []byte
	vc      []byte
	method  uint32 // crypto_provide or crypto_select
	padLen  int    // len(PadC) or len(PadD) as said
	ia      []byte
	iaLen   int // -1: that of ia
	enc     *rc4.Cipher
	dec     *rc4.Cipher
	tag     string // keys of what it sends and hears
	hearTag string
}

// newRemote is a remote that connects to us, or one that we connect to.
func newRemote(t testing.TB, connects bool) *remote {
	r := &remote{t: t, x: big.NewInt(0x123456789ABCDEF), pad: 100, skey: torrent, vc: make([]byte, 8), padLen: 30, iaLen: -1}
	if r.tag, r.hearTag = "keyA", "keyB"; !connects {
		r.tag, r.hearTag = "keyB", "keyA"
	}
	return r
}

func sha(parts ...[]byte) []byte {
	sum := sha1.Sum(bytes.Join(parts, nil))
	return sum[:]
}

func (r *remote) cipher(tag string) *rc4.Cipher {
	c, err := rc4.NewCipher(sha([]byte(tag), r.s, r.skey[:]))
	if err != nil {
		r.t.Fatal(err)
	}
	c.XORKeyStream(make([]byte, 1024), make([]byte, 1024))
	return c
}

// greeting is the public key and padding.
func (r *remote) greeting() []byte {
	public := r.public
	if public == nil {
		public = new(big.Int).Exp(big.NewInt(2), r.x, prime).FillBytes(make([]byte, 96))
	}
	return append(bytes.Clone(public), bytes.Repeat([]byte{0x55}, r.pad)...)
}

// meet calculates S from our public key.
func (r *remote) meet(ours []byte) {
	if len(ours) < 96 {
		r.t.Fatalf("a public key of %d bytes", len(ours))
	}
	y := new(big.Int).SetBytes(ours[:96])
	r.s = y.Exp(y, r.x, prime).FillBytes(make([]byte, 96))
	r.enc, r.dec = r.cipher(r.tag), r.cipher(r.hearTag)
}

// head is VC, method and padding, in the clear.
func (r *remote) head() []byte {
	b := binary.BigEndian.AppendUint32(bytes.Clone(r.vc), r.method)
	b = binary.BigEndian.AppendUint16(b, uint16(r.padLen))
	return append(b, bytes.Repeat([]byte{0xAA}, r.padLen)...)
}

// step3 is what a remote that connects says when it has heard our key.
func (r *remote) step3() []byte {
	out := sha([]byte("req1"), r.s)
	name := sha([]byte("req2"), r.skey[:])
	xor(name, sha([]byte("req3"), r.s))
	out = append(out, name...)
	if r.iaLen < 0 {
		r.iaLen = len(r.ia)
	}
	b := binary.BigEndian.AppendUint16(r.head(), uint16(r.iaLen))
	return append(out, r.say(append(b, r.ia...))...)
}

// step4 is the answer of a remote that we connect to.
func (r *remote) step4() []byte { return r.say(r.head()) }

func (r *remote) say(b []byte) []byte {
	r.enc.XORKeyStream(b, b)
	return b
}

// hearStep3 checks what we say as A, and returns our offer and initial payload.
func (r *remote) hearStep3(b []byte) (provide uint32, ia []byte) {
	r.t.Helper()
	at := bytes.Index(b, sha([]byte("req1"), r.s))
	if at < 96 || at > 96+512 {
		r.t.Fatalf("HASH('req1', S) at %d", at)
	}
	b = b[at+20:]
	xor(b[:20], sha([]byte("req3"), r.s))
	if !bytes.Equal(b[:20], sha([]byte("req2"), r.skey[:])) {
		r.t.Fatal("HASH('req2', SKEY) is wrong")
	}
	b = b[20:]
	provide, b = r.hearHead(b)
	n := int(binary.BigEndian.Uint16(b))
	if len(b[2:]) != n {
		r.t.Fatalf("IA of %d, but %d bytes", n, len(b)-2)
	}
	return provide, b[2:]
}

// hearHead decrypts all of b and returns what follows VC, method and padding.
func (r *remote) hearHead(b []byte) (method uint32, rest []byte) {
	r.t.Helper()
	r.dec.XORKeyStream(b, b)
	if !bytes.Equal(b[:8], make([]byte, 8)) {
		r.t.Fatalf("VC is %x", b[:8])
	}
	n := int(binary.BigEndian.Uint16(b[12:]))
	if n > 512 || !bytes.Equal(b[14:14+n], make([]byte, n)) {
		r.t.Fatalf("padding of %d, or not of zeros", n)
	}
	return binary.BigEndian.Uint32(b[8:]), b[14+n:]
}

// feed feeds and fails the test on an error.
func feed(t testing.TB, m *Machine, b []byte) {
	t.Helper()
	if err := m.Feed(b); err != nil {
		t.Fatal(err)
	}
}
