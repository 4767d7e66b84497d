package bencode

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// FromJSON encodes the JSON view that AppendJSON describes. Keys of objects are
// sorted, so that what a person typed becomes canonical; pairs of {"dict":...}
// keep their order. Errors say what of JSON has no bencoding (fractions, true,
// null), which form is wrong, or that a key is repeated, with the byte offset.
func FromJSON(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("not JSON: invalid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	r := jsonReader{dec: d, depth: DefaultMaxDepth}
	out, err := r.value(nil)
	if err != nil {
		return nil, r.at(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, r.at(fmt.Errorf("something follows the value"))
	}
	return out, nil
}

type jsonReader struct {
	dec   *json.Decoder
	depth int // levels that may still be opened
}

func (r *jsonReader) at(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("JSON near byte %d: %w", r.dec.InputOffset(), err)
}

func (r *jsonReader) value(dst []byte) ([]byte, error) {
	tok, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok := tok.(type) {
	case json.Number:
		return appendNumber(dst, tok.String())
	case string:
		return AppendString(dst, tok), nil
	case json.Delim:
		return r.compound(dst, tok)
	}
	return nil, fmt.Errorf("%v has no bencoding", tok)
}

func appendNumber(dst []byte, s string) ([]byte, error) {
	digits := strings.TrimPrefix(s, "-")
	if strings.ContainsAny(digits, ".eE") {
		return nil, fmt.Errorf("%s is not an integer", s)
	}
	if len(digits) > maxDigits {
		return nil, fmt.Errorf("an integer has more than %d digits", maxDigits)
	}
	if s == "-0" {
		s = "0"
	}
	return append(append(append(dst, 'i'), s...), 'e'), nil
}

func (r *jsonReader) compound(dst []byte, open json.Delim) ([]byte, error) {
	if r.depth--; r.depth <= 0 {
		return nil, fmt.Errorf("nested too deep")
	}
	defer func() { r.depth++ }()
	if open == '[' {
		return r.list(dst)
	}
	return r.object(dst)
}

func (r *jsonReader) list(dst []byte) (_ []byte, err error) {
	dst = append(dst, 'l')
	for r.dec.More() {
		if dst, err = r.value(dst); err != nil {
			return nil, err
		}
	}
	_, err = r.dec.Token()
	return append(dst, 'e'), err
}

type pair struct {
	key   string
	value []byte // bencoded
}

// object reads an ordinary object or one of the two special forms, which are
// recognised by their only key and the type of its value.
func (r *jsonReader) object(dst []byte) ([]byte, error) {
	var pairs []pair
	for r.dec.More() {
		k, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		v, err := r.value(nil)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{k.(string), v})
	}
	if _, err := r.dec.Token(); err != nil {
		return nil, err
	}
	if len(pairs) == 1 && pairs[0].key == "hex" {
		return appendFromHex(dst, pairs[0].value)
	}
	if len(pairs) == 1 && pairs[0].key == "dict" {
		return appendFromPairs(dst, pairs[0].value)
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	return appendPairs(dst, pairs)
}

func appendPairs(dst []byte, pairs []pair) ([]byte, error) {
	dst = append(dst, 'd')
	for i, p := range pairs {
		if i > 0 && pairs[i-1].key == p.key {
			return nil, fmt.Errorf("key %q is repeated", p.key)
		}
		dst = append(AppendString(dst, p.key), p.value...)
	}
	return append(dst, 'e'), nil
}

// appendFromHex appends the string that {"hex":v} stands for.
func appendFromHex(dst, v []byte) ([]byte, error) {
	digits, ok := Value{v}.Bytes()
	if !ok {
		return nil, fmt.Errorf(`{"hex":...} needs a string of hex digits`)
	}
	raw, err := hex.DecodeString(string(digits))
	if err != nil {
		return nil, fmt.Errorf(`{"hex":...}: %w`, err)
	}
	return AppendString(dst, raw), nil
}

// appendFromPairs appends the dictionary that {"dict":v} stands for; v was
// written by this package, so it is checked bencoding.
func appendFromPairs(dst, v []byte) ([]byte, error) {
	list := Value{v}
	if list.Kind() != List {
		return nil, fmt.Errorf(`{"dict":...} needs an array of [key,value] pairs`)
	}
	dst = append(dst, 'd')
	for p := range list.List() {
		items := slices.Collect(p.List())
		if len(items) != 2 || items[0].Kind() != String {
			return nil, fmt.Errorf(`{"dict":...} needs pairs [key,value] with a string as key`)
		}
		dst = append(append(dst, items[0].raw...), items[1].raw...)
	}
	return append(dst, 'e'), nil
}
