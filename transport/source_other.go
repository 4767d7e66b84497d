//go:build !unix

package transport

// newSource: readiness without a buffer is a matter of unix.
func newSource(c *conn) source { return &plainSource{c: c} }
