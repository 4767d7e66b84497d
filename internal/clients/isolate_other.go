//go:build !linux

package clients

import (
	"errors"
	"syscall"
)

// Lab is the surroundings of an isolated program.
type Lab struct{ Scratch, Disk string }

var errLinux = errors.New("a private network needs Linux")

// Isolate needs Linux.
func Isolate(int64, func(string) error) (Lab, error) { return Lab{}, errLinux }

// MountTmpfs needs Linux.
func MountTmpfs(string, int64) error { return errLinux }

// ResizeTmpfs needs Linux.
func ResizeTmpfs(string, int64) error { return errLinux }

func ownGroup() *syscall.SysProcAttr { return nil }
