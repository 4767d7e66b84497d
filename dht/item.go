package dht

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha1"
	"errors"
	"strconv"

	"github.com/shoal-bt/shoal/bencode"
)

// Item is a value of BEP 44.
type Item struct {
	Value   []byte // any bencoded value, byte for byte, at most MaxV bytes
	Mutable bool   // the rest is for mutable items
	Key     [32]byte
	Salt    []byte // at most MaxSalt bytes
	Seq     int64  // not negative
	Sig     [64]byte
}

// ErrBadItem is the fault of whoever gave an item that is not what it is taken for:
// its hash or signature does not fit.
var ErrBadItem = errors.New("dht: the item's hash or signature does not fit")

// TargetOf is where a value or key lives. BEP 44: "the target field MUST be the SHA-1
// hash of this key concatenated with the salt, if present".
func TargetOf(key [32]byte, salt []byte) ID {
	var in [32 + MaxSalt]byte
	return sha1.Sum(append(append(in[:0], key[:]...), salt...))
}

// ImmutableTarget is where an immutable value lives: "Immutable items are stored under
// their SHA-1 hash".
func ImmutableTarget(value []byte) ID { return sha1.Sum(value) }

// Target is the key under which the item is stored.
func (it *Item) Target() ID {
	if it.Mutable {
		return TargetOf(it.Key, it.Salt)
	}
	return ImmutableTarget(it.Value)
}

// SignItem makes a mutable item. The error is the caller's fault: value is not
// canonical bencoding of at most MaxV bytes, salt is longer than MaxSalt, or seq is
// negative.
func SignItem(key ed25519.PrivateKey, salt, value []byte, seq int64) (Item, error) {
	it := Item{Value: value, Mutable: true, Salt: salt, Seq: seq}
	if err := it.check(); err != nil {
		return Item{}, err
	}
	copy(it.Key[:], key.Public().(ed25519.PublicKey))
	copy(it.Sig[:], ed25519.Sign(key, it.signed(nil)))
	return it, nil
}

// NewItem makes an immutable item. Errors are as of SignItem.
func NewItem(value []byte) (Item, error) {
	it := Item{Value: value}
	if err := it.check(); err != nil {
		return Item{}, err
	}
	return it, nil
}

// check says what is wrong with an item's form.
func (it *Item) check() error {
	switch {
	case len(it.Value) > MaxV:
		return refuseBig
	case len(it.Salt) > MaxSalt:
		return refuseSalt
	case it.Seq < 0:
		return refuseNumber
	}
	if _, err := bencode.Parse(it.Value, bencode.Options{Strict: true, Limits: krpcLimits.Limits}); err != nil {
		return refuseValue
	}
	return nil
}

// signed appends what the signature of a mutable item signs: "Encode value and
// sequence number separately. Concatenate ("4:salt" length-of-salt ":" salt) "3:seqi"
// seq "e1:v" len ":" and the encoded value."
func (it *Item) signed(b []byte) []byte {
	if len(it.Salt) > 0 {
		b = bencode.AppendString(append(b, "4:salt"...), it.Salt)
	}
	b = strconv.AppendInt(append(b, "3:seqi"...), it.Seq, 10)
	return append(append(b, "e1:v"...), it.Value...)
}

// Valid reports whether a mutable item's signature fits, and the form of any item.
func (it *Item) Valid() bool {
	if it.check() != nil {
		return false
	}
	return !it.Mutable || ed25519.Verify(it.Key[:], it.signed(make([]byte, 0, MaxV+2*MaxSalt)), it.Sig[:])
}

// ItemOf reads the item out of a reply to get for target, with the salt that the asker
// knows, and verifies it: "the key they get back from a get request MUST be verified to
// hash to the target ID the lookup was made for, as well as verifying the signature". The
// item shares no memory with the message. A reply without a value has no item and no
// error.
func ItemOf(m *Msg, target ID, salt []byte) (it Item, ok bool, err error) {
	if m.V == nil {
		return Item{}, false, nil
	}
	it = Item{Value: m.V}
	if m.K != nil {
		if len(m.K) != 32 || len(m.Sig) != 64 || m.Has&HasSeq == 0 {
			return Item{}, false, ErrBadItem
		}
		it.Mutable, it.Key, it.Sig, it.Salt, it.Seq = true, [32]byte(m.K), [64]byte(m.Sig), salt, m.Seq
	}
	if it.Target() != target || !it.Valid() {
		return Item{}, false, ErrBadItem
	}
	it.Value, it.Salt = bytes.Clone(it.Value), bytes.Clone(it.Salt)
	return it, true, nil
}

// SetItem writes the item into a message that is a put, or a reply to get. The salt
// goes into a put only: "Note that the salt is not returned in the response to a get
// request." The message shares the item's memory.
func (m *Msg) SetItem(it *Item) {
	m.V = it.Value
	if !it.Mutable {
		return
	}
	m.K, m.Sig, m.Seq, m.Has = it.Key[:], it.Sig[:], it.Seq, m.Has|HasSeq
	if m.Kind == KindQuery {
		m.Salt = it.Salt
	}
}

// AnswerGet writes a stored item into the reply to the query q. "The optional seq field
// specifies that an item's value should only be sent if its sequence number is greater
// than the given value": else the sequence number goes alone.
func (m *Msg) AnswerGet(q *Msg, it *Item) {
	if it.Mutable && q.Has&HasSeq != 0 && it.Seq <= q.Seq {
		m.Seq, m.Has = it.Seq, m.Has|HasSeq
		return
	}
	m.SetItem(it)
}
