package bencode

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestJSON: bencoding, its view, and back.
func TestJSON(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"i42e", `42`},
		{"i-5e", `-5`},
		{"i18446744073709551615e", `18446744073709551615`},
		{"4:spam", `"spam"`},
		{"0:", `""`},
		{"6:a\"\\\n\t\x1b", `"a\"\\\n\t\u001b"`},
		{"3:日", `"日"`},
		{"7:a\u202eexe", `"a\u202eexe"`},
		{"2:\xff\x00", `{"hex":"ff00"}`},
		{"le", `[]`},
		{"li1el1:xee", `[1,["x"]]`},
		{"de", `{}`},
		{"d1:ai1e1:bdee", `{"a":1,"b":{}}`},
		{"d1:\xffi1ee", `{"dict":[[{"hex":"ff"},1]]}`},
		{"d1:bi1e1:ai2ee", `{"dict":[["b",1],["a",2]]}`},
		{"d1:ai1e1:ai2ee", `{"dict":[["a",1],["a",2]]}`},
		{"d3:hex4:c0dee", `{"dict":[["hex","c0de"]]}`},
		{"d3:hexi1ee", `{"dict":[["hex",1]]}`},
		{"d4:dictlee", `{"dict":[["dict",[]]]}`},
		{"d4:dicti1e3:hexi2ee", `{"dict":1,"hex":2}`},
	} {
		v := parse(t, c.in)
		view := AppendJSON(nil, v, "")
		if string(view) != c.want {
			t.Errorf("%q: view is %s, want %s", c.in, view, c.want)
		}
		checkViewBack(t, v, view)
		checkViewBack(t, v, AppendJSON(nil, v, "  "))
	}
}

func checkViewBack(t *testing.T, v Value, view []byte) {
	t.Helper()
	if !json.Valid(view) {
		t.Errorf("%q: not JSON: %s", v.Raw(), view)
	}
	back, err := FromJSON(view)
	if err != nil || string(back) != string(v.Raw()) {
		t.Errorf("%q: %s came back as %q %v", v.Raw(), view, back, err)
	}
}

func TestJSONIndent(t *testing.T) {
	v := parse(t, "d1:ali1ei2ee1:bde1:cd1:xd1:\xffleeee")
	want := strings.TrimPrefix(`
{
  "a": [
    1,
    2
  ],
  "b": {},
  "c": {
    "x": {"dict":[
      [{"hex":"ff"},[]]
    ]}
  }
}`, "\n")
	if got := string(AppendJSON(nil, v, "  ")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestJSONNormalises: only what canonical bencoding never has is lost.
func TestJSONNormalises(t *testing.T) {
	for in, want := range map[string]string{"i007e": "i7e", "i-0e": "i0e", "i-00e": "i0e", "02:ab": "2:ab"} {
		if back, err := FromJSON(AppendJSON(nil, parse(t, in), "")); err != nil || string(back) != want {
			t.Errorf("%q came back as %q %v", in, back, err)
		}
	}
	if got := string(AppendJSON(nil, Value{}, "")); got != "null" {
		t.Errorf("an absent value is %s", got)
	}
}

// TestFromJSON is what people type.
func TestFromJSON(t *testing.T) {
	for in, want := range map[string]string{
		` {"b": 1, "a": [ "x", {"hex": "FF00"} ]} `: "d1:al1:x2:\xff\x00e1:bi1ee",
		`-0`:           "i0e",
		`"\u00e9"`:     "2:é",
		`{"dict":[]}`:  "de",
		`{"hex":""}`:   "0:",
		`{"hex":"61"}`: "1:a",
	} {
		if got, err := FromJSON([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%s: got %q %v, want %q", in, got, err, want)
		}
	}
}

// TestFromJSONErrors: one line that says what is wrong.
func TestFromJSONErrors(t *testing.T) {
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	for in, want := range map[string]string{
		`1.5`: "not an integer", `1e3`: "not an integer", `true`: "no bencoding", `null`: "no bencoding",
		`{"a":1,"a":2}`: `"a" is repeated`, `{"hex":"xyz"}`: "hex", `{"hex":1}`: "hex digits", `{"dict":1}`: "pairs",
		`{"dict":[["a"]]}`: "pairs", `{"dict":[[1,2]]}`: "pairs", `[1`: "unexpected EOF", ``: "unexpected EOF",
		`1 2`: "follows", `{"a"}`: "invalid", "\"\xff\"": "UTF-8", `123456789012345678901`: "20 digits", deep: "too deep",
	} {
		got, err := FromJSON([]byte(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %q %v, want an error with %q", in, got, err, want)
		}
	}
}
