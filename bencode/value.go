package bencode

import (
	"iter"
	"strconv"
)

// Value is one checked value inside somebody else's bytes, which must not be
// changed while it is used. Only Parse, ParsePrefix and the methods of Tokenizer
// and Value make one, so walking it needs no errors. The zero Value is an absent
// one: its Kind is None and everything in it is empty.
type Value struct{ raw []byte }

// Parse reads data, which is one value and nothing else. Errors are *Error.
func Parse(data []byte, o Options) (Value, error) {
	v, rest, err := ParsePrefix(data, o)
	if err != nil {
		return Value{}, err
	}
	if len(rest) > 0 {
		return Value{}, &Error{TrailingBytes, len(data) - len(rest)}
	}
	return v, nil
}

// ParsePrefix reads the value at the beginning of data and answers what follows
// it: messages of BEP 9 are a dictionary and then payload. Errors are *Error.
func ParsePrefix(data []byte, o Options) (v Value, rest []byte, err error) {
	t := NewTokenizer(data, o)
	t.stack = make([]frame, 0, 4) // few messages are deeper: they need one allocation
	v, err = t.Value()
	if err != nil {
		return Value{}, nil, err
	}
	return v, data[t.off:], nil
}

// Value reads the whole value that begins at the next token. It must not be
// called where a key or an end comes next.
func (t *Tokenizer) Value() (Value, error) {
	from, depth := t.off, len(t.stack)
	var tok Token
	for {
		if err := t.step(&tok); err != nil {
			return Value{}, err
		}
		if len(t.stack) == depth && !tok.Key {
			return Value{t.data[from:t.off:t.off]}, nil
		}
	}
}

// Kind is the type of the value, None if absent.
func (v Value) Kind() Kind {
	if len(v.raw) == 0 {
		return None
	}
	switch v.raw[0] {
	case 'i':
		return Int
	case 'l':
		return List
	case 'd':
		return Dict
	}
	return String
}

// Raw is the exact bytes that encode the value in the input, nil if absent.
func (v Value) Raw() []byte { return v.raw }

// Bytes is the content of a string; ok is false for other kinds.
func (v Value) Bytes() (b []byte, ok bool) {
	if v.Kind() != String {
		return nil, false
	}
	_, from, _ := stringHeader(v.raw, 0)
	return v.raw[from:], true
}

// Text is the content of a string as it is, "" for other kinds. It is a copy.
func (v Value) Text() string {
	b, _ := v.Bytes()
	return string(b)
}

// Int is an integer; ok is false for other kinds and outside int64.
func (v Value) Int() (n int64, ok bool) {
	n, err := strconv.ParseInt(string(v.digits()), 10, 64)
	return n, err == nil
}

// Uint is a non-negative integer; ok is false for other kinds and outside uint64.
func (v Value) Uint() (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(v.digits()), 10, 64)
	return n, err == nil
}

// digits is the text of an integer with its sign, nil for other kinds.
func (v Value) digits() []byte {
	if v.Kind() != Int {
		return nil
	}
	return v.raw[1 : len(v.raw)-1]
}

// List walks the elements of a list; other kinds have none.
func (v Value) List() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != List {
			return
		}
		for at := 1; v.raw[at] != 'e'; {
			end := skip(v.raw, at)
			if !yield(Value{v.raw[at:end:end]}) {
				return
			}
			at = end
		}
	}
}

// Dict walks the keys and values of a dictionary in the order of the input,
// repeated keys included; other kinds have none.
func (v Value) Dict() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		if v.Kind() != Dict {
			return
		}
		for at := 1; v.raw[at] != 'e'; {
			n, from, _ := stringHeader(v.raw, at)
			to := from + n
			end := skip(v.raw, to)
			if !yield(v.raw[from:to:to], Value{v.raw[to:end:end]}) {
				return
			}
			at = end
		}
	}
}

// Get finds a key of a dictionary: its first value, or the absent Value. It
// walks the dictionary; who needs several keys should walk once with Dict.
func (v Value) Get(key string) Value {
	for k, val := range v.Dict() {
		if string(k) == key {
			return val
		}
	}
	return Value{}
}

// Len is the number of elements of a list or of keys of a dictionary, found by
// walking it; 0 for other kinds.
func (v Value) Len() int {
	n := 0
	for range v.List() {
		n++
	}
	for range v.Dict() {
		n++
	}
	return n
}

// Canonical says why the value is not canonical bencoding, nil if it is. The
// error's offset counts from the beginning of Raw.
func (v Value) Canonical() error {
	_, err := Parse(v.raw, Options{Strict: true, Limits: noLimits(len(v.raw))})
	return err
}

// noLimits admits any value of n bytes that was checked before.
func noLimits(n int) Limits { return Limits{Size: n + 1, Depth: n + 1, Tokens: n + 1} }

// skip finds the end of the checked value that begins at b[i].
func skip(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case 'i':
			for i++; b[i] != 'e'; i++ {
			}
			i++
		case 'l', 'd':
			depth++
			i++
		case 'e':
			depth--
			i++
		default:
			n, from, _ := stringHeader(b, i)
			i = from + n
		}
		if depth == 0 {
			return i
		}
	}
}
