package lsd

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The multicast groups of BEP 14.
var (
	Group4 = netip.MustParseAddrPort("239.192.152.143:6771")
	Group6 = netip.MustParseAddrPort("[ff15::efc0:988f]:6771")
)

const (
	// MaxDatagram bounds what is sent. BEP 14: "When sending multiple infohashes the
	// packet length should not exceed 1400 bytes to avoid MTU/fragmentation problems."
	MaxDatagram = 1400
	// maxParse bounds what is read: more does not fit into one frame of Ethernet.
	maxParse = 1500
	// maxCookie bytes of a cookie are kept; ours has 8.
	maxCookie = 64
	// maxHeaders lines are looked at: 28 hashes fill a datagram.
	maxHeaders = 64
	// PerDatagram torrents are named in one of ours: 24 times 52 bytes, and the rest.
	PerDatagram = 24
)

// Announce is one datagram of BEP 14.
type Announce struct {
	Port   uint16     // where the sender listens for peers
	Hashes [][20]byte // info-hashes, none of them zero
	Cookie string     // the sender knows its own by it; may be empty
}

// Errors of Parse.
var (
	errNotSearch = errors.New("lsd: not a BT-SEARCH request")
	errTooLong   = errors.New("lsd: datagram too long")
	errNoPort    = errors.New("lsd: no port")
	errNoHash    = errors.New("lsd: no info-hash")
)

const method = "BT-SEARCH * HTTP/1."

// Parse reads a datagram. What it does not know it ignores, as HTTP does; BEP 14: "any
// additional headers that not understood by a client should be ignored".
func Parse(b []byte) (Announce, error) {
	var a Announce
	if len(b) > maxParse {
		return a, errTooLong
	}
	line, rest := cutLine(b)
	if len(line) < len(method) || !strings.EqualFold(string(line[:len(method)]), method) {
		return a, errNotSearch
	}
	for n := 0; len(rest) > 0 && n < maxHeaders; n++ {
		if line, rest = cutLine(rest); len(line) == 0 {
			break
		}
		if err := a.header(line); err != nil {
			return Announce{}, err
		}
	}
	switch {
	case a.Port == 0:
		return Announce{}, errNoPort
	case len(a.Hashes) == 0:
		return Announce{}, errNoHash
	}
	return a, nil
}

// cutLine cuts off a line, which ends with CR LF or, of the careless, with LF.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'}), rest
}

// header takes one header line.
func (a *Announce) header(line []byte) error {
	key, value, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return nil
	}
	text := string(bytes.TrimSpace(value))
	switch strings.ToLower(string(bytes.TrimSpace(key))) {
	case "port":
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("lsd: port %.10q", text)
		}
		a.Port = uint16(n)
	case "infohash":
		var h [20]byte
		if n, err := hex.Decode(h[:], value40(text)); err == nil && n == len(h) && h != [20]byte{} {
			a.Hashes = append(a.Hashes, h)
		}
	case "cookie":
		a.Cookie = text[:min(len(text), maxCookie)]
	}
	return nil
}

// value40 returns the 40 hex digits of an info-hash, nothing of anything else.
func value40(text string) []byte {
	if len(text) != 40 {
		return nil
	}
	return []byte(text)
}

// Append writes the datagram for one of the groups. BEP 14: "A LSD announce is
// formatted as follows", with two empty lines at the end.
func (a *Announce) Append(dst []byte, group netip.AddrPort) []byte {
	dst = append(dst, "BT-SEARCH * HTTP/1.1\r\nHost: "...)
	dst = group.AppendTo(dst)
	dst = append(dst, "\r\nPort: "...)
	dst = strconv.AppendUint(dst, uint64(a.Port), 10)
	for _, h := range a.Hashes {
		dst = append(dst, "\r\nInfohash: "...)
		dst = hex.AppendEncode(dst, h[:])
	}
	if a.Cookie != "" {
		dst = append(append(dst, "\r\ncookie: "...), a.Cookie...)
	}
	return append(dst, "\r\n\r\n\r\n"...)
}
