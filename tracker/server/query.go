package server

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Reasons to refuse a query.
var (
	errNoHash   = errors.New("info_hash is missing or not 20 bytes")
	errNoPeerID = errors.New("peer_id is missing or not 20 bytes")
	errNoPort   = errors.New("port is missing or not 1..65535")
	errEscape   = errors.New("broken % escape in the query")
)

// eachParam walks the parameters of a query, unescaped, until f fails.
func eachParam(query string, f func(key, value string) error) error {
	for p := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(p, "=")
		v, err := unescape(v)
		if err != nil {
			return err
		}
		if err := f(k, v); err != nil {
			return err
		}
	}
	return nil
}

// unescape undoes %XX, and + for a space as HTML forms have it: scripts that ask a
// tracker escape like that. Clients escape + itself.
func unescape(s string) (string, error) {
	if !strings.ContainsAny(s, "%+") {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '%':
			if i+2 >= len(s) {
				return "", errEscape
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi|lo > 15 {
				return "", errEscape
			}
			b = append(b, hi<<4|lo)
			i += 2
		case '+':
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b), nil
}

// unhex returns 0..15, or 255 for what is no digit.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// parseAnnounce reads an announce's query. from is where it came from; trust says
// that addresses in it are believed.
func parseAnnounce(query string, from netip.Addr, trust bool) (*announce, error) {
	r := &announce{want: -1, both: true}
	var hash, id string
	var port int64
	var told []netip.Addr
	err := eachParam(query, func(k, v string) error {
		var err error
		switch k {
		case "info_hash":
			hash = v
		case "peer_id":
			id = v
		case "port":
			port, err = number(k, v)
		case "left":
			r.left, err = number(k, v)
		case "numwant":
			var n int64
			if n, err = number(k, v); err == nil {
				r.want = clampWant(n, maxWant)
			}
		case "key":
			r.keyed = v
		case "event":
			r.event = eventOf(v)
		case "compact":
			r.full = v == "0"
		case "no_peer_id":
			r.noID = v == "1"
		case "ip", "ipv4", "ipv6":
			told = append(told, addrOf(v))
		}
		return err
	})
	if r.want < 0 {
		r.want = defaultWant
	}
	switch {
	case err != nil:
		return nil, err
	case len(hash) != 20:
		return nil, errNoHash
	case len(id) != 20:
		return nil, errNoPeerID
	case port < 0 || port > 65535 || port == 0 && r.event != stopped:
		return nil, errNoPort
	}
	r.hash, r.peer = [20]byte([]byte(hash)), [20]byte([]byte(id))
	r.place(from, uint16(port), told, trust)
	return r, nil
}

// place decides where the peer is. BEP 3's ip is "where the peer is", BEP 7's ipv4
// and ipv6 are further addresses.
func (r *announce) place(from netip.Addr, port uint16, told []netip.Addr, trust bool) {
	r.addr = netip.AddrPortFrom(from, port)
	r.yourIP = from.AsSlice()
	if !trust {
		return
	}
	for _, a := range told {
		switch {
		case !a.IsValid():
		case familyOf(a) == familyOf(from):
			r.addr = netip.AddrPortFrom(a, port)
		default:
			r.others = []netip.AddrPort{netip.AddrPortFrom(a, port)}
		}
	}
}

// addrOf reads an address, with a port (BEP 7 allows an endpoint) or without.
func addrOf(s string) netip.Addr {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone("")
	}
	ap, _ := netip.ParseAddrPort(s)
	return ap.Addr().Unmap().WithZone("")
}

func number(k, v string) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not a number", k)
	}
	return n, nil
}

func eventOf(s string) event {
	switch s {
	case "started":
		return started
	case "completed":
		return completed
	case "stopped":
		return stopped
	}
	return none // also BEP 21's "paused"
}

// parseScrape reads a scrape's query. BEP 48: "info_hash" may be there many times.
func parseScrape(query string) (hashes [][20]byte, err error) {
	err = eachParam(query, func(k, v string) error {
		if k != "info_hash" {
			return nil
		}
		if len(v) != 20 {
			return errNoHash
		}
		if len(hashes) == maxScrape {
			return fmt.Errorf("a scrape is of at most %d torrents", maxScrape)
		}
		hashes = append(hashes, [20]byte([]byte(v)))
		return nil
	})
	if err == nil && len(hashes) == 0 {
		// A full scrape would hand out the list of all torrents.
		err = errNoHash
	}
	return hashes, err
}
