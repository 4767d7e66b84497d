package metainfo

import (
	"strconv"
	"strings"
)

// maxURL is the longest URL that is kept, in bytes.
const maxURL = 8 << 10

// validTracker says that url can be the address of a tracker. That somebody can
// speak its scheme is for others to say: ws and wss are kept.
func validTracker(url string) bool {
	scheme, rest, ok := splitScheme(url)
	if !ok || len(url) > maxURL {
		return false
	}
	switch scheme {
	case "http", "https", "udp", "ws", "wss":
	default:
		return false
	}
	for i := range len(url) {
		if url[i] <= ' ' || url[i] == 0x7f {
			return false
		}
	}
	return validAuthority(authorityOf(rest))
}

// splitScheme cuts "scheme://" off; the scheme comes back in lower case.
func splitScheme(url string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(url, "://")
	return strings.ToLower(scheme), rest, ok
}

// authorityOf is the part before the path, the query and the fragment.
func authorityOf(rest string) string {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return rest[:i]
	}
	return rest
}

// validAuthority checks [user[:password]@]host[:port].
func validAuthority(a string) bool {
	if i := strings.LastIndexByte(a, '@'); i >= 0 {
		a = a[i+1:]
	}
	host, port := a, ""
	if i := strings.LastIndexByte(a, ':'); i > strings.LastIndexByte(a, ']') {
		host, port = a[:i], a[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && validIPv6(inner)
	}
	return validHost(host) && !strings.Contains(host, ":")
}

// validHost accepts names and literal addresses, IPv6 without brackets. Names
// may have underscores, as in private networks, and letters beyond ASCII.
func validHost(host string) bool {
	if strings.Contains(host, ":") {
		return validIPv6(host)
	}
	if host == "" || len(host) > 253 || host != validText(host) {
		return false
	}
	for _, r := range host {
		if r < 0x80 && !alphanumeric(byte(r)) && r != '-' && r != '.' && r != '_' || r >= 0x80 && r < 0xa0 || dropped(r) {
			return false
		}
	}
	return true
}

// validIPv6 checks only the characters; a zone may follow "%".
func validIPv6(s string) bool {
	addr, _, _ := strings.Cut(s, "%")
	if !strings.Contains(addr, ":") || len(s) > 100 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && strings.IndexByte(":.%_-~", c) < 0 {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// cleanWebSeed escapes what a URL may not contain, so that "foo bar" becomes
// "foo%20bar", and gives a folder's URL its slash. ok is false for what is no
// HTTP or FTP URL.
func cleanWebSeed(url string, folder bool) (string, bool) {
	url = strings.TrimSpace(url)
	scheme, rest, ok := splitScheme(url)
	if !ok || len(url) > maxURL || !validAuthority(authorityOf(rest)) {
		return "", false
	}
	switch scheme {
	case "http", "https", "ftp":
	default:
		return "", false
	}
	var b strings.Builder
	for i := range len(url) {
		if c := url[i]; alphanumeric(c) || strings.IndexByte("%-._~!$&'()*+,;=:@/?#[]", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(escapeByte(c))
		}
	}
	out := b.String()
	if folder && !strings.HasSuffix(out, "/") {
		out += "/"
	}
	return out, true
}

func escapeByte(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{'%', digits[c>>4], digits[c&15]})
}
