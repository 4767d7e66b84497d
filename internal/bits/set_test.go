package bits

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// lengths are where words and bytes begin and end.
var lengths = []int32{0, 1, 7, 8, 9, 63, 64, 65, 100, 127, 128, 129, 1000}

// model is the set as anybody would write it, to compare with.
type model map[int32]bool

func (m model) members() []int32 {
	out := make([]int32, 0, len(m))
	for i := range m {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// check compares everything that can be asked of s with the model.
func check(t *testing.T, s *Set, n int32, m model) {
	t.Helper()
	if s.Len() != n || s.Count() != int32(len(m)) {
		t.Fatalf("length %d count %d, want %d and %d", s.Len(), s.Count(), n, len(m))
	}
	if s.Full() != (int32(len(m)) == n) || s.None() != (len(m) == 0) {
		t.Fatalf("Full %v None %v with %d of %d", s.Full(), s.None(), len(m), n)
	}
	for i := int32(-3); i < n+70; i++ {
		if s.Has(i) != m[i] {
			t.Fatalf("Has(%d) = %v of %d", i, s.Has(i), n)
		}
	}
	if got := slices.Collect(s.All()); !slices.Equal(got, m.members()) {
		t.Fatalf("All() = %v, want %v", got, m.members())
	}
	checkScan(t, s, n, m)
}

func checkScan(t *testing.T, s *Set, n int32, m model) {
	t.Helper()
	set, clear := int32(-1), int32(-1)
	if n > 0 && s.NextSet(n) != -1 || s.NextClear(n) != -1 {
		t.Fatalf("scan from the end of %d finds something", n)
	}
	for i := n - 1; i >= 0; i-- {
		if m[i] {
			set = i
		} else {
			clear = i
		}
		if s.NextSet(i) != set || s.NextClear(i) != clear {
			t.Fatalf("from %d of %d: NextSet %d want %d, NextClear %d want %d",
				i, n, s.NextSet(i), set, s.NextClear(i), clear)
		}
	}
	prev := int32(-1)
	for i := range n {
		if m[i] {
			prev = i
		}
		if s.PrevSet(i) != prev {
			t.Fatalf("from %d of %d down: %d, want %d", i, n, s.PrevSet(i), prev)
		}
	}
	if s.PrevSet(n+100) != prev || s.PrevSet(-1) != -1 {
		t.Fatal("a scan down begins at the last and ends at 0")
	}
	if n > 0 && (s.NextSet(-5) != set || s.NextClear(-5) != clear) {
		t.Fatal("a scan from below 0 begins at 0")
	}
}

func TestSetBehavesLikeAMap(t *testing.T) {
	for _, n := range lengths {
		rng, s, m := newRand(uint64(n)), New(n), model{}
		check(t, &s, n, m)
		for range 3 * n {
			i := rng.Int32N(n)
			if rng.IntN(3) > 0 {
				if was := m[i]; s.Set(i) == was {
					t.Fatalf("Set(%d) says new=%v", i, !was)
				}
				m[i] = true
			} else {
				if was := m[i]; s.Clear(i) != was {
					t.Fatalf("Clear(%d) says was=%v", i, !was)
				}
				delete(m, i)
			}
		}
		check(t, &s, n, m)
	}
}

func TestOutsideIsIgnored(t *testing.T) {
	s := New(10)
	for _, i := range []int32{-1 << 31, -1, 10, 63, 64, 1<<31 - 1} {
		if s.Set(i) || s.Clear(i) || s.Has(i) {
			t.Errorf("index %d outside 0..9 is taken for a member", i)
		}
	}
	check(t, &s, 10, model{})
	var zero Set
	check(t, &zero, 0, model{})
	negative := New(-4)
	check(t, &negative, 0, model{})
}

func TestSetAllResetRange(t *testing.T) {
	for _, n := range lengths {
		s, m := New(n), model{}
		s.SetAll()
		for i := range n {
			m[i] = true
		}
		check(t, &s, n, m)
		s.Reset()
		check(t, &s, n, model{})
	}
	rng := newRand(7)
	for range 300 {
		n := rng.Int32N(300)
		s, m := New(n), model{}
		for range n / 4 {
			i := rng.Int32N(n)
			s.Set(i)
			m[i] = true
		}
		from, to := rng.Int32N(n+40)-20, rng.Int32N(n+40)-20
		s.SetRange(from, to)
		for i := max(from, 0); i < min(to, n); i++ {
			m[i] = true
		}
		check(t, &s, n, m)
	}
}

func TestCloneAndCopyShareNothing(t *testing.T) {
	a := New(70)
	a.Set(3)
	b := a.Clone()
	c := New(1)
	c.CopyFrom(&a)
	a.Set(69)
	for _, s := range []*Set{&b, &c} {
		check(t, s, 70, model{3: true})
	}
	if a.Equal(&b) || !b.Equal(&c) {
		t.Error("Equal compares members")
	}
	short := New(69)
	short.Set(3)
	if short.Equal(&b) {
		t.Error("Equal compares lengths")
	}
	c.CopyFrom(&short)
	check(t, &c, 69, model{3: true})
}

func TestAllMayRemoveMeanwhileAndStop(t *testing.T) {
	s := New(200)
	s.SetAll()
	seen := 0
	for i := range s.All() {
		s.Clear(i)
		if seen++; seen == 100 {
			break
		}
	}
	if s.Count() != 100 || s.NextSet(0) != 100 {
		t.Fatalf("%d left, first %d", s.Count(), s.NextSet(0))
	}
}

func TestAlgebraAgainstModel(t *testing.T) {
	rng := newRand(11)
	for range 400 {
		na, nb := rng.Int32N(200)+1, rng.Int32N(200)+1
		a, b := randomSet(rng, na), randomSet(rng, nb)
		var both, only int32
		first, common := int32(-1), int32(-1)
		from := rng.Int32N(na)
		for i := range na {
			if a.Has(i) && b.Has(i) {
				if both++; common < 0 && i >= from {
					common = i
				}
			}
			if a.Has(i) && !b.Has(i) {
				only++
				if first < 0 && i >= from {
					first = i
				}
			}
		}
		if a.CountAnd(&b) != both || a.CountAndNot(&b) != only ||
			a.HasAnyNotIn(&b) != (only > 0) || a.Intersects(&b) != (both > 0) || a.NextAndNot(from, &b) != first {
			t.Fatalf("lengths %d %d: both %d only %d first %d: got %d %d %v %v %d", na, nb, both, only, first,
				a.CountAnd(&b), a.CountAndNot(&b), a.HasAnyNotIn(&b), a.Intersects(&b), a.NextAndNot(from, &b))
		}
		if a.NextAnd(from, &b) != common {
			t.Fatalf("NextAnd(%d) = %d, want %d", from, a.NextAnd(from, &b), common)
		}
		checkCombined(t, &a, &b)
	}
}

func checkCombined(t *testing.T, a, b *Set) {
	t.Helper()
	and, not, or := a.Clone(), a.Clone(), a.Clone()
	and.And(b)
	not.AndNot(b)
	or.Or(b)
	mAnd, mNot, mOr := model{}, model{}, model{}
	for i := range a.Len() {
		x, y := a.Has(i), b.Has(i)
		put(mAnd, i, x && y)
		put(mNot, i, x && !y)
		put(mOr, i, x || y)
	}
	check(t, &and, a.Len(), mAnd)
	check(t, &not, a.Len(), mNot)
	check(t, &or, a.Len(), mOr)
}

func put(m model, i int32, in bool) {
	if in {
		m[i] = true
	}
}

func randomSet(rng *rand.Rand, n int32) Set {
	s := New(n)
	for range rng.Int32N(n + 1) {
		s.Set(rng.Int32N(n))
	}
	return s
}
