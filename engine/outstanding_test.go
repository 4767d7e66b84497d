package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
)

func asked(i int) askedBlock {
	return askedBlock{metainfo.PieceIndex(i / 7), metainfo.BlockIndex(i % 7), actor.Time(i)}
}

func (o *outstanding) all() (out []askedBlock) {
	for i := range o.n {
		out = append(out, *o.at(i))
	}
	return out
}

// The queue must do what a plain slice does.
func TestOutstandingAgainstSlice(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var o outstanding
	var model []askedBlock
	for step := range 20_000 {
		switch k := rng.IntN(10); {
		case k < 5 && len(model) < 300:
			o.push(asked(step % 500))
			model = append(model, asked(step%500))
		case k < 8:
			r := asked(rng.IntN(500))
			if len(model) > 0 && k < 7 {
				r = model[rng.IntN(min(len(model), 3))]
			}
			i := slices.IndexFunc(model, func(m askedBlock) bool { return m.is(r.ref()) })
			got, ok := o.take(r.ref())
			if ok != (i >= 0) || ok && got != model[i] {
				t.Fatalf("step %d: take %v gave %v %v, model at %d", step, r, got, ok, i)
			}
			if ok {
				model = slices.Delete(model, i, i+1)
			}
		case k == 8 && len(model) > 0:
			if got := o.pop(); got != model[0] {
				t.Fatalf("step %d: pop %v, want %v", step, got, model[0])
			}
			model = model[1:]
		case rng.IntN(50) == 0:
			odd := func(r *askedBlock) bool { return r.at%2 == 1 }
			o.takeIf(odd)
			model = slices.DeleteFunc(model, func(m askedBlock) bool { return odd(&m) })
		}
		if int(o.n) != len(model) {
			t.Fatalf("step %d: %d, want %d", step, o.n, len(model))
		}
	}
	if !slices.Equal(o.all(), model) {
		t.Fatal("order was lost")
	}
}

func TestOutstandingShrinks(t *testing.T) {
	var o outstanding
	if o.first() != nil {
		t.Fatal("first of none")
	}
	for i := range 100 {
		o.push(asked(i))
	}
	o.shrink()
	if o.n != 100 || *o.first() != asked(0) {
		t.Fatal("shrank with requests in it")
	}
	for o.n > 0 {
		o.pop()
	}
	if o.shrink(); o.ring != nil {
		t.Fatal("keeps its ring")
	}
}

func BenchmarkOutstandingInOrder(b *testing.B) {
	var o outstanding
	for i := range 1000 {
		o.push(asked(i))
	}
	for i := 0; b.Loop(); i++ {
		r := asked(i)
		o.take(r.ref())
		o.push(asked(i + 1000))
	}
}
