package tracker

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/bencode"
)

// bencodeOptions are tolerant: trackers are written in every language.
var bencodeOptions = bencode.Options{Limits: bencode.Limits{Size: MaxBody, Depth: maxDepth, Tokens: maxTokens}}

// unknown is a Response that says nothing.
func unknown() Response { return Response{Seeds: -1, Leechers: -1, Finished: -1} }

// parseBody reads the dictionary that every answer is. What follows it is ignored:
// some trackers append a line end.
func parseBody(status int, body []byte) (bencode.Value, error) {
	v, _, err := bencode.ParsePrefix(body, bencodeOptions)
	if err != nil {
		return v, garbage(status, body, err)
	}
	if v.Kind() != bencode.Dict {
		return v, garbage(status, body, errors.New("not a dictionary"))
	}
	return v, nil
}

// ParseAnnounce reads the body of an HTTP announce. A *Failure is the tracker's
// refusal, other errors say what came instead of an answer. The Response is
// meaningful in both cases: RetryIn goes with failures.
func ParseAnnounce(status int, body []byte) (Response, error) {
	r := unknown()
	v, err := parseBody(status, body)
	if err != nil {
		return r, err
	}
	var peers peerList
	for k, v := range v.Dict() {
		r.field(string(k), v)
		switch string(k) {
		case "peers":
			peers.value(v)
		case "peers6":
			if b, ok := v.Bytes(); ok {
				peers.compact6(b)
			}
		case "failure reason":
			if err == nil {
				err = &Failure{clean([]byte(v.Text()))}
			}
		}
	}
	if err != nil {
		return Response{Seeds: -1, Leechers: -1, Finished: -1, RetryIn: r.RetryIn, Warning: r.Warning}, err
	}
	if status/100 != 2 {
		return unknown(), garbage(status, body, nil)
	}
	r.Peers = peers
	return r, nil
}

// field reads one key of an announce's answer, except for peers.
func (r *Response) field(k string, v bencode.Value) {
	switch k {
	case "interval":
		r.Interval = span(v, time.Second)
	case "min interval":
		r.MinInterval = span(v, time.Second)
	case "tracker id", "trackerid":
		if id := v.Text(); len(id) <= MaxTrackerID {
			r.TrackerID = id
		}
	case "warning message":
		r.Warning = clean([]byte(v.Text()))
	case "complete":
		r.Seeds = count(v)
	case "incomplete":
		r.Leechers = count(v)
	case "downloaded":
		r.Finished = count(v)
	case "external ip":
		// BEP 24: "a 4 byte (IPv4) or 16 byte (IPv6) binary string".
		if b, ok := v.Bytes(); ok {
			a, _ := netip.AddrFromSlice(b)
			r.ExternalIP = a.Unmap()
		}
	case "retry in":
		r.RetryIn = retryIn(v)
	}
}

// retryIn reads BEP 31: "either a positive integer specifying the retry interval in
// minutes or the string 'never'".
func retryIn(v bencode.Value) time.Duration {
	if strings.EqualFold(v.Text(), "never") {
		return -1
	}
	return span(v, time.Minute)
}

// span reads a duration, 0..MaxInterval. Some trackers write numbers as strings.
func span(v bencode.Value, unit time.Duration) time.Duration {
	n, ok := number(v)
	if !ok || n <= 0 {
		return 0
	}
	return time.Duration(min(n, int64(MaxInterval/unit))) * unit
}

// count reads a number of peers, -1 if it is not there.
func count(v bencode.Value) int32 {
	n, ok := number(v)
	if !ok || n < 0 {
		return -1
	}
	return int32(min(n, 1<<31-1))
}

func number(v bencode.Value) (int64, bool) {
	switch v.Kind() {
	case bencode.Int:
		if n, ok := v.Int(); ok {
			return n, true
		}
		_, big := v.Uint()
		return 1<<63 - 1, big
	case bencode.String:
		n, err := strconv.ParseInt(strings.TrimSpace(v.Text()), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// Counts is what a tracker says of one torrent when scraped; -1: not said.
type Counts struct{ Seeds, Leechers, Finished int32 }

// ParseScrape reads the body of an HTTP scrape (BEP 48): the counts of the torrents
// asked for, in their order, all -1 for those that the tracker does not know.
func ParseScrape(status int, body []byte, ids ...[20]byte) ([]Counts, error) {
	v, err := parseBody(status, body)
	if err != nil {
		return nil, err
	}
	if f := v.Get("failure reason"); f.Kind() == bencode.String {
		return nil, &Failure{clean([]byte(f.Text()))}
	}
	files := v.Get("files")
	if files.Kind() != bencode.Dict {
		return nil, garbage(status, body, errors.New("no files in the answer to a scrape"))
	}
	out := make([]Counts, len(ids))
	for i := range out {
		out[i] = Counts{-1, -1, -1}
	}
	for k, f := range files.Dict() {
		for i := range ids {
			if string(k) == string(ids[i][:]) {
				out[i] = Counts{count(f.Get("complete")), count(f.Get("incomplete")), count(f.Get("downloaded"))}
			}
		}
	}
	return out, nil
}
