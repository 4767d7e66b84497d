package clients

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// Shoal is our own binary, driven by its command line and its JSON events alone.
// Peers are given at the start, in Job.Peers. Job.Options are more arguments.
type Shoal struct {
	Bin   string
	Flags []string // of every download and seed
	Exit  bool     // end when everything is there, as a plain download does, instead of seeding
}

// Name implements Client.
func (Shoal) Name() string { return "shoal" }

// Start implements Client.
func (c Shoal) Start(ctx context.Context, j Job) (Run, error) { return c.Run(ctx, j) }

// Run is Start with the type that knows about events.
func (c Shoal) Run(ctx context.Context, j Job) (*ShoalRun, error) {
	args := []string{c.Bin}
	if j.Seed {
		args = append(args, "seed", "--data", j.Data)
	} else {
		args = append(args, "download", "--output", j.Data)
		if !c.Exit {
			args = append(args, "--seed")
		}
	}
	args = append(args, "--json", "--bind", j.Addr.Addr().String(), "--port", strconv.Itoa(int(j.Addr.Port())),
		"--state-dir", filepath.Join(j.Dir, "state"), "--no-nat")
	args = append(args, j.Find.shoalFlags()...)
	for _, p := range j.Peers {
		args = append(args, "--peer", p.String())
	}
	args = append(append(append(args, c.Flags...), j.Options...), cmp.Or(j.Magnet, j.Torrent.Path))
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, command{name: c.Name(), dir: j.Dir, host: j.Host, args: args, stdout: in})
	in.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	r := &ShoalRun{p: p, job: j, read: make(chan struct{}), news: make(chan struct{}, 1)}
	go r.readEvents(out)
	return r, nil
}

func (f Find) shoalFlags() (args []string) {
	for _, x := range []struct {
		on   bool
		flag string
	}{{f.DHT, "--no-dht"}, {f.PEX, "--no-pex"}, {f.LSD, "--no-lsd"}} {
		if !x.on {
			args = append(args, x.flag)
		}
	}
	for _, n := range f.Nodes {
		args = append(args, "--dht-bootstrap", n.String())
	}
	return args
}

// DHTServe starts a node of shoal's DHT at addr, which begins with these nodes.
func (c Shoal) DHTServe(ctx context.Context, dir string, host *Host, addr netip.AddrPort, nodes ...netip.AddrPort) (*Proc, error) {
	args := []string{c.Bin, "dht", "serve", "--listen", addr.String(), "--state-dir", filepath.Join(dir, "state")}
	if len(nodes) == 0 {
		args = append(args, "--no-bootstrap")
	}
	return start(ctx, command{name: "shoal-dht", dir: dir, host: host, args: append(args, bootstraps(nodes)...)})
}

// DHT asks the DHT by one of shoal's commands, from the address at, and returns what
// it printed.
func (c Shoal) DHT(ctx context.Context, dir string, host *Host, at netip.Addr, nodes []netip.AddrPort, args ...string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	out, err := os.Create(filepath.Join(dir, "stdout.log"))
	if err != nil {
		return "", err
	}
	defer out.Close()
	all := append([]string{c.Bin, "dht"}, args...)
	all = append(append(all, "--json", "--listen", netip.AddrPortFrom(at, 0).String()), bootstraps(nodes)...)
	p, err := start(ctx, command{name: "shoal-ask", dir: dir, host: host, args: all, stdout: out})
	if err != nil {
		return "", err
	}
	code, err := p.Wait(ctx)
	b, _ := os.ReadFile(out.Name())
	if err == nil && code != 0 {
		err = fmt.Errorf("shoal dht %v: exit %d\n%s", args, code, p.Tail())
	}
	return string(b), err
}

func bootstraps(nodes []netip.AddrPort) (args []string) {
	for _, n := range nodes {
		args = append(args, "--bootstrap", n.String())
	}
	return args
}

// Event is one line of --json output.
type Event struct {
	V             int     `json:"v"`
	Event         string  `json:"event"`
	T             float64 `json:"t"`
	InfoHash      string  `json:"infohash"`
	Addr          string  `json:"addr"`
	Peer          string  `json:"peer"`
	Piece         int64   `json:"piece"`
	BytesDone     int64   `json:"bytes_done"`
	BytesTotal    int64   `json:"bytes_total"`
	BytesDown     int64   `json:"bytes_down"`
	BytesUp       int64   `json:"bytes_up"`
	BytesWasted   int64   `json:"bytes_wasted"`
	BytesRehashed int64   `json:"bytes_rehashed"`
	Peers         int     `json:"peers"`
	State         string  `json:"state"`
	ExitCode      int     `json:"exit_code"`
	Raw           string  `json:"-"`
}

// ShoalRun is a shoal at work.
type ShoalRun struct {
	p    *Proc
	job  Job
	read chan struct{} // closed when stdout has ended
	news chan struct{} // holds one token after an event

	mu     sync.Mutex
	events []Event
}

func (r *ShoalRun) readEvents(out io.ReadCloser) {
	defer close(r.read)
	defer out.Close()
	log, err := os.Create(filepath.Join(r.job.Dir, "events.ndjson"))
	if err != nil {
		return
	}
	defer log.Close()
	in := bufio.NewScanner(io.TeeReader(out, log))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		e := Event{Raw: in.Text()}
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			e = Event{Event: "not JSON", Raw: in.Text()}
		}
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
		select {
		case r.news <- struct{}{}:
		default: // whoever waits looks at all events anyway
		}
	}
}

// Events returns the events of one kind so far, or all of them for "".
func (r *ShoalRun) Events(kind string) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Event
	for _, e := range r.events {
		if kind == "" || e.Event == kind {
			out = append(out, e)
		}
	}
	return out
}

// Last returns the last event of a kind; its zero value if there was none.
func (r *ShoalRun) Last(kind string) Event {
	if e := r.Events(kind); len(e) > 0 {
		return e[len(e)-1]
	}
	return Event{}
}

// Wait waits for the end of the program and of its output.
func (r *ShoalRun) Wait(ctx context.Context) (int, error) {
	code, err := r.p.Wait(ctx)
	if err != nil {
		return code, fmt.Errorf("%w\nlast progress: %s\n%s", err, r.Last("progress").Raw, r.p.Tail())
	}
	<-r.read
	return code, nil
}

// Ready implements Run: a leecher is ready when it listens and has looked at what is
// there, a seed when it also has everything.
func (r *ShoalRun) Ready(ctx context.Context) error {
	return Poll(ctx, r.p, "listening", func() (bool, error) {
		if state := r.Last("progress").State; len(r.Events("listening")) == 0 || state == "" || state == "checking" {
			return false, nil
		}
		s, err := r.Status(ctx)
		return !r.job.Seed || s.Done, err
	})
}

// Dial implements Run.
func (r *ShoalRun) Dial(context.Context, netip.AddrPort) error { return ErrCannotDial }

// Status implements Run from the events so far.
func (r *ShoalRun) Status(context.Context) (Status, error) {
	p := r.Last("progress")
	done := len(r.Events("complete")) > 0 || p.BytesTotal > 0 && p.BytesDone == p.BytesTotal && r.job.Seed
	s := Status{Done: done, Have: p.BytesDone, Down: p.BytesDown, Up: p.BytesUp,
		Bans: len(r.Events("banned")), Failed: len(r.Events("piece_failed"))}
	if sum := r.Events("summary"); len(sum) > 0 {
		s.Up, s.Down = sum[0].BytesUp, sum[0].BytesDown
	}
	return s, nil
}

// Complete waits until shoal says that all pieces are verified, without asking it
// anything. What is verified need not be durable yet.
func (r *ShoalRun) Complete(ctx context.Context) error {
	for {
		p := r.Last("progress")
		if len(r.Events("complete")) > 0 || p.BytesTotal > 0 && p.BytesDone == p.BytesTotal {
			return nil
		}
		select {
		case <-r.news:
		case <-r.read:
			return fmt.Errorf("shoal's events ended before completion\n%s", r.p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("shoal is not complete: %w\nlast progress: %s\n%s", ctx.Err(), p.Raw, r.p.Tail())
		}
	}
}

// Proc implements Run.
func (r *ShoalRun) Proc() *Proc { return r.p }

// Stop implements Run.
func (r *ShoalRun) Stop() { r.p.Kill() }

// Finish asks shoal to end as ^C does and returns its summary.
func (r *ShoalRun) Finish(ctx context.Context) (Event, error) {
	if err := r.p.Interrupt(); err != nil {
		return Event{}, err
	}
	if _, err := r.Wait(ctx); err != nil {
		return Event{}, err
	}
	sum := r.Last("summary")
	if sum.Event == "" {
		return sum, fmt.Errorf("shoal ended without a summary\n%s", r.p.Tail())
	}
	return sum, nil
}

// Offline runs one of shoal's commands that need no network to its end. An exit code
// other than 0 is an error.
func (c Shoal) Offline(ctx context.Context, dir string, args ...string) (*Proc, error) {
	p, err := start(ctx, command{name: "shoal-" + args[0], dir: dir, args: append([]string{c.Bin}, args...)})
	if err != nil {
		return nil, err
	}
	code, err := p.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("shoal %s: exit %d\n%s", args[0], code, p.Tail())
	}
	return p, err
}

// BuildShoal builds the command below the repository's root to the file bin.
func BuildShoal(ctx context.Context, root, bin string) error {
	root, err := filepath.Abs(root) // the build runs in another folder
	if err != nil {
		return err
	}
	p, err := start(ctx, command{name: "build", dir: filepath.Dir(bin), env: []string{"HOME=" + os.Getenv("HOME"), "CGO_ENABLED=0"},
		args: []string{"go", "build", "-C", root, "-o", bin, "./cmd/shoal"}})
	if err != nil {
		return err
	}
	code, err := p.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("go build ./cmd/shoal: exit %d\n%s", code, p.Tail())
	}
	return err
}

// Tracker starts shoal's tracker at addr, HTTP and UDP.
func (c Shoal) Tracker(ctx context.Context, dir string, addr netip.AddrPort) (*Proc, error) {
	return c.TrackerOn(ctx, dir, nil, addr)
}

// TrackerOn is Tracker on a host.
func (c Shoal) TrackerOn(ctx context.Context, dir string, host *Host, addr netip.AddrPort) (*Proc, error) {
	p, err := start(ctx, command{name: "shoal-tracker", dir: dir, host: host, args: []string{c.Bin, "tracker", "--listen", addr.String()}})
	if err != nil {
		return nil, err
	}
	if err := Poll(ctx, p, "port", func() (bool, error) { return listening(addr), nil }); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}
