package tracker

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ParseURL checks the URL of a tracker. Its scheme is http, https or udp; all other
// errors are the torrent's or the user's fault.
func ParseURL(raw string) (*url.URL, error) {
	if len(raw) > MaxURL {
		return nil, fmt.Errorf("tracker URL of %d bytes, the limit is %d", len(raw), MaxURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the URL, which may hold a passkey
		}
		return nil, fmt.Errorf("broken tracker URL: %w", err)
	}
	switch {
	case u.Scheme == "":
		return nil, errors.New("tracker URL without a scheme")
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "udp":
		return nil, fmt.Errorf("tracker URL of scheme %q: only http, https and udp are known", clean([]byte(u.Scheme)))
	case u.Hostname() == "":
		return nil, errors.New("tracker URL without a host")
	case u.Scheme == "udp" && u.Port() == "":
		return nil, fmt.Errorf("tracker URL udp://%s without a port", u.Host)
	case forges(u.RawQuery):
		return nil, errors.New("tracker URL that sets info_hash, peer_id or event itself")
	}
	return u, nil
}

// forges reports whether a query sets what only we may set. A torrent with such a
// URL wants to make us say something else to somebody else.
func forges(query string) bool {
	for q := range strings.SplitSeq(query, "&") {
		switch k, _, _ := strings.Cut(q, "="); k {
		case "info_hash", "peer_id", "event":
			return true
		}
	}
	return false
}

// ScrapeURL turns an announce URL into its scrape URL. BEP 48: "find the last '/'
// in it. If the text immediately following that '/' isn't 'announce' it will be
// taken as a sign that that tracker doesn't support the scrape convention. If it
// does, substitute 'scrape' for 'announce' to find the scrape page." UDP trackers
// need no other URL (BEP 15).
func ScrapeURL(announce string) (string, bool) {
	if strings.HasPrefix(strings.ToLower(announce), "udp:") {
		return announce, true
	}
	i := strings.LastIndexByte(announce, '/')
	tail, ok := strings.CutPrefix(announce[i+1:], "announce")
	if i < 0 || !ok {
		return "", false
	}
	return announce[:i+1] + "scrape" + tail, true
}

// Redact shortens a tracker's URL to what may be shown and logged: scheme, host
// and the last segment of the path. Passkeys live in what is left out.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "(broken URL)"
	}
	path := u.EscapedPath()
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		path = "/…" + path[i:]
	}
	if u.RawQuery != "" {
		path += "?…"
	}
	return u.Scheme + "://" + u.Host + path
}

// unusual reports whether a path is none that a tracker has. Strangers' URLs with
// such paths are kept away from loopback addresses, where other services live.
func unusual(path string) bool {
	return !strings.HasPrefix(path, "/announce") && !strings.HasPrefix(path, "/scrape")
}
