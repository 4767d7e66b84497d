package bencode

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func parse(t *testing.T, in string) Value {
	t.Helper()
	v, err := Parse([]byte(in), Options{})
	if err != nil {
		t.Fatalf("%q: %v", in, err)
	}
	return v
}

func TestValue(t *testing.T) {
	v := parse(t, "d4:infod4:name1:xe4:listli1e1:alee3:numi-5ee")
	if got := string(v.Get("info").Raw()); got != "d4:name1:xe" {
		t.Errorf("raw info is %q", got)
	}
	if got := v.Get("info").Get("name").Text(); got != "x" {
		t.Errorf("name is %q", got)
	}
	if n, ok := v.Get("num").Int(); !ok || n != -5 {
		t.Errorf("num is %d %v", n, ok)
	}
	var kinds []Kind
	for e := range v.Get("list").List() {
		kinds = append(kinds, e.Kind())
	}
	if !slices.Equal(kinds, []Kind{Int, String, List}) {
		t.Errorf("the list has %v", kinds)
	}
	var keys []string
	for k := range v.Dict() {
		keys = append(keys, string(k))
	}
	if got := strings.Join(keys, " "); got != "info list num" {
		t.Errorf("the keys are %q", got)
	}
	if v.Len() != 3 || v.Get("list").Len() != 3 || v.Get("num").Len() != 0 {
		t.Errorf("lengths are %d %d %d", v.Len(), v.Get("list").Len(), v.Get("num").Len())
	}
}

// TestAbsent: what is not there is empty in every way, and asking is harmless.
func TestAbsent(t *testing.T) {
	for _, v := range []Value{{}, parse(t, "de").Get("x"), parse(t, "i1e").Get("x"), parse(t, "le").Get("x").Get("y")} {
		_, isInt := v.Int()
		_, isString := v.Bytes()
		if v.Kind() != None || v.Raw() != nil || isInt || isString || v.Text() != "" || v.Len() != 0 || v.Tree() != nil {
			t.Errorf("an absent value is %+v", v)
		}
	}
}

// TestWrongKind: nothing is what it is not.
func TestWrongKind(t *testing.T) {
	if _, ok := parse(t, "1:5").Int(); ok {
		t.Error("a string is an integer")
	}
	if _, ok := parse(t, "i5e").Bytes(); ok {
		t.Error("an integer is a string")
	}
	for range parse(t, "d1:ai1ee").List() {
		t.Error("a dictionary is a list")
	}
	for range parse(t, "l1:ai1ee").Dict() {
		t.Error("a list is a dictionary")
	}
}

// TestBigNumbers: an integer that does not fit says so and keeps its bytes.
func TestBigNumbers(t *testing.T) {
	v := parse(t, "i18446744073709551615e")
	if _, ok := v.Int(); ok {
		t.Error("2^64-1 fits int64")
	}
	if n, ok := v.Uint(); !ok || n != math.MaxUint64 {
		t.Errorf("2^64-1 is %d %v", n, ok)
	}
	v = parse(t, "i99999999999999999999e")
	if _, ok := v.Uint(); ok {
		t.Error("10^20-1 fits uint64")
	}
	if out, err := Encode(v.Tree()); err != nil || string(out) != "i99999999999999999999e" {
		t.Errorf("10^20-1 became %q %v", out, err)
	}
}

// TestFirstKeyCounts: in tolerant mode a repeated key has its first value.
func TestFirstKeyCounts(t *testing.T) {
	v := parse(t, "d1:ai1e1:ai2ee")
	if n, _ := v.Get("a").Int(); n != 1 {
		t.Errorf("a is %d", n)
	}
	if out, err := Encode(v.Tree()); err != nil || string(out) != "d1:ai1ee" {
		t.Errorf("the tree is %q %v", out, err)
	}
	if codeOf(v.Canonical()) != DuplicateKey {
		t.Errorf("canonical: %v", v.Canonical())
	}
}

func TestStopEarly(t *testing.T) {
	for range parse(t, "li1ei2ee").List() {
		break
	}
	for range parse(t, "d1:ai1e1:bi2ee").Dict() {
		break
	}
}

func TestEncode(t *testing.T) {
	for want, v := range map[string]any{
		"i-3e":                   -3,
		"i4e":                    int64(4),
		"i18446744073709551615e": uint64(math.MaxUint64),
		"3:abc":                  "abc",
		"2:\xff\x00":             []byte{0xff, 0},
		"li1e1:ae":               L{1, "a"},
		"l1:a1:be":               []string{"a", "b"},
		"l1:ae":                  [][]byte{[]byte("a")},
		"d1:ai1e2:aai3e1:bi2ee":  M{"b": 2, "a": 1, "aa": 3, "gone": nil},
		"ll1:xee":                L{L{"x"}},
	} {
		if got, err := Encode(v); err != nil || string(got) != want {
			t.Errorf("%v: got %q %v, want %q", v, got, err, want)
		}
	}
}

// TestEncodeBug: a type that has no bencoding is named, with its key.
func TestEncodeBug(t *testing.T) {
	_, err := Encode(M{"rate": L{1.5}})
	if err == nil || !strings.Contains(err.Error(), `"rate"`) || !strings.Contains(err.Error(), "float64") {
		t.Errorf("got %v", err)
	}
	if _, err := Encode(Value{}); err == nil {
		t.Error("an absent value was encoded")
	}
}
