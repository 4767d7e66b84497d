package bencode

import (
	"bytes"
	"unicode/utf8"
)

// AppendJSON appends the JSON view of v. With indent "" it is one line, else
// every element has its own line, indented.
//
//	integer          a JSON number, digit for digit
//	string           a JSON string if it is valid UTF-8, else {"hex":"c0ffee"}
//	list             an array
//	dictionary       an object, keys in the order of the input
//
// A dictionary that an object cannot hold is {"dict":[[key,value],...]}: when a
// key is not UTF-8, when keys are repeated or unsorted, and when the object
// would look like one of the two special forms. FromJSON understands all of it,
// and FromJSON of AppendJSON gives the bytes of v again; only leading zeros and
// -0, which no canonical input has, come back normalised.
//
// Control characters and invisible or direction-changing characters are
// escaped, so that the view is safe to print on a terminal.
func AppendJSON(dst []byte, v Value, indent string) []byte {
	w := jsonWriter{dst: dst, indent: indent}
	w.value(v)
	return w.dst
}

type jsonWriter struct {
	dst    []byte
	indent string
	depth  int
}

func (w *jsonWriter) value(v Value) {
	switch v.Kind() {
	case Int:
		w.number(v.digits())
	case String:
		b, _ := v.Bytes()
		w.string(b)
	case List:
		w.list(v)
	case Dict:
		w.dict(v)
	default:
		w.dst = append(w.dst, "null"...)
	}
}

// number writes digits as JSON has them: no leading zeros, no -0.
func (w *jsonWriter) number(digits []byte) {
	rest, neg := bytes.CutPrefix(digits, []byte("-"))
	rest = bytes.TrimLeft(rest, "0")
	if len(rest) == 0 {
		w.dst = append(w.dst, '0')
		return
	}
	if neg {
		w.dst = append(w.dst, '-')
	}
	w.dst = append(w.dst, rest...)
}

func (w *jsonWriter) string(b []byte) {
	if !utf8.Valid(b) {
		w.dst = append(w.dst, `{"hex":"`...)
		w.dst = appendHex(w.dst, b)
		w.dst = append(w.dst, `"}`...)
		return
	}
	w.text(b)
}

func (w *jsonWriter) list(v Value) {
	w.open('[')
	first := true
	for e := range v.List() {
		w.next(&first)
		w.value(e)
	}
	w.close(']', first)
}

func (w *jsonWriter) dict(v Value) {
	if !fitsObject(v) {
		w.pairs(v)
		return
	}
	w.open('{')
	first := true
	for k, e := range v.Dict() {
		w.next(&first)
		w.text(k)
		w.dst = append(w.dst, ':')
		if w.indent != "" {
			w.dst = append(w.dst, ' ')
		}
		w.value(e)
	}
	w.close('}', first)
}

// pairs writes the form that holds any dictionary.
func (w *jsonWriter) pairs(v Value) {
	w.dst = append(w.dst, `{"dict":`...)
	w.open('[')
	first := true
	for k, e := range v.Dict() {
		w.next(&first)
		w.dst = append(w.dst, '[')
		w.string(k)
		w.dst = append(w.dst, ',')
		w.value(e)
		w.dst = append(w.dst, ']')
	}
	w.close(']', first)
	w.dst = append(w.dst, '}')
}

// fitsObject says whether a JSON object holds the dictionary v and nothing else
// looks the same.
func fitsObject(v Value) bool {
	var last, only []byte
	var onlyKind Kind
	n := 0
	for k, e := range v.Dict() {
		if !utf8.Valid(k) || n > 0 && bytes.Compare(last, k) >= 0 {
			return false
		}
		last, only, onlyKind = k, k, e.Kind()
		n++
	}
	// A string shows as a JSON string or as an object, a dictionary may show as
	// an object: so "hex" and "dict" alone are never left in plain form.
	special := n == 1 && onlyKind != None && (string(only) == "hex" || string(only) == "dict")
	return !special
}

func (w *jsonWriter) open(c byte) {
	w.dst = append(w.dst, c)
	w.depth++
}

func (w *jsonWriter) next(first *bool) {
	if !*first {
		w.dst = append(w.dst, ',')
	}
	*first = false
	w.newline()
}

func (w *jsonWriter) close(c byte, empty bool) {
	w.depth--
	if !empty {
		w.newline()
	}
	w.dst = append(w.dst, c)
}

func (w *jsonWriter) newline() {
	if w.indent == "" {
		return
	}
	w.dst = append(w.dst, '\n')
	for range w.depth {
		w.dst = append(w.dst, w.indent...)
	}
}

// text writes valid UTF-8 as a JSON string.
func (w *jsonWriter) text(b []byte) {
	w.dst = append(w.dst, '"')
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '"' || r == '\\':
			w.dst = append(w.dst, '\\', byte(r))
		case r == '\n':
			w.dst = append(w.dst, '\\', 'n')
		case r == '\t':
			w.dst = append(w.dst, '\\', 't')
		case unprintable(r):
			w.dst = append(w.dst, '\\', 'u')
			w.dst = appendHex(w.dst, []byte{byte(r >> 8), byte(r)})
		default:
			w.dst = append(w.dst, b[:n]...)
		}
		b = b[n:]
	}
	w.dst = append(w.dst, '"')
}

// unprintable are C0, DEL and C1 controls, and what hides or reorders text. All
// of them are below U+10000.
func unprintable(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x061c || r >= 0x200b && r <= 0x200f ||
		r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x2069 || r == 0xfeff
}

func appendHex(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}
