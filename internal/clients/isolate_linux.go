package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// labVar names the environment variable that tells a program that it runs isolated,
// and where its folders are.
const labVar = "SHOAL_LAB"

// Lab is the surroundings of an isolated program.
type Lab struct {
	Scratch string // a tmpfs
	Disk    string // a folder on a real file system
}

// Isolate returns, in a program that already runs isolated, its surroundings, with a
// scratch folder of at most size bytes. Otherwise it calls prepare, which still has
// the network and may put things into the folder disk, runs the program again,
// isolated, with the same arguments, and exits with its code. It must be called
// before anything else happens, from the main goroutine.
//
// Without root it uses a user namespace, where the system allows that.
func Isolate(size int64, prepare func(disk string) error) (Lab, error) {
	if dir := os.Getenv(labVar); dir != "" {
		lab := Lab{Scratch: filepath.Join(dir, "scratch"), Disk: filepath.Join(dir, "disk")}
		return lab, enter(lab.Scratch, size)
	}
	code, err := reenter(prepare)
	if err != nil {
		return Lab{}, err
	}
	os.Exit(code)
	panic("unreachable")
}

// reenter runs the program in new namespaces and waits for it.
func reenter(prepare func(string) error) (int, error) {
	dir, err := os.MkdirTemp("", "shoal-lab-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		return 0, err
	}
	if err := prepare(disk); err != nil {
		return 0, err
	}
	// The death signal comes when the thread that started the child ends.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	err = isolated(ctx, dir).Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot make a private network (root, or user namespaces, needed): %w", err)
	}
	return 0, nil
}

// isolated is this program's command in namespaces of its own.
func isolated(ctx context.Context, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), labVar+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	return cmd
}

// enter finishes the namespaces from inside.
func enter(scratch string, size int64) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount table: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := MountTmpfs(scratch, size); err != nil {
		return err
	}
	// On a loopback device the whole prefix is local, as 127/8 is.
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", network.Addr().Next().String() + "/" + strconv.Itoa(network.Bits()), "dev", "lo"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// MountTmpfs puts a fresh tmpfs of size bytes over the folder dir, which is made if
// need be. It is gone when the isolated program ends.
func MountTmpfs(dir string, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	opts := "mode=0755,size=" + strconv.FormatInt(size, 10)
	if err := syscall.Mount("tmpfs", filepath.Clean(dir), "tmpfs", 0, opts); err != nil {
		return fmt.Errorf("tmpfs at %s: %w", dir, err)
	}
	return nil
}

// ResizeTmpfs changes the size of a tmpfs that MountTmpfs made.
func ResizeTmpfs(dir string, size int64) error {
	opts := "size=" + strconv.FormatInt(size, 10)
	if err := syscall.Mount("tmpfs", filepath.Clean(dir), "tmpfs", syscall.MS_REMOUNT, opts); err != nil {
		return fmt.Errorf("resize tmpfs at %s: %w", dir, err)
	}
	return nil
}

// ownGroup keeps the terminal's ^C from a child: whoever started it ends it.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
