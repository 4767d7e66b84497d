package lsd

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	hexA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// hash is twenty times the same byte.
func hash(b byte) (h [20]byte) {
	for i := range h {
		h[i] = b
	}
	return h
}

func TestDatagramIsTheSpecs(t *testing.T) {
	a := Announce{Port: 6881, Hashes: [][20]byte{hash(0xaa), hash(0xbb)}, Cookie: "0badcafe"}
	want := "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\n" +
		"Infohash: " + hexA + "\r\nInfohash: " + hexB + "\r\ncookie: 0badcafe\r\n\r\n\r\n"
	if got := string(a.Append(nil, Group4)); got != want {
		t.Errorf("wrote\n%q\nwant\n%q", got, want)
	}
	if got := string(a.Append(nil, Group6)); !strings.Contains(got, "Host: [ff15::efc0:988f]:6771\r\n") {
		t.Errorf("wrote %q", got)
	}
}

func TestAFullDatagramFits(t *testing.T) {
	a := Announce{Port: 65535, Hashes: make([][20]byte, PerDatagram), Cookie: "ffffffff"}
	if n := len(a.Append(nil, Group4)); n > MaxDatagram || n+2*52 < MaxDatagram {
		t.Errorf("%d bytes", n)
	}
}

func TestWhatOthersSend(t *testing.T) {
	const head = "BT-SEARCH * HTTP/1.1\r\n"
	for _, c := range []struct {
		name, in, want string
		err            error
	}{
		{"libtorrent", head + "Host: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: " + hexA + "\r\ncookie: 1f\r\n\r\n\r\n", "6881 1f a", nil},
		{"transmission", head + "Host: 239.192.152.143:6771\r\nPort: 51413\r\nInfohash: " + strings.ToUpper(hexA) + "\r\n\r\n\r\n", "51413  a", nil},
		{"several", head + "Port: 1\r\nInfohash: " + hexA + "\r\nInfohash: " + hexB + "\r\n\r\n", "1  ab", nil},
		{"no end", head + "Port: 1\r\nInfohash: " + hexA, "1  a", nil},
		{"bare newlines", "bt-search * http/1.0\nport:1\nINFOHASH:" + hexA + "\nX: y\nnonsense\n\n", "1  a", nil},
		{"one hash is none", head + "Port: 1\r\nInfohash: 12\r\nInfohash: " + hexB + "\r\n\r\n", "1  b", nil},
		{"of another request", "M-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " + hexA + "\r\n\r\n", "", errNotSearch},
		{"empty", "", "", errNotSearch},
		{"no port", head + "Infohash: " + hexA + "\r\n\r\n", "", errNoPort},
		{"port 0", head + "Port: 0\r\nInfohash: " + hexA + "\r\n\r\n", "", nil},
		{"port 65536", head + "Port: 65536\r\nInfohash: " + hexA + "\r\n\r\n", "", nil},
		{"port -1", head + "Port: -1\r\nInfohash: " + hexA + "\r\n\r\n", "", nil},
		{"no hash", head + "Port: 1\r\n\r\n", "", errNoHash},
		{"zero hash", head + "Port: 1\r\nInfohash: " + strings.Repeat("0", 40) + "\r\n\r\n", "", errNoHash},
		{"not hex", head + "Port: 1\r\nInfohash: " + strings.Repeat("g", 40) + "\r\n\r\n", "", errNoHash},
		{"of v2", head + "Port: 1\r\nInfohash: " + strings.Repeat("a", 64) + "\r\n\r\n", "", errNoHash},
		{"too long", head + strings.Repeat("X: y\r\n", 300), "", errTooLong},
		{"too many headers", head + strings.Repeat("X:\n", 64) + "Port: 1\r\nInfohash: " + hexA + "\r\n\r\n", "", errNoPort},
	} {
		got, err := Parse([]byte(c.in))
		switch {
		case c.err != nil && !errors.Is(err, c.err):
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		case c.want == "" && err == nil:
			t.Errorf("%s: read as %+v", c.name, got)
		case c.want != "" && (err != nil || describe(got) != c.want):
			t.Errorf("%s: %s (%v), want %s", c.name, describe(got), err, c.want)
		}
	}
}

func describe(a Announce) string {
	s := fmt.Sprintf("%d %s ", a.Port, a.Cookie)
	for _, h := range a.Hashes {
		s += fmt.Sprintf("%x", h[:1])[:1]
	}
	return s
}

func FuzzParse(f *testing.F) {
	a := Announce{Port: 6881, Hashes: [][20]byte{hash(1), hash(2)}, Cookie: "12345678"}
	f.Add(a.Append(nil, Group4))
	f.Add(a.Append(nil, Group6))
	f.Add([]byte("BT-SEARCH * HTTP/1.1\nPort:1\nInfohash:" + hexA))
	f.Add([]byte("BT-SEARCH * HTTP/1."))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse(b)
		if err != nil {
			if got.Port != 0 || got.Hashes != nil {
				t.Fatalf("with %v: %+v", err, got)
			}
			return
		}
		if got.Port == 0 || len(got.Hashes) == 0 || len(got.Hashes) > maxHeaders || len(got.Cookie) > maxCookie ||
			slices.Contains(got.Hashes, [20]byte{}) || len(b) > maxParse {
			t.Fatalf("%+v of %d bytes", got, len(b))
		}
		if strings.ContainsAny(got.Cookie, "\r\n") {
			return // a bare CR within a line: no header of ours has one
		}
		text := got.Append(nil, Group4)
		if len(text) > maxParse {
			return
		}
		again, err := Parse(text)
		if err != nil || !slices.Equal(again.Hashes, got.Hashes) || again.Port != got.Port || again.Cookie != got.Cookie {
			t.Fatalf("written as %q it is %+v (%v), was %+v", text, again, err, got)
		}
		if !bytes.HasSuffix(text, []byte("\r\n\r\n\r\n")) {
			t.Fatalf("%q", text)
		}
	})
}
