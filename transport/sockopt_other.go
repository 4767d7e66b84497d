//go:build !linux

package transport

import "syscall"

// setSocket: elsewhere the system's choice stands.
func setSocket(string, syscall.RawConn) error { return nil }
