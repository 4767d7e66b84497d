package clients

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Proc is a running program. Its output goes to a file, which errors quote.
type Proc struct {
	Name string
	Cmd  *exec.Cmd
	Log  string // path of what it printed

	done chan struct{} // closed when it has ended and err is set
	err  error
}

// command says how to start a program.
type command struct {
	name   string
	dir    string // for its log, and its working folder
	host   *Host  // nil: the private network itself
	args   []string
	env    []string
	stdin  io.Reader
	stdout io.Writer // instead of the log
}

// start runs the command. The program is killed when ctx ends.
func start(ctx context.Context, c command) (*Proc, error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	log := filepath.Join(c.dir, c.name+".log")
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if c.host != nil {
		c.args = c.host.wrap(c.args)
	}
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(append(os.Environ(), "HOME="+c.dir, "LC_ALL=C.UTF-8"), c.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, f, f
	if c.stdout != nil {
		cmd.Stdout = c.stdout
	}
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	p := &Proc{Name: c.name, Cmd: cmd, Log: log, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Kill ends the program at once and waits until it is gone.
func (p *Proc) Kill() {
	_ = p.Cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Interrupt asks the program to end, as ^C does.
func (p *Proc) Interrupt() error { return p.Cmd.Process.Signal(os.Interrupt) }

// Done is closed when the program has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the program and returns its exit code, -1 for a signal.
func (p *Proc) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.Cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%s still runs: %w", p.Name, ctx.Err())
	}
}

// Ended returns an error that says how, if the program has ended, with the end of
// its log.
func (p *Proc) Ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %s\n%s", p.Name, p.Cmd.ProcessState, p.Tail())
	default:
		return nil
	}
}

// Tail returns the last lines that the program printed.
func (p *Proc) Tail() string {
	const most = 4 << 10
	b, _ := os.ReadFile(p.Log)
	return string(b[max(0, len(b)-most):])
}

// Usage is what a program has used so far.
type Usage struct {
	CPU  time.Duration // user and system, all threads
	RSS  int64         // peak resident set, bytes; counts mapped files
	Anon int64         // resident anonymous memory now, bytes
}

// tick is the unit of /proc/PID/stat on every Linux there is.
const tick = 10 * time.Millisecond

// Usage reads /proc; a program that has ended has its total.
func (p *Proc) Usage() Usage {
	if p.Ended() != nil {
		s := p.Cmd.ProcessState
		return Usage{CPU: s.UserTime() + s.SystemTime()}
	}
	base := "/proc/" + strconv.Itoa(p.Cmd.Process.Pid)
	var u Usage
	if b, err := os.ReadFile(base + "/stat"); err == nil {
		// The second field, the name, may hold spaces; it ends at the last ")".
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		user, _ := strconv.ParseInt(f[11], 10, 64)
		sys, _ := strconv.ParseInt(f[12], 10, 64)
		u.CPU = time.Duration(user+sys) * tick
	}
	if b, err := os.ReadFile(base + "/status"); err == nil {
		u.RSS, u.Anon = statusField(string(b), "VmHWM:"), statusField(string(b), "RssAnon:")
	}
	return u
}

// statusField returns a field of /proc/PID/status in bytes.
func statusField(status, name string) int64 {
	_, rest, _ := strings.Cut(status, name)
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(f[0], 10, 64)
	return kib << 10
}

// PeakAnon watches the anonymous memory of a program until stop is called, which
// returns the highest value seen.
func (p *Proc) PeakAnon() (stop func() int64) {
	var peak int64
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(25 * time.Millisecond)
		defer t.Stop()
		for {
			peak = max(peak, p.Usage().Anon)
			select {
			case <-t.C:
			case <-quit:
				return
			case <-p.done:
				return
			}
		}
	})
	return func() int64 {
		close(quit)
		wg.Wait()
		return peak
	}
}
