//go:build unix

package transport

import "syscall"

var errInUse error = syscall.EADDRINUSE
