package tracker

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Failure is a tracker's refusal, in its own words (BEP 3: "failure reason"). The
// tracker is alive and has understood us.
type Failure struct{ Reason string }

// Error quotes the reason.
func (f *Failure) Error() string { return "tracker refused: " + f.Reason }

// HostError says which tracker a failure belongs to. It shows the host and never
// the whole URL, whose path may hold a passkey.
type HostError struct {
	Host string
	Err  error
}

// Error begins with the host.
func (e *HostError) Error() string { return e.Host + ": " + e.Err.Error() }

// Unwrap returns what happened at the host.
func (e *HostError) Unwrap() error { return e.Err }

// Errors of clients.
var (
	// ErrNoAddress says that the tracker has no address of the family asked for:
	// nobody's fault.
	ErrNoAddress = errors.New("no address of this family")
	// ErrClosed answers requests to a client that has been closed.
	ErrClosed = errors.New("tracker client closed")
	// ErrNoScrape says that the tracker's URL has no scrape convention (BEP 48).
	ErrNoScrape = errors.New("this tracker cannot be scraped")
)

// clean makes a stranger's words fit to be shown on one line: valid UTF-8, at most
// MaxText bytes, no control or formatting characters.
func clean(b []byte) string {
	s := strings.ToValidUTF8(string(b[:min(len(b), 2*MaxText)]), "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) > MaxText {
		s = s[:MaxText]
		for len(s) > 0 && !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
		s += "…"
	}
	return s
}

// garbage describes a body that is no tracker's answer.
func garbage(status int, body []byte, err error) error {
	text := strings.ToLower(clean(body))
	switch {
	case len(body) == 0:
		return fmt.Errorf("answered with an empty body, status %d", status)
	case strings.HasPrefix(text, "<") || strings.Contains(text, "<html"):
		return fmt.Errorf("answered with an HTML page, status %d", status)
	case status/100 != 2:
		return fmt.Errorf("answered with status %d: %s", status, short(clean(body)))
	}
	return fmt.Errorf("answered with something that is not bencoded: %w", err)
}

func short(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
