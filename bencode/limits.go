package bencode

import "fmt"

// Defaults of Limits. They are what a torrent file needs; decoders of smaller
// messages should set their own.
const (
	DefaultMaxSize   = 64 << 20 // bytes: 2^21 pieces of 20 bytes and room to spare
	DefaultMaxDepth  = 100      // levels
	DefaultMaxTokens = 3_000_000

	// maxDigits bounds an integer and the length of a string; 2^64 has 20 digits.
	maxDigits = 20
)

// Limits bound the work that one input may cause. A zero field means the default.
type Limits struct {
	Size   int // bytes of input
	Depth  int // levels of nesting, what is innermost (if only an end) included: "llee" needs 3
	Tokens int // integers, strings, opened lists and dicts, and their ends
}

// Options say what is accepted. The zero Options are tolerant, with default limits.
type Options struct {
	Strict bool // only canonical bencoding
	Limits Limits
}

func (l Limits) orDefaults() Limits {
	if l.Size == 0 {
		l.Size = DefaultMaxSize
	}
	if l.Depth == 0 {
		l.Depth = DefaultMaxDepth
	}
	if l.Tokens == 0 {
		l.Tokens = DefaultMaxTokens
	}
	return l
}

// Code is what is wrong with an input.
type Code uint8

// The codes.
const (
	UnexpectedEnd Code = iota + 1 // the input stops inside a value
	BadToken                      // a byte that begins no value
	BadInt                        // no digits, or something else than digits
	BadLength                     // of a string: something else than digits and a colon
	Overflow                      // more digits than any sane number has
	KeyNotString
	MissingValue  // a dict ends after a key
	TooBig        // Limits.Size
	TooDeep       // Limits.Depth
	TooMany       // Limits.Tokens
	TrailingBytes // something follows the value
	LeadingZero   // strict only
	NegativeZero  // strict only
	UnsortedKeys  // strict only
	DuplicateKey  // strict only
)

var codeText = [...]string{
	UnexpectedEnd: "unexpected end",
	BadToken:      "expected a value",
	BadInt:        "expected a digit in an integer",
	BadLength:     "expected digits and a colon before a string",
	Overflow:      "number too long",
	KeyNotString:  "dictionary key is not a string",
	MissingValue:  "dictionary key without a value",
	TooBig:        "input too big",
	TooDeep:       "nested too deep",
	TooMany:       "too many items",
	TrailingBytes: "trailing bytes",
	LeadingZero:   "leading zero",
	NegativeZero:  "negative zero",
	UnsortedKeys:  "unsorted dictionary keys",
	DuplicateKey:  "duplicate dictionary key",
}

// String is a few words of plain English.
func (c Code) String() string {
	if int(c) < len(codeText) && codeText[c] != "" {
		return codeText[c]
	}
	return "broken bencoding"
}

// Error is why an input was refused and where. The fault is always the input's.
type Error struct {
	Code   Code
	Offset int // bytes from the beginning of the input
}

// Error is one line: "unexpected end at byte 12".
func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Code, e.Offset) }
