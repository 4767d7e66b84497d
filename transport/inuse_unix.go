//go:build unix

package transport

import "syscall"

var (
	errInUse   error = syscall.EADDRINUSE
	errNotOurs error = syscall.EADDRNOTAVAIL
)
