package dht

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The test vectors of BEP 44 share this key. Their private key is in the expanded form,
// which crypto/ed25519 does not take, so that their signatures are only verified.
const vectorKey = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548"

var itemVectors = []struct{ salt, signed, target, sig string }{
	{"", "3:seqi1e1:v12:Hello World!", "4a533d47ec9c7d95b1ad75f576cffc641853b750",
		"305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"},
	{"foobar", "4:salt6:foobar3:seqi1e1:v12:Hello World!", "411eba73b6f087ca51a3795d9c8c938d365e32c1",
		"6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"},
}

func vectorItem(t *testing.T, i int) Item {
	v := itemVectors[i]
	return Item{Value: str("12:Hello World!"), Mutable: true, Key: [32]byte(unhex(t, vectorKey)), Salt: str(v.salt), Seq: 1, Sig: [64]byte(unhex(t, v.sig))}
}

func TestMutableItemsOfBEP44(t *testing.T) {
	for i, v := range itemVectors {
		it := vectorItem(t, i)
		if got := string(it.signed(nil)); got != v.signed {
			t.Errorf("signed is %q, not %q", got, v.signed)
		}
		if got := it.Target().String(); got != v.target {
			t.Errorf("target is %s, not %s", got, v.target)
		}
		if !it.Valid() {
			t.Errorf("vector %d is not valid", i)
		}
		for name, spoil := range map[string]func(*Item){
			"value": func(it *Item) { it.Value = str("12:Hello world!") },
			"seq":   func(it *Item) { it.Seq = 2 },
			"salt":  func(it *Item) { it.Salt = str("foobaz") },
			"key":   func(it *Item) { it.Key[0] ^= 1 },
			"sig":   func(it *Item) { it.Sig[63] ^= 1 },
		} {
			bad := it
			if spoil(&bad); bad.Valid() {
				t.Errorf("vector %d with another %s is valid", i, name)
			}
		}
	}
}

func TestImmutableItemOfBEP44(t *testing.T) {
	it, err := NewItem(str("12:Hello World!"))
	if err != nil || it.Target().String() != "e5f96f6f38320f0f33959cb4d3d656452117aadb" || !it.Valid() {
		t.Errorf("%v, %v", it.Target(), err)
	}
}

// The test vectors of BEP 46.
func TestTargetsOfBEP46(t *testing.T) {
	key := [32]byte(unhex(t, "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e"))
	if got := TargetOf(key, nil).String(); got != "cc3f9d90b572172053626f9980ce261a850d050b" {
		t.Error(got)
	}
	if got := TargetOf(key, unhex(t, "6e")).String(); got != "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f" {
		t.Error(got)
	}
}

func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)) }

func signed(t *testing.T, salt, value string, seq int64) Item {
	t.Helper()
	it, err := SignItem(testKey(), str(salt), str(value), seq)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

func TestWhatIsSignedIsValidAndTravels(t *testing.T) {
	for _, salt := range []string{"", "s", strings.Repeat("x", MaxSalt)} {
		it := signed(t, salt, "d2:ih20:aaaaaaaaaaaaaaaaaaaae", 42)
		if !it.Valid() {
			t.Fatalf("salt %q: not valid", salt)
		}
		answer := Msg{Kind: KindReply, TID: str("aa"), Has: HasID, ID: idA}
		answer.SetItem(&it)
		m, err := Parse(answer.Append(nil))
		if err != nil || m.Salt != nil {
			t.Fatalf("%v; the salt went along: %q", err, m.Salt)
		}
		got, ok, err := ItemOf(&m, it.Target(), str(salt))
		if err != nil || !ok || got.Seq != 42 || got.Target() != it.Target() || !bytes.Equal(got.Value, it.Value) {
			t.Errorf("salt %q: %+v, %v, %v", salt, got, ok, err)
		}
		if _, ok, err := ItemOf(&m, it.Target(), str("other")); ok || !errors.Is(err, ErrBadItem) {
			t.Errorf("another salt: %v, %v", ok, err)
		}
		if _, ok, err := ItemOf(&m, idM, str(salt)); ok || !errors.Is(err, ErrBadItem) {
			t.Errorf("another target: %v, %v", ok, err)
		}
	}
}

func TestItemOfImmutable(t *testing.T) {
	m := Msg{Kind: KindReply, V: str("5:hello")}
	it, ok, err := ItemOf(&m, ImmutableTarget(m.V), nil)
	if err != nil || !ok || it.Mutable {
		t.Errorf("%+v %v", it, err)
	}
	m.V[2] = 'x'
	if string(it.Value) != "5:hello" {
		t.Error("the item shares the datagram's memory")
	}
	if _, ok, err := ItemOf(&m, it.Target(), nil); ok || err == nil {
		t.Error("another value is accepted")
	}
	if _, ok, err := ItemOf(&Msg{}, it.Target(), nil); ok || err != nil {
		t.Error("no value is an error")
	}
	m = Msg{V: str("5:hello"), K: str(key32), Sig: str(sig64)}
	if _, _, err := ItemOf(&m, TargetOf([32]byte(m.K), nil), nil); !errors.Is(err, ErrBadItem) {
		t.Error("a mutable item without seq is accepted")
	}
}

func TestItemsThatCannotBeMade(t *testing.T) {
	for _, c := range []struct {
		salt, value string
		seq         int64
		code        int32
	}{
		{"", "", 1, CodeProtocol}, {"", "5:hell", 1, CodeProtocol}, {"", "d1:bi1e1:ai1ee", 1, CodeProtocol}, {"", "i1ei2e", 1, CodeProtocol},
		{"", "997:" + strings.Repeat("v", 997), 1, CodeTooBig}, {strings.Repeat("s", 65), "i1e", 1, CodeSaltTooBig}, {"", "i1e", -1, CodeProtocol},
	} {
		_, err := SignItem(testKey(), str(c.salt), str(c.value), c.seq)
		var r *Refusal
		if !errors.As(err, &r) || r.Code != c.code {
			t.Errorf("%.20q: %v", c.value, err)
		}
	}
	if _, err := NewItem(str("x")); err == nil {
		t.Error("an immutable item of no bencoding")
	}
}

func TestAnswerGetSendsOnlyNews(t *testing.T) {
	it := signed(t, "", "i1e", 5)
	for _, c := range []struct {
		q    Msg
		want bool
	}{{Msg{}, true}, {Msg{Has: HasSeq, Seq: 4}, true}, {Msg{Has: HasSeq, Seq: 5}, false}, {Msg{Has: HasSeq, Seq: 6}, false}} {
		var m Msg
		m.AnswerGet(&c.q, &it)
		if (m.V != nil) != c.want || (m.K != nil) != c.want || m.Seq != 5 || m.Has&HasSeq == 0 {
			t.Errorf("%+v is answered %+v", c.q, m)
		}
	}
	immutable, _ := NewItem(str("i1e"))
	var m Msg
	if m.AnswerGet(&Msg{Has: HasSeq, Seq: 9}, &immutable); m.V == nil || m.K != nil {
		t.Errorf("an immutable item has no seq: %+v", m)
	}
}
