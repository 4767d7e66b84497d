package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// signalError says that a signal ended the program.
type signalError struct{ sig os.Signal }

func (e *signalError) Error() string {
	if e.sig == syscall.SIGTERM {
		return "terminated (SIGTERM)"
	}
	return "interrupted (SIGINT)"
}

// hardStop is how long ending in good order may take: whoever sent the signal was
// promised five seconds, whatever a disk, a tracker or a full pipe does.
const hardStop = 4500 * time.Millisecond

// oneSignal is how long after a signal another is the same: timeout(1) sends its own to
// the process and to its group, and a terminal's ^C may be passed on by a wrapper, too.
const oneSignal = 40 * time.Millisecond

// interruptible is a context that the first ^C or SIGTERM ends in good order; the
// second ends the program at once.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		var sig os.Signal
		select {
		case sig = <-ch:
		case <-ended:
			return
		}
		code := signalCode(sig)
		cancel(&exitError{code, &signalError{sig}})
		first := time.Now()
		late := time.After(hardStop)
		for {
			select {
			case <-ch:
				if time.Since(first) < oneSignal {
					continue
				}
			case <-late:
			case <-ended:
				return
			}
			os.Exit(code)
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		close(ended)
		cancel(nil)
	}
}

func signalCode(sig os.Signal) int {
	if sig == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

// isSignal reports whether an error is a signal's, and none of ours.
func isSignal(err error) bool {
	var s *signalError
	return errors.As(err, &s)
}
