//pump: waits in the library, to read, write and close.

package utpanacrolix

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/anacrolix/utp"
)

// errPanic is a bug of the library that was contained.
type errPanic struct{ v any }

func (e errPanic) Error() string { return fmt.Sprintf("utp: bug in the library: %v", e.v) }

// contain makes an error of a panic. The library unlocks with defer, so it goes on.
func contain(err *error) {
	if v := recover(); v != nil {
		*err = errPanic{v}
	}
}

// conn is a connection of the library's whose panics are contained.
type conn struct{ net.Conn }

func (c conn) Read(b []byte) (n int, err error) {
	defer contain(&err)
	return c.Conn.Read(b)
}

func (c conn) Write(b []byte) (n int, err error) {
	defer contain(&err)
	return c.Conn.Write(b)
}

func (c conn) Close() (err error) {
	defer contain(&err)
	return c.Conn.Close()
}

func (c conn) SetDeadline(t time.Time) (err error) {
	defer contain(&err)
	return c.Conn.SetDeadline(t)
}

func dial(ctx context.Context, s *utp.Socket, addr string) (c net.Conn, err error) {
	defer contain(&err)
	if c, err = s.DialContext(ctx, "udp", addr); err != nil {
		return nil, err
	}
	return conn{c}, nil
}

func accept(s *utp.Socket) (c net.Conn, err error) {
	defer contain(&err)
	if c, err = s.Accept(); err != nil {
		return nil, err
	}
	return conn{c}, nil
}
