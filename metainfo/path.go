package metainfo

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxElement is how long a name may be in bytes before it is cut. File
	// systems allow 255; the rest is for an extension and for the numbers that
	// tell duplicates apart.
	maxElement = 240
	// maxName is the longest name that any file system takes, in bytes.
	maxName = 255
	// maxExtension is the longest extension, with its dot, that a cut name keeps.
	maxExtension = 9
	// MaxDirDepth is how many elements a path in a torrent may have.
	MaxDirDepth = 100
)

// Path is a relative path that is safe to create below a folder: at least one
// element, separated by slashes, none of them empty, "." or "..", no separators,
// control characters or invisible characters inside. Only the sanitiser makes
// one. Symbolic links that others put on the disk are not its business.
//
// The zero Path is no path.
type Path struct{ s string }

// String is the path with slashes.
func (p Path) String() string { return p.s }

// IsZero says that there is no path.
func (p Path) IsZero() bool { return p.s == "" }

// Elements are the names from the top down.
func (p Path) Elements() []string {
	if p.s == "" {
		return nil
	}
	return strings.Split(p.s, "/")
}

// Base is the last element.
func (p Path) Base() string { return p.s[strings.LastIndexByte(p.s, '/')+1:] }

// Dir is the path without its last element, the zero Path if there was only one.
func (p Path) Dir() Path { return Path{p.s[:max(strings.LastIndexByte(p.s, '/'), 0)]} }

// Join is q below p. Either may be the zero Path.
func (p Path) Join(q Path) Path {
	if p.s == "" || q.s == "" {
		return Path{p.s + q.s}
	}
	return Path{p.s + "/" + q.s}
}

// MarshalText is String, for JSON and journals.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.s), nil }

// UnmarshalText is ParsePath; nothing gives the zero Path.
func (p *Path) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*p = Path{}
		return nil
	}
	*p, err = ParsePath(string(b))
	return err
}

// CleanPath makes a Path of any elements, each of which gives exactly one
// element: what cannot stay is removed or becomes "_". Without elements it is
// the zero Path.
func CleanPath(elements ...string) Path {
	var p Path
	for _, e := range elements {
		p.s = appendElement(p.s, e, false)
	}
	return p
}

// ParsePath reads a Path as String wrote it. Unlike CleanPath it repairs
// nothing: what is not clean is an error of code InvalidName.
func ParsePath(s string) (Path, error) {
	for e := range strings.SplitSeq(s, "/") {
		if !validElement(e) {
			return Path{}, &Error{InvalidName, fmt.Sprintf("%s is no clean relative path", quote(s))}
		}
	}
	return Path{s}, nil
}

// validElement says that nothing of e needs repair. It may be a little longer
// than what a repair leaves, because of numbers added to duplicates.
func validElement(e string) bool {
	if e == "" || e == "." || e == ".." || len(e) > maxName {
		return false
	}
	for i := 0; i < len(e); {
		r, n := decodeRune(e[i:])
		if dropped(r) || forbidden(r, false) {
			return false
		}
		i += n
	}
	return true
}

// appendElement adds an element to a path; it is never empty.
func appendElement(path, element string, portable bool) string {
	e := cleanElement(element, portable)
	if e == "" {
		e = "_"
	}
	if path == "" {
		return e
	}
	return path + "/" + e
}

// cleanElement makes a file name of what a torrent says. It is "" when nothing
// is left, or only one or two dots.
func cleanElement(e string, portable bool) string {
	if !plain(e) {
		e = cleanRunes(e, portable)
	}
	if e == "." || e == ".." {
		return ""
	}
	if portable {
		e = portableElement(e)
	}
	return e
}

// plain says that e needs no repair but for dots: the usual case.
func plain[S string | []byte](e S) bool {
	if len(e) == 0 || len(e) >= maxElement {
		return false
	}
	for i := range len(e) {
		if c := e[i]; c < 0x20 || c >= 0x7f || c == '/' || c == '\\' || strings.IndexByte(windowsForbids, c) >= 0 {
			return false
		}
	}
	return true
}

// cleanRunes drops what hides or separates, replaces what no file name may have,
// and cuts at maxElement, where a short extension is kept.
func cleanRunes(e string, portable bool) string {
	var b strings.Builder
	cut := false
	for i := 0; i < len(e); {
		r, n := decodeRune(e[i:])
		switch {
		case dropped(r):
		case forbidden(r, portable):
			b.WriteByte('_')
		default:
			b.WriteString(e[i : i+n])
		}
		i += n
		if b.Len() >= maxElement && !cut {
			cut = true
			if i = extensionAt(e, i); i < 0 {
				break
			}
		}
	}
	return b.String()
}

// extensionAt finds where to go on in e when everything before from was taken
// and the rest is too long: at its extension, or at from when that is inside the
// extension; -1 if there is none or it is long.
func extensionAt(e string, from int) int {
	dot := strings.LastIndexByte(e, '.')
	if dot < 0 || len(e)-dot > maxExtension {
		return -1
	}
	return max(dot, from)
}

// dropped are separators, and characters that are invisible or change the
// direction of text, with which a name can pretend to be another: soft controls
// of Arabic and bidirectional text, zero-width spaces and joiners, word joiners
// and invisible operators, isolates, the byte order mark.
func dropped(r rune) bool {
	switch {
	case r == '/', r == '\\', r == 0x061c, r == 0xfeff:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e:
		return true
	case r >= 0x2060 && r <= 0x2064, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// forbidden are broken UTF-8 (r < 0), C0 and C1 controls, DEL, and with portable
// what Windows does not allow.
func forbidden(r rune, portable bool) bool {
	return r < 0x20 || r >= 0x7f && r <= 0x9f ||
		portable && r < utf8.RuneSelf && strings.IndexByte(windowsForbids, byte(r)) >= 0
}

// windowsForbids are printable characters that no Windows file name may have; a
// colon would name a stream of another file.
const windowsForbids = `<>:"|?*`

// portableElement makes a clean name fit for Windows: no dots or spaces at the
// end, which Windows drops, and no name of a device, with or without extension.
func portableElement(e string) string {
	e = strings.TrimRight(e, " .")
	stem, _, _ := strings.Cut(e, ".")
	if reserved(strings.TrimRight(stem, " ")) {
		return "_" + e
	}
	return e
}

func reserved(stem string) bool {
	stem = strings.ToUpper(stem)
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$":
		return true
	}
	rest, com := strings.CutPrefix(stem, "COM")
	if !com {
		var lpt bool
		if rest, lpt = strings.CutPrefix(stem, "LPT"); !lpt {
			return false
		}
	}
	switch rest {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return true
	}
	return false
}
