package mse

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func src(seed uint64) rand.Source { return rand.NewPCG(seed, 7) }
func TestBoth(t *testing.T) {
	key := [20]byte{1, 2, 3}
	for _, o := range []Offer{1, 2, 3} {
		for _, fav := range []Method{1, 2} {
			a := Outgoing{Key: key, Offer: o, Initial: []byte("hello"), Rand: src(1)}.Start()
			b := Incoming{Find: func(r [20]byte) ([20]byte, bool) { return key, r == Req2(key) }, Accept: 3, Favourite: fav, Rand: src(2)}.Start()
			for !a.Done() || !b.Done() {
				x, y := a.Output(), b.Output()
				if x == nil && y == nil {
					t.Fatal("stuck")
				}
				if err := b.Feed(x); err != nil {
					t.Fatal(err)
				}
				if err := a.Feed(y); err != nil {
					t.Fatal(err)
				}
			}
			r := b.Result()
			if r.In != nil {
				r.In.XOR(r.Left, r.Left)
			}
			if !bytes.Equal(r.Left, []byte("hello")) || r.Method != a.Result().Method {
				t.Fatal(r)
			}
			t.Log(o, fav, r.Method)
		}
	}
}
