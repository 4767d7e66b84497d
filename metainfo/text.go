package metainfo

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxQuoted is how much of a hostile string an error repeats, in bytes.
const maxQuoted = 80

// quote makes hostile text fit for one line of an error.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(s[:maxQuoted]) + "..."
	}
	return strconv.QuoteToGraphic(s)
}

// validText replaces what is not UTF-8 by "_", one for each broken sequence.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := decodeRune(s)
		if r < 0 {
			r = '_'
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

// decodeRune reads one rune and its length. A broken sequence is -1: the leading
// byte and as many of the continuation bytes that it announces as are there, so
// that a name in an old encoding keeps its ASCII parts.
func decodeRune(s string) (r rune, n int) {
	r, n = utf8.DecodeRuneInString(s)
	if r != utf8.RuneError || n != 1 {
		return r, n
	}
	for n < min(len(s), announced(s[0])) && s[n]&0xc0 == 0x80 {
		n++
	}
	return -1, n
}

// announced is the length of the sequence that a leading byte promises.
func announced(c byte) int {
	switch {
	case c>>5 == 0b110:
		return 2
	case c>>4 == 0b1110:
		return 3
	case c>>3 == 0b11110:
		return 4
	case c>>2 == 0b111110:
		return 5
	}
	return 1
}
