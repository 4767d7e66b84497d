package utpanacrolix

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// broken is a connection of a library that is surprised by its own state.
type broken struct{ net.Conn }

func (broken) Read([]byte) (int, error)    { panic("closed without receiving fin, and no error") }
func (broken) Write([]byte) (int, error)   { panic("can't write after fin") }
func (broken) Close() error                { panic(":|") }
func (broken) SetDeadline(time.Time) error { panic(7) }

func TestPanicsAreContained(t *testing.T) {
	c := conn{broken{}}
	_, r := c.Read(nil)
	_, w := c.Write(nil)
	for _, err := range []error{r, w, c.Close(), c.SetDeadline(time.Time{})} {
		var p errPanic
		if !errors.As(err, &p) || !strings.Contains(err.Error(), "bug in the library") {
			t.Errorf("error %v", err)
		}
	}
	if _, err := accept(nil); err == nil {
		t.Error("accepted from nothing")
	}
}
