package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

// process is the program in a process of its own.
type process struct {
	cmd  *exec.Cmd
	out  safeBuffer // what it wrote to stdout, complete after its end
	errs safeBuffer
	read chan struct{} // closed when stdout has ended

	mu   sync.Mutex
	list []event
	news chan struct{} // closed and made anew at each event
}

// command is the program with its arguments, not started yet.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, hermetic(args)...)
	c.Env = append(os.Environ(), asShoal+"=1")
	return c
}

// start starts the program and reads its events.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	return startCommand(t, command(t, args...))
}

func startCommand(t testing.TB, c *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: c, read: make(chan struct{}), news: make(chan struct{})}
	c.Stderr = &p.errs
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go p.readEvents(out)
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.kill(t)
		}
	})
	return p
}

func (p *process) readEvents(out io.Reader) {
	defer close(p.read)
	in := bufio.NewScanner(io.TeeReader(out, &p.out))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var e event
		_ = json.Unmarshal(in.Bytes(), &e) // what is no event is in out
		p.mu.Lock()
		if e != nil {
			p.list = append(p.list, e)
		}
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
}

// await waits for an event and returns it.
func (p *process) await(t testing.TB, is func(event) bool) event {
	t.Helper()
	limit := time.After(30 * time.Second)
	seen := 0
	for {
		p.mu.Lock()
		list, news := p.list, p.news
		p.mu.Unlock()
		for ; seen < len(list); seen++ {
			if is(list[seen]) {
				return list[seen]
			}
		}
		select {
		case <-news:
		case <-p.read:
			t.Fatalf("it ended before what was awaited\nout: %s\nerr: %s", clip(p.out.String()), p.errs.String())
		case <-limit:
			t.Fatalf("nothing of what was awaited\nout: %s\nerr: %s", clip(p.out.String()), p.errs.String())
		}
	}
}

// end waits for the end of the program.
func (p *process) end(t testing.TB) outcome {
	t.Helper()
	over := time.AfterFunc(60*time.Second, func() { p.cmd.Process.Kill() })
	defer over.Stop()
	<-p.read
	err := p.cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{p.cmd.ProcessState.ExitCode(), p.out.String(), p.errs.String()}
}

// kill ends it as kill -9 does.
func (p *process) kill(t testing.TB) outcome {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	return p.end(t)
}

func TestTheProgramIsAProcess(t *testing.T) {
	t.Parallel()
	o := start(t, "version").end(t).want(t, 0)
	if !strings.HasPrefix(o.out, "shoal ") {
		t.Errorf("version: %q", o.out)
	}
	start(t, "frobnicate").end(t).want(t, 2)
}

// slow is a swarm whose download takes long enough to be disturbed.
func slow(t *testing.T, o options) *swarm {
	t.Helper()
	o.limits = engine.Limits{Up: 512 << 10}
	return newSwarm(t, o)
}

func gotSomething(e event) bool { return e.name() == "progress" && e.num("bytes_done") > 0 }

// The first signal ends in good order, with all that came.
func TestSignals(t *testing.T) {
	t.Parallel()
	for sig, code := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			// A swarm of its own: the fast seed below would end another one's download.
			s := slow(t, options{pieceLen: 16 << 10, tracker: true})
			out := t.TempDir()
			p := start(t, "download", s.file, "-o", out, "--port", "0", "--json", "--peer", s.peer)
			p.await(t, gotSomething)
			began := time.Now()
			if err := p.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			o := p.end(t).want(t, code).complains(t, "SIG")
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			evs := events(t, o.out)
			sum := last(t, evs, "summary")
			if sum.num("exit_code") != int64(code) || sum.num("bytes_done") == 0 || last(t, evs, "progress").num("bytes_down") != sum.num("bytes_down") {
				t.Errorf("summary: %v", sum)
			}
			// What came then need not come again. A fast seed helps.
			_, fast := seedFrom(t, s.meta, s.data, engine.Limits{})
			o = shoal("download", s.file, "-o", out, "--port", "0", "--json", "--peer", fast, "--no-trackers").want(t, 0)
			same(t, out, s.data)
			sum2 := last(t, events(t, o.out), "summary")
			if n := sum2.num("bytes_down") - sum2.num("bytes_wasted"); n > s.meta.Size()-sum.num("bytes_done") || sum2.num("bytes_rehashed") != 0 {
				t.Errorf("%d bytes were there, %d of %d were fetched then, %d hashed", sum.num("bytes_done"), n, s.meta.Size(), sum2.num("bytes_rehashed"))
			}
		})
	}
}

// The second signal ends at once, whatever the first waits for: here a tracker that
// does not answer to "stopped".
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("event") == "stopped" {
			close(stuck)
			<-r.Context().Done()
		}
		io.WriteString(w, "d8:intervali1800e5:peers0:e")
	}))
	t.Cleanup(srv.Close)
	s := newSwarm(t, options{files: payload{"x": 100_000}, idle: true})
	p := start(t, "download", s.file, "-o", t.TempDir(), "--port", "0", "--json", "--tracker", srv.URL+"/announce")
	p.await(t, func(e event) bool { return e.name() == "tracker" && e["state"] == "working" })
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-stuck
	time.Sleep(2 * oneSignal) // sooner it would be the same signal once more
	began := time.Now()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	o := p.end(t).want(t, 130)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if len(of(events(t, o.out), "summary")) > 0 {
		t.Error("it ended in good order")
	}
}

// Whoever reads our output may go; the download stays.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{limits: engine.Limits{Up: 8 << 20}})
	for _, args := range [][]string{{"--json"}, {}} {
		out := t.TempDir()
		c := command(t, append([]string{"download", s.file, "-o", out, "--port", "0", "--peer", s.peer}, args...)...)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c.Stdout, c.Stderr = w, w
		r.Close()
		if err := c.Run(); err != nil {
			t.Errorf("%q: %v", args, err)
		}
		w.Close()
		same(t, out, s.data)
	}
}

// Nobody reads our output, and the pipe is full: ^C works all the same.
func TestFullPipe(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{pieceLen: 16 << 10, files: payload{"x": 24 << 20}})
	c := command(t, "download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", s.peer, "--json")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c.Stdout = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	waitFor(t, func() bool { return s.sent(t) == s.meta.Size() }) // the engine does not mind
	began := time.Now()
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if took := time.Since(began); c.ProcessState.ExitCode() != 130 || took > 5*time.Second {
		t.Errorf("exit %d after %v", c.ProcessState.ExitCode(), took)
	}
}

// sent is what the seed has uploaded.
func (s *swarm) sent(t *testing.T) int64 {
	t.Helper()
	all, err := s.eng.Torrents(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	st, err := all[0].Stats(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return st.Up
}

// waitFor looks at something until it holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	limit := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(limit) {
			t.Fatal("it never came")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Killed at any moment and started again, a download loses nothing that was verified
// and written. SHOAL_KILLS says how often; 5 otherwise.
func TestKilledDownloadsGoOn(t *testing.T) {
	t.Parallel()
	kills := 5
	if v, err := strconv.Atoi(os.Getenv("SHOAL_KILLS")); err == nil {
		kills = v
	}
	s := newSwarm(t, options{pieceLen: 64 << 10, files: payload{"a.bin": 20 << 20, "sub/b.bin": 12<<20 + 77}, limits: engine.Limits{Up: 24 << 20}})
	out, state := t.TempDir(), t.TempDir()
	args := []string{"download", s.file, "-o", out, "--state-dir", state, "--port", "0", "--peer", s.peer, "--json"}
	var down, slack int64
	var runs []string
	for i := range kills {
		p := start(t, args...)
		// Anywhere between the last kill and the end, so that some come early.
		done := p.await(t, func(e event) bool { return e.name() == "progress" || e.name() == "complete" }).num("bytes_done")
		stop := done + rand.Int64N((s.meta.Size()-done)/int64(kills-i)+1)
		p.await(t, func(e event) bool { return e.num("bytes_done") >= stop || e.name() == "complete" })
		evs := events(t, wholeLines(p.kill(t).out))
		run := lastCounters(evs)
		down += run.num("bytes_down")
		slack += run.num("bytes_down") - verified(evs, s)
		runs = append(runs, fmt.Sprint(run.num("bytes_down")>>10))
		if n := run.num("bytes_rehashed"); n != 0 {
			t.Errorf("run %d hashed %d bytes again", i+1, n)
		}
	}
	o := start(t, args...).end(t).want(t, 0)
	same(t, out, s.data)
	sum := last(t, events(t, o.out), "summary")
	down += sum.num("bytes_down")
	if n := sum.num("bytes_rehashed"); n != 0 {
		t.Errorf("the last run hashed %d bytes again", n)
	}
	const inMemory = 64 << 20 // a kill may cost that much
	if over := down - s.meta.Size(); over > int64(kills)*inMemory {
		t.Errorf("%d bytes more than the payload were fetched", over)
	}
	t.Logf("%d kills, KiB of each run %s and %d: %d KiB more than the payload, %d KiB of it were not verified yet",
		kills, strings.Join(runs, " "), sum.num("bytes_down")>>10, (down-s.meta.Size())>>10, slack>>10)
}

// wholeLines leaves out a line that was cut by a kill.
func wholeLines(s string) string { return s[:strings.LastIndexByte(s, '\n')+1] }

// lastCounters is the last progress event, an empty one if there was none.
func lastCounters(evs []event) event {
	if p := of(evs, "progress"); len(p) > 0 {
		return p[len(p)-1]
	}
	return event{}
}

// verified is how much a run had verified by its last progress event.
func verified(evs []event, s *swarm) (n int64) {
	until := lastCounters(evs)["t"]
	for _, e := range of(evs, "piece") {
		if until != nil && e["t"].(float64) <= until.(float64) {
			n += s.meta.Lengths.PieceSize(metainfo.PieceIndex(e.num("piece")))
		}
	}
	return n
}
