package bencode

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
)

// seeds are the inputs of testdata/inputs.txt.
func seeds(f *testing.F) {
	text, err := os.ReadFile("testdata/inputs.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if in, err := strconv.Unquote(strings.TrimSpace(strings.Split(line, " | ")[0])); err == nil {
			f.Add([]byte(in))
		}
	}
}

// FuzzParse: no input panics; what strict accepts, tolerant accepts, and it is
// what its tree encodes to; the view in JSON gives it back.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		v, rest, err := ParsePrefix(in, Options{})
		s, srest, serr := ParsePrefix(in, Options{Strict: true})
		if err != nil {
			if serr == nil {
				t.Fatalf("strict accepts what tolerant refuses: %v", err)
			}
			return
		}
		if len(v.Raw())+len(rest) != len(in) {
			t.Fatalf("%d bytes of value and %d of rest in %d", len(v.Raw()), len(rest), len(in))
		}
		canonical, err := Encode(v.Tree())
		if _, again := Parse(canonical, Options{Strict: true}); err != nil && !hasHuge(v) || again != nil && !hasHuge(v) {
			t.Fatalf("the tree encodes to %q: %v %v", canonical, err, again)
		}
		checkJSON(t, v, serr == nil)
		if serr == nil && (!bytes.Equal(s.Raw(), v.Raw()) || !bytes.Equal(srest, rest) || !bytes.Equal(canonical, v.Raw())) {
			t.Fatalf("canonical %q became %q", v.Raw(), canonical)
		}
	})
}

// hasHuge: an integer beyond 64 bits stays as it was written, so in tolerant
// mode its leading zeros stay too.
func hasHuge(v Value) bool {
	if v.Kind() == Int {
		_, small := v.Int()
		_, fits := v.Uint()
		return !small && !fits
	}
	for e := range v.List() {
		if hasHuge(e) {
			return true
		}
	}
	for _, e := range v.Dict() {
		if hasHuge(e) {
			return true
		}
	}
	return false
}

func checkJSON(t *testing.T, v Value, exact bool) {
	view := AppendJSON(nil, v, "")
	if !json.Valid(view) {
		t.Fatalf("%q: not JSON: %s", v.Raw(), view)
	}
	back, err := FromJSON(view)
	if err != nil {
		t.Fatalf("%q: %s: %v", v.Raw(), view, err)
	}
	if exact && !bytes.Equal(back, v.Raw()) {
		t.Fatalf("%q came back as %q", v.Raw(), back)
	}
}

// FuzzFromJSON: no text panics, and what is accepted is sound bencoding.
func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",{"hex":"ff"}]}`, `{"dict":[["b",1],["a",2]]}`, `-0`, `1.5`, `{"hex":1}`, `[[[]]]`, `"\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := FromJSON(text)
		if err != nil {
			return
		}
		if _, err := Parse(out, Options{}); err != nil {
			t.Fatalf("%s became %q: %v", text, out, err)
		}
	})
}
