package wire

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shoal-bt/shoal/bencode"
)

// Names of extension messages in the m dictionary.
const (
	ExtMetadata   = "ut_metadata"  // BEP 9
	ExtPEX        = "ut_pex"       // BEP 11
	ExtHolepunch  = "ut_holepunch" // BEP 55
	ExtDontHave   = "lt_donthave"  // BEP 54
	ExtUploadOnly = "upload_only"  // BEP 21
)

// Caps on an extension handshake.
const (
	maxExtHandshake      = 64 << 10 // bytes; real ones have 100 to 500
	maxExtDepth          = 8        // levels of nesting, two are in use
	maxExtTokens         = 2000     // bencoded items
	maxExtensions        = 64       // entries kept of m; clients send about ten
	maxExtName           = 64       // bytes of an extension's name
	maxClientName        = 64       // bytes of v
	maxMetadataSize      = 64 << 20 // bytes of metadata that anybody loads
	maxReqq              = 1 << 20  // requests; more is as good as no limit
	extHandshakeID  byte = 0
)

// Extension is an entry of m: under which id the sender wants to be sent the
// messages of this name. ID 0: not, or no longer.
type Extension struct {
	Name string
	ID   uint8
}

// Extensions is what one side of a connection has announced, in its order.
type Extensions []Extension

// ID returns the id announced for name, 0 if there is none.
func (e Extensions) ID(name string) uint8 {
	for _, x := range e {
		if x.Name == name {
			return x.ID
		}
	}
	return 0
}

// Apply returns e after another handshake, without changing e: "the m dictionary is
// additive. It's enough that it contains the actual CHANGES to the extension list";
// "the value 0 is used to turn off an extension" (BEP 10).
func (e Extensions) Apply(changes Extensions) Extensions {
	out := slices.Clone(e)
	for _, c := range changes {
		out = slices.DeleteFunc(out, func(x Extension) bool { return x.Name == c.Name })
		if c.ID != 0 && len(out) < maxExtensions {
			out = append(out, c)
		}
	}
	return out
}

// Switch is a yes or no that may be left unsaid.
type Switch uint8

// The values of a Switch.
const (
	Unsaid Switch = iota
	No
	Yes
)

// ExtHandshake is the dictionary of the extension handshake (BEP 10). What is
// absent, or no use, has the zero value.
type ExtHandshake struct {
	M            Extensions
	V            string // client name and version, safe to print, at most 64 bytes
	P            uint16 // the sender's TCP listen port
	Reqq         int32  // outstanding requests that the sender takes
	YourIP       []byte // the receiver's address as the sender sees it, 4 or 16 bytes
	IPv4         []byte // an address of the sender, 4 bytes
	IPv6         []byte // an address of the sender, 16 bytes
	MetadataSize int64  // bytes of the info dictionary (BEP 9)
	UploadOnly   Switch // the sender wants nothing (BEP 21)
	E            Switch // the sender prefers encrypted connections (BEP 11 names it)
}

// ParseExtHandshake reads the payload of an extended message with id 0 and keeps
// nothing of it. Entries of a wrong type or size count as absent: "Any unknown names
// should be ignored". It fails if b does not begin with a bencoded dictionary.
func ParseExtHandshake(b []byte) (ExtHandshake, error) {
	v, _, err := bencode.ParsePrefix(b, bencode.Options{
		Limits: bencode.Limits{Size: maxExtHandshake, Depth: maxExtDepth, Tokens: maxExtTokens},
	})
	if err != nil {
		return ExtHandshake{}, fmt.Errorf("extension handshake: %w", err)
	}
	if v.Kind() != bencode.Dict {
		return ExtHandshake{}, fmt.Errorf("extension handshake: a %v, not a dictionary", v.Kind())
	}
	var h ExtHandshake
	for key, val := range v.Dict() {
		h.set(string(key), val)
	}
	return h, nil
}

func (h *ExtHandshake) set(key string, v bencode.Value) {
	switch key {
	case "m":
		h.M = parseExtensions(v)
	case "e":
		h.E = flag(v)
	case "v":
		h.V = clientName(v.Text())
	case "p":
		h.P = uint16(bounded(v, 1<<16-1))
	case "reqq":
		n, _ := v.Int()
		h.Reqq = int32(max(0, min(n, maxReqq)))
	case "yourip":
		h.YourIP = address(v, 4, 16)
	case "ipv4":
		h.IPv4 = address(v, 4)
	case "ipv6":
		h.IPv6 = address(v, 16)
	case "metadata_size":
		h.MetadataSize = bounded(v, maxMetadataSize)
	case "upload_only":
		h.UploadOnly = flag(v)
	}
}

func parseExtensions(v bencode.Value) (out Extensions) {
	for name, id := range v.Dict() {
		n, ok := id.Int()
		if !ok || n < 0 || n > 255 || len(name) > maxExtName {
			continue
		}
		if out = append(out, Extension{string(name), uint8(n)}); len(out) == maxExtensions {
			break
		}
	}
	return out
}

// bounded returns an integer of 0..limit, and 0 for everything else.
func bounded(v bencode.Value, limit int64) int64 {
	if n, ok := v.Int(); ok && n >= 0 && n <= limit {
		return n
	}
	return 0
}

// address returns a copy of a string that has one of the lengths.
func address(v bencode.Value, lengths ...int) []byte {
	if b, ok := v.Bytes(); ok && slices.Contains(lengths, len(b)) {
		return slices.Clone(b)
	}
	return nil
}

func flag(v bencode.Value) Switch {
	n, ok := v.Int()
	switch {
	case !ok:
		return Unsaid
	case n == 0:
		return No
	}
	return Yes
}

// clientName makes a remote's text safe to print: no control, format or direction
// characters, no invalid UTF-8, cut at a character.
func clientName(s string) string {
	s = s[:min(len(s), 4*maxClientName)]
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > maxClientName {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// AppendExtHandshake appends h as the payload of an extended message with id 0.
// Zero fields are left out; m is always there.
func AppendExtHandshake(dst []byte, h ExtHandshake) []byte {
	dst = append(dst, 'd') // keys in sorted order
	if h.E != Unsaid {
		dst = bencode.AppendInt(bencode.AppendString(dst, "e"), int64(h.E-No))
	}
	dst = appendAddress(dst, "ipv4", h.IPv4)
	dst = appendAddress(dst, "ipv6", h.IPv6)
	dst = appendExtensions(bencode.AppendString(dst, "m"), h.M)
	dst = appendInt(dst, "metadata_size", h.MetadataSize)
	dst = appendInt(dst, "p", int64(h.P))
	dst = appendInt(dst, "reqq", int64(h.Reqq))
	if h.UploadOnly != Unsaid {
		dst = bencode.AppendInt(bencode.AppendString(dst, "upload_only"), int64(h.UploadOnly-No))
	}
	if h.V != "" {
		dst = bencode.AppendString(bencode.AppendString(dst, "v"), h.V)
	}
	dst = appendAddress(dst, "yourip", h.YourIP)
	return append(dst, 'e')
}

func appendExtensions(dst []byte, m Extensions) []byte {
	m = slices.Clone(m)
	slices.SortStableFunc(m, func(a, b Extension) int { return strings.Compare(a.Name, b.Name) })
	dst = append(dst, 'd')
	for i, x := range m {
		if i > 0 && m[i-1].Name == x.Name {
			continue // a dictionary has a key once
		}
		dst = bencode.AppendInt(bencode.AppendString(dst, x.Name), int64(x.ID))
	}
	return append(dst, 'e')
}

func appendInt(dst []byte, key string, n int64) []byte {
	if n == 0 {
		return dst
	}
	return bencode.AppendInt(bencode.AppendString(dst, key), n)
}

func appendAddress(dst []byte, key string, addr []byte) []byte {
	if len(addr) == 0 {
		return dst
	}
	return bencode.AppendString(bencode.AppendString(dst, key), addr)
}

// ExtHandshakeMessage wraps h for Append.
func ExtHandshakeMessage(h ExtHandshake) Message {
	return ExtendedMessage(extHandshakeID, AppendExtHandshake(nil, h))
}
