package freelist

import "testing"

type thing struct{ n, old int }

func TestPutResets(t *testing.T) {
	l := New(func() *thing { return &thing{n: 1} }, func(v *thing) { *v = thing{n: 2, old: v.n} })
	v := l.Get()
	if *v != (thing{n: 1}) {
		t.Fatalf("a new value is %v", *v)
	}
	v.n = 7
	l.Put(v)
	if *v != (thing{n: 2, old: 7}) {
		t.Fatalf("after Put it is %v", *v)
	}
	// The pool may forget, but never invents.
	if v := l.Get(); *v != (thing{n: 1}) && *v != (thing{n: 2, old: 7}) {
		t.Fatalf("Get after Put: %v", *v)
	}
}

func TestEmpty(t *testing.T) {
	s := []*thing{{n: 1}, {n: 2}}
	e := Empty(s, 2)
	if len(e) != 0 || cap(e) != 2 || s[0] != nil || s[1] != nil {
		t.Fatalf("emptied to %v, old elements %v", e, s)
	}
	if Empty(make([]int, 3), 2) != nil {
		t.Fatal("a long slice was kept")
	}
}
