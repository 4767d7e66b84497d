package bencode

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// AppendInt appends an integer.
func AppendInt(b []byte, n int64) []byte {
	b = append(b, 'i')
	b = strconv.AppendInt(b, n, 10)
	return append(b, 'e')
}

// AppendUint appends a non-negative integer.
func AppendUint(b []byte, n uint64) []byte {
	b = append(b, 'i')
	b = strconv.AppendUint(b, n, 10)
	return append(b, 'e')
}

// AppendString appends a string. It is how a dictionary's keys are written too;
// who writes a dictionary by hand ('d', keys and values, 'e') sorts the keys.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

// M is a dictionary to encode, L a list. Decoded trees (Value.Tree) consist of
// these, string and int64 or uint64.
type (
	M map[string]any
	L []any
)

// Append appends v in canonical form: an M, L, string, []byte, int, int64,
// uint64, [][]byte, []string, or a Value, whose raw bytes are copied as they
// are. A nil value in an M is left out. Other types are the caller's bug and
// give an error that names the type.
func Append(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return AppendString(b, v), nil
	case []byte:
		return AppendString(b, v), nil
	case int:
		return AppendInt(b, int64(v)), nil
	case int64:
		return AppendInt(b, v), nil
	case uint64:
		return AppendUint(b, v), nil
	case L:
		return appendList(b, v)
	case []string:
		return appendList(b, v)
	case [][]byte:
		return appendList(b, v)
	case M:
		return appendDict(b, v)
	case Value:
		return appendValue(b, v)
	}
	return b, fmt.Errorf("bencode: cannot encode a %T", v)
}

// Encode is Append to nothing.
func Encode(v any) ([]byte, error) { return Append(nil, v) }

func appendValue(b []byte, v Value) ([]byte, error) {
	if v.Kind() == None {
		return b, fmt.Errorf("bencode: cannot encode an absent value")
	}
	return append(b, v.raw...), nil
}

func appendList[E any](b []byte, l []E) ([]byte, error) {
	var err error
	b = append(b, 'l')
	for _, e := range l {
		if b, err = Append(b, any(e)); err != nil {
			return b, err
		}
	}
	return append(b, 'e'), nil
}

func appendDict(b []byte, m M) ([]byte, error) {
	var err error
	b = append(b, 'd')
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if m[k] == nil {
			continue
		}
		b = AppendString(b, k)
		if b, err = Append(b, m[k]); err != nil {
			return b, fmt.Errorf("%q: %w", k, err)
		}
	}
	return append(b, 'e'), nil
}

// Tree copies the value into an M, L, string, int64 or uint64, nil if absent.
// Of repeated keys the first counts. An integer outside int64 and uint64 becomes
// its Value. Append of a Tree is the canonical form of the value.
func (v Value) Tree() any {
	switch v.Kind() {
	case Int:
		return v.number()
	case String:
		return v.Text()
	case List:
		l := L{}
		for e := range v.List() {
			l = append(l, e.Tree())
		}
		return l
	case Dict:
		m := M{}
		for k, e := range v.Dict() {
			if _, ok := m[string(k)]; !ok {
				m[string(k)] = e.Tree()
			}
		}
		return m
	}
	return nil
}

func (v Value) number() any {
	if n, ok := v.Int(); ok {
		return n
	}
	if n, ok := v.Uint(); ok {
		return n
	}
	return v
}
