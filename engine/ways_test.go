package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/transport"
)

// wayNames of a session with two transports, as the dialogues below write them.
var wayNames = map[way]string{
	{0, true}: "tcp+", {0, false}: "tcp-", {1, true}: "utp+", {1, false}: "utp-",
}

// TestWaysAreTriedInTurn: each line is what has come of the tries so far, and which is
// tried next. "x" is no connection, "h" no handshake, "u" somebody else, "ok" a peer;
// "." after them: nothing is left to be tried at once.
func TestWaysAreTriedInTurn(t *testing.T) {
	policies := map[string][]bool{"off": {false}, "allow": {false, true}, "prefer": {true, false}, "require": {true}}
	for _, line := range []string{
		"prefer: tcp+ ok tcp+",
		"prefer: tcp+ h tcp- h utp+ h utp- h . tcp+",
		"prefer: tcp+ x utp+ x . tcp+",
		"prefer: tcp+ h tcp- x utp+ h utp- ok utp- x tcp+",
		"prefer: tcp+ h tcp- ok tcp- h tcp+ h utp+",
		"prefer: tcp+ u . tcp+",
		"prefer: tcp+ x utp+ u . tcp+",
		"allow: tcp- h tcp+ ok tcp+ ok tcp+ x utp- x . tcp+",
		"off: tcp- h utp- h . tcp-",
		"off: tcp- x utp- ok utp-",
		"require: tcp+ h utp+ h . tcp+",
		"require: tcp+ x utp+ ok utp+ h tcp+ x . utp+",
	} {
		policy, dialogue, _ := strings.Cut(line, ": ")
		w := newWays(2, policies[policy]...)
		var m wayMemory
		var said []string
		last := w.next(m)
		said = append(said, wayNames[last])
		for _, word := range strings.Fields(dialogue)[1:] {
			another := true
			switch word {
			case "ok":
				w.onSuccess(&m, last)
			case "x":
				another = w.onFailure(&m, last, nobodyThere)
			case "h":
				another = w.onFailure(&m, last, noHandshake)
			case "u":
				another = w.onFailure(&m, last, noUse)
			default:
				continue
			}
			said = append(said, word)
			if !another {
				said = append(said, ".")
			}
			last = w.next(m)
			said = append(said, wayNames[last])
		}
		if got := fmt.Sprintf("%s: %s", policy, strings.Join(said, " ")); got != line {
			t.Errorf("want %s\n got %s", line, got)
		}
	}
}

// TestWaysAreBounded: however many transports there are, a memory holds all ways.
func TestWaysAreBounded(t *testing.T) {
	w := newWays(100, true, false)
	if len(w) != maxWays {
		t.Fatalf("%d ways", len(w))
	}
	var m wayMemory
	tried := map[way]bool{}
	for range maxWays {
		x := w.next(m)
		if tried[x] {
			t.Fatalf("%v is tried twice", x)
		}
		tried[x] = true
		w.onFailure(&m, x, noHandshake)
	}
	if m.underway() {
		t.Error("all have failed, and yet some are thought to be left")
	}
}

// TestWaysHint: who uses plain or encrypted connections alone is told that this may be why
// there are none, but not where nobody answers at all.
func TestWaysHint(t *testing.T) {
	for _, c := range []struct {
		kinds []bool
		f     wayFailure
		want  string
	}{
		{[]bool{false}, noHandshake, "wants encryption"},
		{[]bool{true}, noHandshake, "knows no encryption"},
		{[]bool{true, false}, noHandshake, ""},
		{[]bool{false}, nobodyThere, ""},
		{[]bool{true}, noUse, ""},
	} {
		got := newWays(2, c.kinds...).hint(c.f)
		if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v, %v: %q, want %q", c.kinds, c.f, got, c.want)
		}
	}
}

// TestHowFarAWayHasLed: who does not answer a transport's dial is not asked once more by
// the same transport; who answered, and did not shake hands, is.
func TestHowFarAWayHasLed(t *testing.T) {
	link := func(f transport.Fault) error {
		return &transport.LinkError{Remote: tpRemote, Fault: f, Err: io.ErrUnexpectedEOF}
	}
	for _, c := range []struct {
		fault peerFault
		err   error
		want  wayFailure
	}{
		{faultDial, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, nobodyThere},
		{faultDial, link(transport.NetworkFault), nobodyThere}, // uTP's SYN was not answered
		{faultDial, link(transport.RemoteFault), noHandshake},  // it ended the encrypted one
		{faultClosed, link(transport.NetworkFault), noHandshake},
		{faultClosed, io.EOF, noHandshake},
		{faultTimeout, nil, noHandshake},
		{faultWrong, nil, noUse},
	} {
		if got := wayFailureOf(&peerError{c.fault, tpRemote, "", c.err}); got != c.want {
			t.Errorf("%d, %v: %d, want %d", c.fault, c.err, got, c.want)
		}
	}
	if got := wayFailureOf(errors.New("stopped")); got != noUse {
		t.Errorf("of no peer's: %d", got)
	}
}
