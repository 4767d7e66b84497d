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
func (t *Tokenizer) Next() (Token, error) {
	if err := t.admit(); err != nil {
		return Token{}, err
	}
	tok, err := t.read()
	if err != nil {
		return Token{}, err
	}
	t.done = len(t.stack) == 0
	return tok, nil
}

// admit checks the limits before a token is looked at.
func (t *Tokenizer) admit() error {
	switch {
	case len(t.data) > t.limits.Size:
		return &Error{TooBig, t.limits.Size}
	case t.off >= len(t.data):
		return &Error{UnexpectedEnd, len(t.data)}
	case len(t.stack) >= t.limits.Depth:
		return &Error{TooDeep, t.off}
	case t.tokens >= t.limits.Tokens:
		return &Error{TooMany, t.off}
	}
	t.tokens++
	return nil
}

func (t *Tokenizer) read() (Token, error) {
	c := t.data[t.off]
	key := t.wantsKey()
	if key && c != 'e' && !digit(c) {
		return Token{}, &Error{KeyNotString, t.off}
	}
	switch {
	case c == 'i':
		t.valueBegins()
		return t.readInt()
	case c == 'l':
		return t.open(List), nil
	case c == 'd':
		return t.open(Dict), nil
	case c == 'e':
		return t.end()
	case digit(c):
		return t.readString(key)
	}
	return Token{}, &Error{BadToken, t.off}
}

func (t *Tokenizer) wantsKey() bool {
	n := len(t.stack)
	return n > 0 && t.stack[n-1].dict && !t.stack[n-1].value
}

// valueBegins notes that the pending key of the innermost dict got its value.
func (t *Tokenizer) valueBegins() {
	if n := len(t.stack); n > 0 {
		t.stack[n-1].value = false
	}
}

func (t *Tokenizer) open(k Kind) Token {
	t.valueBegins()
	t.stack = append(t.stack, frame{dict: k == Dict})
	t.off++
	return Token{Kind: k, Off: t.off - 1}
}

func (t *Tokenizer) end() (Token, error) {
	n := len(t.stack)
	if n == 0 {
		return Token{}, &Error{BadToken, t.off}
	}
	if t.stack[n-1].value {
		return Token{}, &Error{MissingValue, t.off}
	}
	t.stack = t.stack[:n-1]
	t.off++
	return Token{Kind: End, Off: t.off - 1}, nil
}

// readInt reads i<digits>e. BEP 3: "Integers have no size limitation. i-0e is
// invalid. All encodings with a leading zero, such as i03e, are invalid, other
// than i0e". We read as many digits as a 64-bit number can have.
func (t *Tokenizer) readInt() (Token, error) {
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
		return Token{}, &Error{UnexpectedEnd, to}
	case to == first || t.data[to] != 'e':
		return Token{}, &Error{BadInt, to}
	case to-first > maxDigits:
		return Token{}, &Error{Overflow, off}
	case t.strict && t.data[first] == '0' && to-first > 1:
		return Token{}, &Error{LeadingZero, off}
	case t.strict && t.data[first] == '0' && first > from:
		return Token{}, &Error{NegativeZero, off}
	}
	t.off = to + 1
	return Token{Kind: Int, Off: off, Text: t.data[from:to]}, nil
}

func (t *Tokenizer) readString(key bool) (Token, error) {
	off := t.off
	n, from, code := stringHeader(t.data, off)
	if code != 0 {
		return Token{}, &Error{code, from}
	}
	if n > len(t.data)-from {
		return Token{}, &Error{UnexpectedEnd, len(t.data)}
	}
	if t.strict && t.data[off] == '0' && t.data[off+1] != ':' {
		return Token{}, &Error{LeadingZero, off}
	}
	t.off = from + n
	tok := Token{Kind: String, Key: key, Off: off, Text: t.data[from:t.off:t.off]}
	if key {
		return tok, t.noteKey(off, from, t.off)
	}
	t.valueBegins()
	return tok, nil
}

// noteKey remembers a key. BEP 3: "Keys must be strings and appear in sorted
// order (sorted as raw strings, not alphanumerics)".
func (t *Tokenizer) noteKey(off, from, to int) error {
	f := &t.stack[len(t.stack)-1]
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
