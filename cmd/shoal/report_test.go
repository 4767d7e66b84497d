package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/engine"
)

// stats is a torrent of ten pieces of which six are there.
func stats() engine.TorrentStats {
	return engine.TorrentStats{
		Name: "film.mkv", State: engine.Downloading, Wanted: 1000 << 20, Done: 674 << 20, Pieces: 10, Have: 6, Field: []byte{0xfc, 0},
		DownRate: 17 << 20, UpRate: 1 << 20, Peers: 31, Seeds: 14, Availability: 11.2, DownEver: 100, UpEver: 7,
	}
}

func TestPlainLine(t *testing.T) {
	p := progress{TorrentStats: stats(), phase: "downloading", eta: 72 * time.Second}
	if got := plainLine(p); got != "film.mkv, 67.4% 674.0 MiB of 1000.0 MiB, down 17.0 MiB/s, up 1.0 MiB/s, 31 peers, ETA 1m12s" {
		t.Error(got)
	}
	p.eta = -1
	if got := plainLine(p); !strings.HasSuffix(got, "31 peers, downloading") {
		t.Error(got)
	}
	p.Name, p.Err = "a\x1b[31m\nb", "disk \x07full"
	if got := plainLine(p); strings.ContainsAny(got, "\x1b\n\x07") {
		t.Errorf("%q", got)
	}
	p = progress{TorrentStats: engine.TorrentStats{Name: "x", State: engine.Checking, Checked: 3, CheckTotal: 10}, phase: "checking"}
	if got := plainLine(p); got != "x, checking 3 of 10 pieces" {
		t.Error(got)
	}
}

// What lacks a byte is not shown as 100.0 %.
func TestPercentIsRoundedDown(t *testing.T) {
	for _, c := range []struct {
		done, wanted int64
		want         string
	}{{0, 0, "100.0%"}, {0, 10, "0.0%"}, {999_999, 1_000_000, "99.9%"}, {10, 10, "100.0%"}, {1, 3, "33.3%"}} {
		p := progress{TorrentStats: engine.TorrentStats{State: engine.Downloading, Done: c.done, Wanted: c.wanted}}
		if got := p.amount(); !strings.HasPrefix(got, c.want) {
			t.Errorf("%d of %d: %s", c.done, c.wanted, got)
		}
	}
}

func TestFullView(t *testing.T) {
	p := progress{TorrentStats: stats(), phase: "downloading", eta: 72 * time.Second, said: "trackers 2/3 ok"}
	p.HashFails, p.Banned = 1, 2
	lines := fullView(p, []int64{1, 2, 4, 8}, 100, true)
	want := []string{
		"film.mkv  67.4%  674.0 MiB of 1000.0 MiB  ETA 1m12s",
		" down 17.0 MiB/s ▁▂▄█  up 1.0 MiB/s  31 peers (14 seeds)  availability 11.2  ratio 0.07",
		" [██████    ]  1 piece failed, 2 peers banned  trackers 2/3 ok",
	}
	for i := range want {
		if lines[i] != want[i] {
			t.Errorf("line %d:\n%s\n%s", i, lines[i], want[i])
		}
	}
	if got := fullView(p, nil, 100, false); strings.ContainsAny(strings.Join(got, ""), "█▁") || !strings.Contains(got[2], "[######    ]") {
		t.Errorf("%q", got)
	}
	p.State, p.phase, p.Checked, p.CheckTotal = engine.Checking, "checking", 5, 10
	if got := fullView(p, nil, 24, false); len(got) != 2 || got[1] != " [##########          ]" {
		t.Errorf("%q", got)
	}
}

func TestPieceBar(t *testing.T) {
	for _, c := range []struct {
		field         []byte
		pieces, cells int
		want          string
	}{
		{[]byte{0xff}, 8, 8, "[████████]"},
		{[]byte{0xf0}, 8, 4, "[██  ]"},
		{[]byte{0xfc}, 8, 2, "[█▒]"},
		{[]byte{0x80}, 1, 40, "[█]"},
		{nil, 0, 10, "[]"},
		{nil, 8, 10, "[]"}, // no snapshot yet
		{[]byte{0xff, 0xff}, 16, 3, "[███]"},
	} {
		if got := pieceBar(c.field, c.pieces, c.cells, true); got != c.want {
			t.Errorf("%x %d %d: %s, want %s", c.field, c.pieces, c.cells, got, c.want)
		}
	}
	full := make([]byte, 1000)
	full[999] = 0x01
	if got := pieceBar(full, 8000, 7, true); got != "[       ]" {
		t.Errorf("a cell is shaded by what is there, rounded down: %s", got)
	}
}

func TestColumns(t *testing.T) {
	for s, n := range map[string]int{"": 0, "abc": 3, "ünï": 3, "名前": 4, "e\u0301": 1, "🎬": 2, "한글": 4} {
		if got := columns(s); got != n {
			t.Errorf("%q: %d columns, want %d", s, got, n)
		}
	}
	for _, c := range []struct {
		s    string
		n    int
		fill bool
		want string
	}{{"abcdef", 4, false, "abcd"}, {"名前名前", 5, false, "名前"}, {"ab", 4, true, "ab  "}, {"ab", 4, false, "ab"}} {
		if got := fit(c.s, c.n, c.fill); got != c.want {
			t.Errorf("%q in %d: %q", c.s, c.n, got)
		}
	}
	if got := short("a very long name", 8); got != "a very …" {
		t.Errorf("%q", got)
	}
}

func TestPrintable(t *testing.T) {
	for _, r := range []rune{0, 7, 0x1b, 0x7f, 0x9b, 0x200e, 0x202e, 0x2066, '\n'} {
		if got := printable("a" + string(r) + "b"); got != "a�b" {
			t.Errorf("%U: %q", r, got)
		}
	}
	if got := oneLine(" a\n\tb  c\r\n"); got != "a b c" {
		t.Errorf("%q", got)
	}
}

// Elsewhere than on a terminal there is a line every 10 s for each torrent, and none
// for what is quick.
func TestLinesOfALog(t *testing.T) {
	defer func(d time.Duration) { lineEvery = d }(lineEvery)
	var out, err safeBuffer
	r := newReporter(streams{nil, &out, &err}, false)
	p := progress{TorrentStats: stats(), phase: "downloading", eta: -1}
	lineEvery = time.Hour
	for range 5 {
		r.progress(p)
	}
	if err.String() != "" {
		t.Errorf("at once: %q", err.String())
	}
	lineEvery = 0
	r.progress(p)
	q := p
	q.id, q.Name = 1, "other"
	r.progress(q)
	r.progress(q)
	if got := err.String(); strings.Count(got, "film.mkv, 67.4%") != 1 || strings.Count(got, "other, 67.4%") != 1 || strings.Count(got, "\n") != 2 {
		t.Errorf("%q", got)
	}
	r.file(p.InfoHash, "/a/b")
	if out.String() != "/a/b\n" {
		t.Errorf("stdout: %q", out.String())
	}
	r.fault(p.InfoHash, &exitError{130, &signalError{}})
	r.close()
	if strings.Contains(err.String(), "shoal:") {
		t.Error("a signal is told for each torrent")
	}
}

// A line that stays is put above what is redrawn, and nothing is left of that.
func TestScreen(t *testing.T) {
	var out, err safeBuffer
	r := &textReporter{st: streams{nil, &out, &err}, last: map[int]time.Time{}, rate: rates{},
		tty: terminal{inPlace: true, escapes: true, unicode: true, width: func() int { return 60 }}}
	p := progress{TorrentStats: stats(), phase: "downloading", eta: -1}
	q := p
	q.id, q.Name = 2, "second"
	draw := func(p progress) { r.redraw = time.Time{}; r.progress(p) }
	draw(q)
	draw(p) // of an earlier SOURCE: it stands above
	if i, j := strings.LastIndex(err.String(), "film.mkv"), strings.LastIndex(err.String(), "second"); i < 0 || j < i {
		t.Errorf("order: %q", err.String())
	}
	before := len(err.String())
	r.note("a %s", "note")
	if got := err.String()[before:]; got != "\r\x1b[2A\x1b[Ja note\n" {
		t.Errorf("note: %q", got)
	}
	draw(p)
	r.ended(0)
	before = len(err.String())
	draw(q)
	if got := err.String()[before:]; strings.Contains(got, "film.mkv") || strings.Count(got, "\n") != 2 {
		t.Errorf("after the end of one: %q", got)
	}
	fmt.Fprint(r.log(), "level=ERROR\n")
	draw(q)
	r.close()
	if got := err.String(); !strings.Contains(got, "\x1b[Jlevel=ERROR\n") || !strings.HasSuffix(got, "\n") {
		t.Errorf("%q", got)
	}
}

func TestRatesAreRememberedBySecond(t *testing.T) {
	h := rates{}
	now := time.Unix(1000, 0)
	for i := range 100 {
		h.note(0, int64(i), now.Add(time.Duration(i)*200*time.Millisecond))
	}
	if v := h[0].values; len(v) != graphed || v[graphed-1] != 95 || v[0] != 60 {
		t.Errorf("%v", v)
	}
}

func TestLocales(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "en_US.UTF-8"}, true},
		{map[string]string{"LANG": "C"}, false},
		{map[string]string{"LANG": "de_DE.utf8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.UTF-8"}, true},
	} {
		if got := isUTF8(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}
