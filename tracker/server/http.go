package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"sync"

	"github.com/shoal-bt/shoal/bencode"
)

// ServeHTTP implements http.Handler, for those who have a web server of their own.
// The last segment of the path decides, so that URLs with a passkey work.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	switch path.Base(r.URL.Path) {
	case "announce":
		s.http.Add(1)
		s.reply(w, func(b *scratch) error { return s.httpAnnounce(r, b) })
	case "scrape":
		s.http.Add(1)
		s.reply(w, func(b *scratch) error { return s.httpScrape(r, b) })
	case "stats":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Stats()) // the client is gone: nobody to tell
	default:
		http.NotFound(w, r)
	}
}

// scratch is what one HTTP answer is made with.
type scratch struct {
	answer answer
	out    []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// reply sends what do has made, or its error as BEP 3's "failure reason", which is
// an answer like others to HTTP.
func (s *Server) reply(w http.ResponseWriter, do func(*scratch) error) {
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	b.out = b.out[:0]
	if err := do(b); err != nil {
		s.refused.Add(1)
		b.out = appendFailure(b.out[:0], err)
	}
	h := w.Header()
	h["Content-Type"] = plainText
	h["Content-Length"] = []string{strconv.Itoa(len(b.out))}
	_, _ = w.Write(b.out) // the client is gone: nobody to tell
}

var plainText = []string{"text/plain"}

// appendFailure adds BEP 31's "retry in" where coming back soon is of no use.
func appendFailure(b []byte, err error) []byte {
	b = append(b, 'd')
	b = field(b, "failure reason", err.Error())
	switch {
	case errors.Is(err, errNotAllowed):
		b = field(b, "retry in", "never")
	case errors.Is(err, errFull):
		b = bencode.AppendString(b, "retry in")
		b = bencode.AppendInt(b, 30)
	}
	return append(b, 'e')
}

func field(b []byte, k, v string) []byte {
	b = bencode.AppendString(b, k)
	return bencode.AppendString(b, v)
}

func intField(b []byte, k string, n int64) []byte {
	b = bencode.AppendString(b, k)
	return bencode.AppendInt(b, n)
}

// remote is where a request came from.
func remote(r *http.Request) (netip.Addr, error) {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr().Unmap().WithZone(""), err
}

func (s *Server) httpAnnounce(r *http.Request, b *scratch) error {
	from, err := remote(r)
	if err != nil {
		return err
	}
	req, err := parseAnnounce(r.URL.RawQuery, from, s.cfg.TrustAddresses)
	if err != nil {
		return err
	}
	if err := s.store.announce(req, &b.answer, s.now()); err != nil {
		return err
	}
	b.out = s.appendAnnounce(b.out, req, &b.answer)
	return nil
}

// appendAnnounce writes the answer; a dictionary's keys are sorted.
func (s *Server) appendAnnounce(b []byte, r *announce, a *answer) []byte {
	b = append(b, 'd')
	b = intField(b, "complete", int64(a.seeds))
	b = intField(b, "downloaded", int64(a.finished))
	b = bencode.AppendString(b, "external ip") // BEP 24
	b = bencode.AppendString(b, r.yourIP)
	b = intField(b, "incomplete", int64(a.leechers))
	b = intField(b, "interval", interval(s.cfg.Interval))
	b = intField(b, "min interval", interval(s.cfg.MinInterval))
	b = bencode.AppendString(b, "peers")
	if r.full {
		b = appendFull(b, a.full, r.noID)
	} else {
		b = bencode.AppendString(b, a.compact[v4])
		b = bencode.AppendString(b, "peers6") // BEP 7
		b = bencode.AppendString(b, a.compact[v6])
	}
	return append(b, 'e')
}

// appendFull writes BEP 3's list of dictionaries.
func appendFull(b []byte, peers []fullPeer, noID bool) []byte {
	b = append(b, 'l')
	for _, p := range peers {
		b = append(b, 'd')
		b = field(b, "ip", p.addr.Addr().String())
		if !noID {
			b = field(b, "peer id", string(p.id[:]))
		}
		b = intField(b, "port", int64(p.addr.Port()))
		b = append(b, 'e')
	}
	return append(b, 'e')
}

func (s *Server) httpScrape(r *http.Request, b *scratch) error {
	hashes, err := parseScrape(r.URL.RawQuery)
	if err != nil {
		return err
	}
	slices.SortFunc(hashes, func(x, y [20]byte) int { return bytes.Compare(x[:], y[:]) })
	hashes = slices.Compact(hashes)
	b.out = append(b.out, "d5:filesd"...)
	for i := range hashes {
		c, known := s.store.scrape(&hashes[i])
		if !known {
			continue
		}
		b.out = bencode.AppendString(b.out, hashes[i][:])
		b.out = append(b.out, 'd')
		b.out = intField(b.out, "complete", int64(c.seeds))
		b.out = intField(b.out, "downloaded", int64(c.finished))
		b.out = intField(b.out, "incomplete", int64(c.leechers))
		b.out = append(b.out, 'e')
	}
	b.out = append(b.out, "e5:flagsd"...)
	b.out = intField(b.out, "min_request_interval", interval(s.cfg.MinInterval))
	b.out = append(b.out, "ee"...)
	return nil
}
