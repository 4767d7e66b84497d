package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shoal-bt/shoal/engine"
)

// inside marks a test binary that runs in a mount namespace of its own.
const inside = "SHOAL_TEST_INSIDE"

// ownMounts runs the calling test again, alone, where it may mount what it likes. It
// reports whether this is that run.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), inside+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := c.CombinedOutput()
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOSPC): // none is allowed, or no more
		t.Skipf("this machine lets nobody mount: %v", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	default:
		t.Logf("%s", out)
	}
	return false
}

// mount mounts a tmpfs of some KiB.
func mount(t *testing.T, dir string, kib int) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); errors.Is(err, fs.ErrPermission) {
		t.Skipf("this machine lets nobody mount: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func remount(t *testing.T, dir string, flags uintptr, kib int) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Fatal(err)
	}
}

// A disk that is full ends a one-shot download with exit 6: all that was verified and
// written is kept, and with more room it goes on from there.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if !ownMounts(t) {
		return
	}
	s := newSwarm(t, options{pieceLen: 32 << 10, files: payload{"a.bin": 5 << 20, "b/c.bin": 1 << 20}})
	for _, allocation := range []string{"fallocate", "sparse"} {
		t.Run(allocation, func(t *testing.T) {
			disk := t.TempDir()
			mount(t, disk, 3<<10)
			out := filepath.Join(disk, "out")
			// The records are on the same disk.
			args := []string{"download", s.file, "-o", out, "--state-dir", filepath.Join(disk, "state"), "--port", "0", "--peer", s.peer,
				"--json", "--allocation", allocation}
			o := shoal(args...).want(t, 6).complains(t, "full", out)
			first := last(t, events(t, o.out), "summary")
			if first.num("bytes_done") < 1<<20 || first.num("exit_code") != 6 {
				t.Errorf("summary: %v", first)
			}
			// What is claimed is right.
			ok := last(t, events(t, shoal("verify", s.file, "--data", out, "--json").want(t, 8).out), "summary").num("pieces_ok")
			if ok<<15 < first.num("bytes_done") {
				t.Errorf("%d pieces are right, %d bytes were claimed", ok, first.num("bytes_done"))
			}
			remount(t, disk, 0, 16<<10)
			o = shoal(args...).want(t, 0)
			same(t, out, s.data)
			second := last(t, events(t, o.out), "summary")
			if n := second.num("bytes_down") - second.num("bytes_wasted"); n > s.meta.Size()-first.num("bytes_done") || second.num("bytes_rehashed") != 0 {
				t.Errorf("of %d bytes %d were there, then: %v", s.meta.Size(), first.num("bytes_done"), second)
			}
		})
	}
}

// With --seed a full disk is waited for.
func TestFullDiskIsWaitedFor(t *testing.T) {
	t.Parallel()
	if !ownMounts(t) {
		return
	}
	s := newSwarm(t, options{pieceLen: 32 << 10, files: payload{"a.bin": 5 << 20, "b/c.bin": 1 << 20}})
	disk := t.TempDir()
	mount(t, disk, 3<<10)
	out := filepath.Join(disk, "out")
	p := start(t, "download", s.file, "-o", out, "--port", "0", "--peer", s.peer, "--json", "--seed-time", "10ms")
	full := p.await(t, func(e event) bool { return e.name() == "error" })
	if full["disk_full"] != true || full["fatal"] != false {
		t.Errorf("event: %v", full)
	}
	remount(t, disk, 0, 16<<10)
	o := p.end(t).want(t, 0)
	same(t, out, s.data)
	if n := last(t, events(t, o.out), "summary").num("bytes_rehashed"); n != 0 {
		t.Errorf("%d bytes hashed again", n)
	}
	// A torrent that could not be written whole is not left behind.
	remount(t, disk, 0, 6<<10+64)
	for i := 0; ; i++ {
		if err := os.WriteFile(filepath.Join(disk, fmt.Sprint("fill", i)), make([]byte, 4096), 0o666); err != nil {
			break
		}
	}
	x := filepath.Join(disk, "x.torrent")
	shoal("create", filepath.Join(s.data, "data"), "-o", x).want(t, 6).complains(t, x)
	if exists(x) {
		t.Error("half a torrent was left behind")
	}
}

func TestReadOnlyFolders(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	s := newSwarm(t, options{files: payload{"x": 100_000}, idle: true})
	disk := t.TempDir()
	mount(t, disk, 1<<10)
	if err := os.CopyFS(disk, os.DirFS(s.data)); err != nil {
		t.Fatal(err)
	}
	remount(t, disk, unix.MS_RDONLY, 1<<10)
	shoal("seed", s.file, "--data", disk, "--port", "0", "--seed-time", "10ms").want(t, 0)
	shoal("seed", filepath.Join(disk, "data"), "--port", "0", "--seed-time", "10ms").want(t, 0)
	shoal("verify", s.file, "--data", disk).want(t, 0)
	shoal("download", s.file, "-o", disk).want(t, 5).complains(t, disk, "--output")
	shoal("download", s.file, "-o", t.TempDir(), "--state-dir", disk).want(t, 5).complains(t, disk, "--state-dir")
	shoal("create", filepath.Join(disk, "data"), "-o", filepath.Join(disk, "x.torrent")).want(t, 5).complains(t, "x.torrent")
	// No home for records is no reason not to seed.
	t.Setenv("XDG_STATE_HOME", disk)
	shoal("seed", s.file, "--data", disk, "--port", "0", "--seed-time", "10ms").want(t, 0)
	shoal("download", s.file, "-o", t.TempDir()).want(t, 5).complains(t, disk, "--state-dir")
}

// terminalRun runs the program with a terminal as stderr, and returns what that got.
func terminalRun(t *testing.T, cols uint16, env []string, args ...string) (outcome, string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: cols})); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := command(t, args...)
	c.Env = append(append(c.Env, "TERM=xterm", "LC_ALL=C.UTF-8", "NO_COLOR="), env...)
	var out, screen safeBuffer
	c.Stdout, c.Stderr = &out, tty
	read := make(chan struct{})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			_, _ = screen.Write(buf[:n])
			if err != nil {
				return // EIO when the last one closes the other side
			}
		}
	}()
	_ = c.Wait()
	<-read
	master.Close()
	return outcome{c.ProcessState.ExitCode(), out.String(), ""}, screen.String()
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{name: "Ünïcode 名前", pieceLen: 16 << 10, files: payload{"x": 1 << 20}, limits: engine.Limits{Up: 1 << 20}})
	download := func(t *testing.T, cols uint16, env ...string) string {
		o, screen := terminalRun(t, cols, env, "download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", s.peer)
		o.want(t, 0)
		if strings.Count(o.out, "\n") != 1 || !strings.Contains(o.out, "Ünïcode 名前/x\n") {
			t.Errorf("stdout: %q", o.out)
		}
		if !strings.Contains(screen, "listening on") || !strings.Contains(screen, "1.0 MiB complete") || !strings.HasSuffix(screen, "\r\n") {
			t.Errorf("screen: %q", screen)
		}
		return screen
	}
	t.Run("in place", func(t *testing.T) {
		t.Parallel()
		screen := download(t, 100)
		for _, want := range []string{"\x1b[2A\x1b[J", "ETA ", "down ", "1 peer (1 seed)", "availability 1.0", "▒", "%"} {
			if !strings.Contains(screen, want) {
				t.Errorf("the screen never shows %q: %q", want, screen)
			}
		}
	})
	t.Run("narrow", func(t *testing.T) {
		t.Parallel()
		for _, frame := range strings.Split(download(t, 40), "\x1b[2A\x1b[J")[1:] {
			frame, _, _ = strings.Cut(frame, "\x1b")
			for line := range strings.Lines(frame) {
				if w := columns(strings.TrimRight(line, "\r\n")); w > 39 && !strings.Contains(line, "complete") {
					t.Errorf("a line of %d columns on a terminal of 40: %q", w, line)
				}
			}
		}
	})
	t.Run("ASCII", func(t *testing.T) {
		t.Parallel()
		if screen := download(t, 80, "LC_ALL=C"); strings.ContainsAny(screen, "░▒▓█▁▂▃▄▅▆▇") {
			t.Errorf("blocks on a terminal without: %q", screen)
		}
	})
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			if screen := download(t, 80, env); strings.Contains(screen, "\x1b") {
				t.Errorf("escape codes: %q", screen)
			}
		})
	}
}

// Several torrents share the screen, and leave it as they end.
func TestTerminalWithSeveral(t *testing.T) {
	t.Parallel()
	a := newSwarm(t, options{name: "first", files: payload{"x": 1 << 20}, limits: engine.Limits{Up: 1 << 20}})
	b := newSwarm(t, options{name: "second", files: payload{"x": 2 << 20}, limits: engine.Limits{Up: 1 << 20}})
	o, screen := terminalRun(t, 100, nil, "download", a.file, b.file, "nosuch.torrent", "-o", t.TempDir(), "--port", "0", "--peer", a.peer, "--peer", b.peer)
	o.want(t, 3)
	for _, want := range []string{"together  down ", "\x1b[2A\x1b[J", "shoal: open nosuch.torrent", "first: 1.0 MiB complete", "second: 2.0 MiB complete", "3 torrents: down 3.0 MiB"} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen never shows %q: %q", want, screen)
		}
	}
}
