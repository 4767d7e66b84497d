package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestPeers(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{tracker: true})
	udp := "udp://" + strings.TrimSuffix(strings.TrimPrefix(s.tracker, "http://"), "/announce")
	// The seed has announced itself when it was complete; its word may be on its way.
	shoal("download", s.file, "-o", t.TempDir(), "--port", "0").want(t, 0)
	for _, args := range [][]string{
		{s.file}, {s.file, "--tracker", udp}, {s.meta.Magnet().String()}, {s.meta.Hash.String(), "--tracker", udp},
	} {
		o := shoal(append([]string{"peers", "--no-dht"}, args...)...).want(t, 0)
		if strings.Count(o.out, s.peer+"\n") != 1 {
			t.Errorf("%q: no %s among %q", args, s.peer, o.out)
		}
	}
	o := shoal("peers", s.file, "--json", "--tracker", "http://127.0.0.1:1/announce").want(t, 0)
	var answers []map[string]any
	for l := range strings.Lines(o.out) {
		var m map[string]any
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			t.Fatalf("%v: %s", err, l)
		}
		answers = append(answers, m)
	}
	if len(answers) != 2 || answers[0]["seeds"] != 1.0 || answers[1]["error"] == nil || len(o.errors()) != 1 {
		t.Errorf("answers: %v\n%s", answers, o.err)
	}
	none := newSwarm(t, options{idle: true, files: payload{"x": 1000}})
	shoal("peers", none.file, "--no-dht").want(t, 7).complains(t, "--tracker")
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{})
	text := shoal("handshake", s.file, s.peer).want(t, 0).out
	for _, k := range []string{"peer_id", "client", "pieces", "reserved", "rtt_ms"} {
		if !strings.Contains(text, "\n"+k+" ") && !strings.HasPrefix(text, k+" ") {
			t.Errorf("no %s in\n%s", k, text)
		}
	}
	if strings.Contains(text, "map[") || !strings.Contains(text, " ut_metadata=") {
		t.Errorf("extensions in\n%s", text)
	}
	for _, source := range []string{s.file, s.meta.Hash.String(), s.meta.Magnet().String()} {
		var m map[string]any
		o := shoal("handshake", source, s.peer, "--json").want(t, 0)
		if err := json.Unmarshal([]byte(o.out), &m); err != nil || m["infohash"] != s.meta.Hash.String() || len(m["peer_id"].(string)) != 40 {
			t.Errorf("%s: %v %s", source, err, o.out)
		}
		if m["complete"] != true {
			t.Errorf("%s: complete: %v", source, m["complete"])
		}
		if source == s.file && m["pieces"] != float64(s.meta.Lengths.Pieces()) {
			t.Errorf("pieces: %v", m["pieces"])
		}
		if _, told := m["pieces"]; told && source != s.file {
			t.Errorf("%s: pieces: %v, though nobody has said how many there are", source, m["pieces"])
		}
	}
}

func TestPiece(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 200_001}, pieceLen: 64 << 10, tracker: true})
	data := readFile(t, filepath.Join(s.data, "data", "x"))
	out := filepath.Join(t.TempDir(), "p")
	for i, from := range []int{0, 64 << 10, 128 << 10, 192 << 10} {
		o := shoal("piece", s.file, string(rune('0'+i)), "-o", out, "--peer", s.peer, "--no-trackers").want(t, 0)
		if got := readFile(t, out); !bytes.Equal(got, data[from:min(from+64<<10, len(data))]) || o.out != out+"\n" {
			t.Errorf("piece %d: %d bytes, told %q", i, len(got), o.out)
		}
	}
	if o := shoal("piece", s.file, "1", "-o", "-").want(t, 0); o.out != string(data[64<<10:128<<10]) {
		t.Errorf("piece 1 by way of the tracker: %d bytes", len(o.out))
	}
	for _, i := range []string{"4", "99999999999", "x", ""} {
		shoal("piece", s.file, i, "-o", out).want(t, 2).complains(t, "pieces 0 to 3")
	}
	shoal("piece", s.file, "0", "-o", filepath.Join(out, "below"), "--peer", s.peer, "--no-trackers").want(t, 5).complains(t, out)
}
