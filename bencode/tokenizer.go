package bencode

import (
	"bytes"
	"math"
)

// Kind is a type of value, or End.
type Kind uint8

// The kinds. None is what an absent Value has; End only occurs as a Token.
const (
	None Kind = iota
	Int
	String
	List
	Dict
	End
)

// String names the kind.
func (k Kind) String() string {
	return [...]string{"none", "integer", "string", "list", "dictionary", "end"}[min(k, End)]
}

// Token is one step through a value.
type Token struct {
	Kind Kind
	Key  bool   // a String that is a dictionary's key
	Off  int    // where the token begins, in bytes
	Text []byte // of a String its content, of an Int its digits with the sign
}

// Tokenizer walks one bencoded value, checking it within Limits. It keeps one
// small frame per open list or dict and nothing else; input is not copied.
type Tokenizer struct {
	data   []byte
	off    int
	strict bool
	limits Limits
	tokens int
	stack  []frame
	done   bool // the outermost value is complete
}

// frame is an open list or dict.
type frame struct {
	dict     bool
	value    bool // of a dict: a key was read, its value comes next
	keyed    bool // of a dict: lastKey is valid
	lastFrom int  // the last key, data[lastFrom:lastTo]
	lastTo   int
}

// NewTokenizer begins at the first byte of data.
func NewTokenizer(data []byte, o Options) Tokenizer {
	return Tokenizer{data: data, strict: o.Strict, limits: o.Limits.orDefaults()}
}

// Offset is how many bytes were read.
func (t *Tokenizer) Offset() int { return t.off }

// Depth is the number of open lists and dicts.
func (t *Tokenizer) Depth() int { return len(t.stack) }

// Done says that the outermost value is complete.
func (t *Tokenizer) Done() bool { return t.done }

// Next reads one token. After the outermost value is complete, or after an
// error, it must not be called again. Errors are *Error.
func (t *Tokenizer) Next() (tok Token, err error) {
	if e := t.step(&tok); e != nil {
		return Token{}, e
	}
	return tok, nil
}

// step is Next for loops: nothing is copied. Of tok it sets what the token has.
func (t *Tokenizer) step(tok *Token) *Error {
	if e := t.admit(); e != nil {
		return e
	}
	n := len(t.stack)
	var top *frame
	if n > 0 {
		top = &t.stack[n-1]
	}
	c := t.data[t.off]
	wantsKey := top != nil && top.dict && !top.value
	tok.Off, tok.Key, tok.Text = t.off, false, nil
	switch {
	case c == 'e':
		return t.end(tok, top)
	case digit(c):
		return t.readString(tok, top, wantsKey)
	case wantsKey:
		return &Error{KeyNotString, t.off}
	case c == 'l' || c == 'd':
		t.open(tok, top, c == 'd')
		return nil
	case c == 'i':
		return t.readInt(tok, top)
	}
	return &Error{BadToken, t.off}
}

// admit checks the limits before a token is looked at.
func (t *Tokenizer) admit() *Error {
	if t.off < len(t.data) && len(t.stack) < t.limits.Depth && t.tokens < t.limits.Tokens && len(t.data) <= t.limits.Size {
		t.tokens++
		return nil
	}
	switch {
	case len(t.data) > t.limits.Size:
		return &Error{TooBig, t.limits.Size}
	case t.off >= len(t.data):
		return &Error{UnexpectedEnd, len(t.data)}
	case len(t.stack) >= t.limits.Depth:
		return &Error{TooDeep, t.off}
	}
	return &Error{TooMany, t.off}
}

// valueDone notes that the pending key of the innermost dict got its value, and
// that a value outside everything is all there is.
func (t *Tokenizer) valueDone(top *frame) {
	if top != nil {
		top.value = false
	} else {
		t.done = true
	}
}

func (t *Tokenizer) open(tok *Token, top *frame, dict bool) {
	if top != nil {
		top.value = false
	}
	t.stack = append(t.stack, frame{dict: dict})
	t.off++
	tok.Kind = List
	if dict {
		tok.Kind = Dict
	}
}

func (t *Tokenizer) end(tok *Token, top *frame) *Error {
	if top == nil {
		return &Error{BadToken, t.off}
	}
	if top.value {
		return &Error{MissingValue, t.off}
	}
	t.stack = t.stack[:len(t.stack)-1]
	t.done = len(t.stack) == 0
	t.off++
	tok.Kind = End
	return nil
}

// readInt reads i<digits>e. BEP 3: "Integers have no size limitation. i-0e is
// invalid. All encodings with a leading zero, such as i03e, are invalid, other
// than i0e". We read as many digits as a 64-bit number can have.
func (t *Tokenizer) readInt(tok *Token, top *frame) *Error {
	off := t.off
	from := off + 1
	first := from
	if first < len(t.data) && t.data[first] == '-' {
		first++
	}
	to := first
	for to < len(t.data) && digit(t.data[to]) {
		to++
	}
	switch {
	case to == len(t.data):
		return &Error{UnexpectedEnd, to}
	case to == first || t.data[to] != 'e':
		return &Error{BadInt, to}
	case to-first > maxDigits:
		return &Error{Overflow, off}
	case t.strict && t.data[first] == '0' && to-first > 1:
		return &Error{LeadingZero, off}
	case t.strict && t.data[first] == '0' && first > from:
		return &Error{NegativeZero, off}
	}
	t.off = to + 1
	t.valueDone(top)
	tok.Kind, tok.Text = Int, t.data[from:to:to]
	return nil
}

func (t *Tokenizer) readString(tok *Token, top *frame, key bool) *Error {
	off := t.off
	n, from, code := stringHeader(t.data, off)
	if code != 0 {
		return &Error{code, from}
	}
	if n > len(t.data)-from {
		return &Error{UnexpectedEnd, len(t.data)}
	}
	if t.strict && t.data[off] == '0' && t.data[off+1] != ':' {
		return &Error{LeadingZero, off}
	}
	t.off = from + n
	tok.Kind, tok.Key, tok.Text = String, key, t.data[from:t.off:t.off]
	if key {
		return t.noteKey(top, off, from, t.off)
	}
	t.valueDone(top)
	return nil
}

// noteKey remembers a key. BEP 3: "Keys must be strings and appear in sorted
// order (sorted as raw strings, not alphanumerics)".
func (t *Tokenizer) noteKey(f *frame, off, from, to int) *Error {
	if t.strict && f.keyed {
		switch c := bytes.Compare(t.data[f.lastFrom:f.lastTo], t.data[from:to]); {
		case c == 0:
			return &Error{DuplicateKey, off}
		case c > 0:
			return &Error{UnsortedKeys, off}
		}
	}
	f.keyed, f.value, f.lastFrom, f.lastTo = true, true, from, to
	return nil
}

// stringHeader reads "<digits>:" at off: the string's length and where it
// begins, or a code and where it went wrong.
func stringHeader(b []byte, off int) (n, from int, code Code) {
	i := off
	for ; i < len(b) && digit(b[i]); i++ {
		if i-off == maxDigits {
			return 0, off, Overflow
		}
		if n > (math.MaxInt-9)/10 {
			return 0, off, Overflow
		}
		n = n*10 + int(b[i]-'0')
	}
	if i == len(b) {
		return 0, i, UnexpectedEnd
	}
	if b[i] != ':' {
		return 0, i, BadLength
	}
	return n, i + 1, 0
}

func digit(c byte) bool { return c-'0' < 10 }
