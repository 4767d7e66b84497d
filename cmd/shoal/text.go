package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/shoal-bt/shoal/metainfo"
)

// textReporter writes for people: progress to stderr, finished files to stdout.
type textReporter struct {
	st   streams
	tty  terminal
	rate rates

	mu     sync.Mutex
	now    []progress        // of transfers that run, in the order of the SOURCEs
	last   map[int]time.Time // of the last line, where nothing is redrawn
	drawn  int               // lines on the screen that will be redrawn
	redraw time.Time
}

// terminal is what stderr can do.
type terminal struct {
	inPlace bool // a line can be written over
	escapes bool // several can, and colours shown
	unicode bool
	width   func() int
}

// newReporter chooses who is told: a program, a terminal, or a log.
func newReporter(st streams, json bool) reporter {
	if json {
		return &jsonReporter{st: st}
	}
	return &textReporter{st: st, tty: terminalOf(st.err), last: map[int]time.Time{}, rate: rates{}}
}

// terminalOf says what can be written to. NO_COLOR and TERM=dumb want no escape
// codes.
func terminalOf(w io.Writer) terminal {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return terminal{}
	}
	return terminal{
		inPlace: true, escapes: os.Getenv("NO_COLOR") == "", unicode: isUTF8(os.Getenv),
		width: func() int {
			w, _, err := term.GetSize(int(f.Fd()))
			if err != nil || w < 20 {
				return 80
			}
			return w
		},
	}
}

// isUTF8 reports whether the locale can show more than ASCII, by the first variable
// that decides.
func isUTF8(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

func (r *textReporter) event(name string, _ metainfo.Hash, extra keys) {
	if name == "listening" {
		r.note("listening on %v", extra["addr"])
	}
}

func (r *textReporter) progress(p progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.rate.note(p.id, p.DownRate, now)
	if !r.tty.inPlace {
		if last, known := r.last[p.id]; !known || now.Sub(last) >= lineEvery {
			r.last[p.id] = now
			if known { // the first is due after a while: what is quick has its summary only
				fmt.Fprintln(r.st.err, plainLine(p))
			}
		}
		return
	}
	i := slices.IndexFunc(r.now, func(q progress) bool { return q.id >= p.id })
	switch {
	case i < 0:
		r.now = append(r.now, p)
	case r.now[i].id == p.id:
		r.now[i] = p
	default:
		r.now = slices.Insert(r.now, i, p)
	}
	if now.Sub(r.redraw) >= redrawEvery {
		r.redraw = now
		r.drawLocked()
	}
}

// drawLocked draws all transfers over what was drawn before.
func (r *textReporter) drawLocked() {
	width := r.tty.width() - 1 // the last column may wrap
	var lines []string
	switch {
	case !r.tty.escapes:
		lines = []string{oneLineOfAll(r.now)}
	case len(r.now) == 1:
		lines = fullView(r.now[0], r.rate[r.now[0].id].values, width, r.tty.unicode)
	default:
		lines = shortViews(r.now, width, r.tty.unicode)
	}
	for i := range lines {
		lines[i] = fit(lines[i], width, !r.tty.escapes)
	}
	var b strings.Builder
	b.WriteString(r.eraseLocked())
	b.WriteString(strings.Join(lines, "\n"))
	r.drawn = len(lines)
	fmt.Fprint(r.st.err, b.String())
}

// eraseLocked is what removes the drawn lines and leaves the cursor where they began.
func (r *textReporter) eraseLocked() (s string) {
	switch {
	case r.drawn == 0:
	case !r.tty.escapes:
		s = "\r"
	case r.drawn == 1:
		s = "\r\x1b[J"
	default:
		s = fmt.Sprintf("\r\x1b[%dA\x1b[J", r.drawn-1)
	}
	r.drawn = 0
	return s
}

// clearLocked makes room for a line that stays.
func (r *textReporter) clearLocked() {
	if r.drawn > 0 && !r.tty.escapes {
		fmt.Fprint(r.st.err, "\r"+fit("", r.tty.width()-1, true))
	}
	if s := r.eraseLocked(); s != "" {
		fmt.Fprint(r.st.err, s)
	}
}

func (r *textReporter) ended(id int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clearLocked()
	r.now = slices.DeleteFunc(r.now, func(p progress) bool { return p.id == id })
}

func (r *textReporter) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clearLocked()
	fmt.Fprintln(r.st.err, oneLine(fmt.Sprintf(format, args...)))
}

func (r *textReporter) file(_ metainfo.Hash, path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clearLocked()
	fmt.Fprintln(r.st.out, path)
}

func (r *textReporter) fault(_ metainfo.Hash, err error) {
	if isSignal(err) {
		return // told once, not for each transfer
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clearLocked()
	complain(r.st, err)
}

// logWriter puts lines of the log above what is redrawn.
type logWriter struct{ r *textReporter }

func (w logWriter) Write(b []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	w.r.clearLocked()
	return w.r.st.err.Write(b)
}

func (r *textReporter) log() io.Writer { return logWriter{r} }

func (r *textReporter) pace() time.Duration {
	if r.tty.inPlace {
		return redrawEvery
	}
	return progressEvery
}

func (r *textReporter) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.drawn > 0 {
		fmt.Fprintln(r.st.err)
		r.drawn = 0
	}
}

// rates remembers some seconds of each transfer's download rate, for a little graph.
type rates map[int]*history

type history struct {
	values []int64
	at     time.Time
}

// graphed is how many seconds the graph shows.
const graphed = 8

func (h rates) note(id int, rate int64, now time.Time) {
	x := h[id]
	if x == nil {
		x = &history{}
		h[id] = x
	}
	if now.Sub(x.at) < time.Second {
		return
	}
	x.at = now
	if x.values = append(x.values, rate); len(x.values) > graphed {
		x.values = x.values[1:]
	}
}
