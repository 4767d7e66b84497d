package dht

import (
	"fmt"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// put is a query to store it.
func put(it Item) *Msg {
	m := &Msg{Kind: KindQuery, Method: MethodPut, TID: str("aa"), Has: HasID, ID: idA, Token: str("x")}
	m.SetItem(&it)
	return m
}

func code(r *Refusal) int32 {
	if r == nil {
		return 0
	}
	return r.Code
}

func TestItemStoreFollowsTheSequence(t *testing.T) {
	s := NewItemStore(idA, ItemLimits{})
	cas := func(m *Msg, n int64) *Msg { m.CAS, m.Has = n, m.Has|HasCAS; return m }
	for i, c := range []struct {
		m    *Msg
		code int32
		seq  int64 // stored afterwards
	}{
		{put(signed(t, "", "i1e", 5)), 0, 5},
		{put(signed(t, "", "i2e", 4)), CodeSeqTooLow, 5},
		{put(signed(t, "", "i2e", 5)), CodeSeqTooLow, 5},
		{put(signed(t, "", "i1e", 5)), 0, 5}, // the same again keeps it alive
		{cas(put(signed(t, "", "i2e", 6)), 4), CodeCASMismatch, 5},
		{cas(put(signed(t, "", "i2e", 6)), 5), 0, 6},
		{cas(put(signed(t, "", "i3e", 5)), 6), CodeSeqTooLow, 6},
		{put(signed(t, "", "i3e", 1<<62)), 0, 1 << 62},
	} {
		if got := code(s.Put(c.m, 0)); got != c.code {
			t.Errorf("put %d: code %d, want %d", i, got, c.code)
		}
		if it := s.Get(PutTarget(c.m), 0); it == nil || it.Seq != c.seq {
			t.Errorf("put %d: stored is %+v", i, it)
		}
	}
	// "If there is no current value, the cas field SHOULD be ignored."
	if r := s.Put(cas(put(signed(t, "salt", "i1e", 1)), 99), 0); r != nil || s.Len() != 2 {
		t.Errorf("%v, %d items", r, s.Len())
	}
}

func TestItemStoreRefusesForgeries(t *testing.T) {
	s := NewItemStore(idA, ItemLimits{})
	it := signed(t, "", "i1e", 5)
	it.Sig[0] ^= 1
	if got := code(s.Put(put(it), 0)); got != CodeBadSignature || s.Len() != 0 {
		t.Errorf("code %d, %d items", got, s.Len())
	}
	it = signed(t, "one", "i1e", 5)
	it.Salt = str("two")
	if got := code(s.Put(put(it), 0)); got != CodeBadSignature || s.Len() != 0 {
		t.Errorf("moved to another salt: code %d, %d items", got, s.Len())
	}
}

func TestItemStoreKeepsItsOwnCopy(t *testing.T) {
	s := NewItemStore(idA, ItemLimits{})
	m := put(Item{Value: str("5:hello")})
	target := PutTarget(m)
	if r := s.Put(m, 0); r != nil {
		t.Fatal(r)
	}
	m.V[2] = 'x'
	if it := s.Get(target, 0); string(it.Value) != "5:hello" {
		t.Errorf("%q", it.Value)
	}
	if s.Get(idM, 0) != nil {
		t.Error("an item that nobody put")
	}
}

// "Without re-announcement, these items MAY expire in 2 hours."
func TestItemsExpireUnlessPutAgain(t *testing.T) {
	s := NewItemStore(idA, ItemLimits{})
	hour := clock.Time(time.Hour)
	kept, lost := put(signed(t, "a", "i1e", 1)), put(signed(t, "b", "i1e", 1))
	s.Put(kept, 0)
	s.Put(lost, 0)
	s.Put(kept, hour)
	if s.Get(PutTarget(lost), 2*hour+1e9) != nil {
		t.Error("an old item is given out")
	}
	// What has expired is no bar to a lower sequence number.
	if s.Expire(2*hour + 2e9); s.Len() != 1 || s.Get(PutTarget(kept), 2*hour) == nil {
		t.Errorf("%d items are left", s.Len())
	}
	if r := s.Put(put(signed(t, "b", "i0e", 0)), 3*hour); r != nil {
		t.Error(r)
	}
}

func TestItemStoreIsBoundedAndKeepsWhatIsClose(t *testing.T) {
	rnd := random(1)
	s := NewItemStore(RandomID(rnd), ItemLimits{Items: 50})
	var all []ID
	for i := range 2000 {
		m := put(Item{Value: fmt.Appendf(nil, "i%de", i)})
		all = append(all, PutTarget(m))
		if r := s.Put(m, clock.Time(i)); r != nil && r.Code != CodeServer {
			t.Fatal(r)
		}
	}
	if s.Len() != 50 {
		t.Errorf("%d items", s.Len())
	}
	for _, target := range all {
		if CommonPrefix(s.own, target) >= 8 && s.Get(target, 2000) == nil {
			t.Errorf("%v, which is close to %v, was given up", target, s.own)
		}
	}
}

func TestAnAgedItemMakesRoom(t *testing.T) {
	s := NewItemStore(ID{}, ItemLimits{Items: 1})
	first := put(Item{Value: str("i1e")})
	s.Put(first, 0)
	second := put(Item{Value: str("i2e")})
	if r := s.Put(second, clock.Time(3*time.Hour)); r != nil || s.Get(PutTarget(second), clock.Time(3*time.Hour)) == nil {
		t.Errorf("%v", r)
	}
	s.SetOwn(idM)
	if s.Len() != 1 {
		t.Errorf("%d items", s.Len())
	}
}

func TestAnImmutableItemIsPutAgainAndSharesTheStore(t *testing.T) {
	s := NewItemStore(idA, ItemLimits{})
	m := put(Item{Value: str("5:hello")})
	for i := range 3 {
		if r := s.Put(m, clock.Time(i)*clock.Time(time.Hour)); r != nil || s.Len() != 1 {
			t.Fatalf("%v, %d items", r, s.Len())
		}
	}
	if s.Get(PutTarget(m), clock.Time(4*time.Hour)) == nil {
		t.Error("putting it again has not kept it")
	}
	if r := s.Put(put(signed(t, "", "5:hello", 1)), 0); r != nil || s.Len() != 2 {
		t.Errorf("the same value, signed, is another item: %v", r)
	}
}
