package transport

import "golang.org/x/sys/windows"

var (
	errInUse   error = windows.WSAEADDRINUSE
	errNotOurs error = windows.WSAEADDRNOTAVAIL
)
