package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// Exit codes: a contract with scripts. `shoal help exit-codes` prints them.
const (
	exitOK          = 0
	exitGeneral     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitBadTorrent  = 4
	exitIO          = 5
	exitDiskFull    = 6
	exitNoPeers     = 7
	exitBadData     = 8
	exitUnfinished  = 9
	exitNoDaemon    = 10
	exitAuth        = 11
	exitExists      = 12
	exitInterrupted = 130
	exitTerminated  = 143
)

var exitNames = []struct {
	code int
	text string
}{
	{exitOK, "ok"},
	{exitGeneral, "general error"},
	{exitUsage, "usage: unknown command, flag or value, or something that this version can't do"},
	{exitNotFound, "not found: no such file, torrent, peer or item of the DHT"},
	{exitBadTorrent, "bad torrent file, magnet link or bencoded data"},
	{exitIO, "I/O error or no permission"},
	{exitDiskFull, "disk full"},
	{exitNoPeers, "no network, tracker, peer or metadata before --timeout"},
	{exitBadData, "verification failed"},
	{exitUnfinished, "unfinished at exit"},
	{exitNoDaemon, "daemon unreachable"},
	{exitAuth, "authentication failed"},
	{exitExists, "already there, or in use: another torrent or process writes the same files, or an item has a newer version"},
	{exitInterrupted, "interrupted (SIGINT)"},
	{exitTerminated, "terminated (SIGTERM)"},
}

// exitError is an error with its exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// fail makes an error with an exit code from a format.
func fail(code int, format string, args ...any) error {
	return &exitError{code, fmt.Errorf(format, args...)}
}

// silent is an error that has been told already: only its code is left to be returned.
func silent(code int) error { return &exitError{code, errors.New("")} }

// exitCode says which code an error ends the program with.
func exitCode(err error) int {
	var own *exitError
	var bad *metainfo.Error
	var network net.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &bad):
		return exitBadTorrent
	case isFull(err):
		return exitDiskFull
	case errors.Is(err, engine.ErrExists), errors.Is(err, fs.ErrExist), errors.Is(err, storage.ErrLocked), errors.Is(err, storage.ErrShared):
		return exitExists
	case errors.Is(err, engine.ErrV2), errors.Is(err, engine.ErrSSL):
		return exitUsage
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, storage.ErrMissing):
		return exitNotFound
	case isIO(err):
		return exitIO
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return exitNoPeers
	}
	return exitGeneral
}

// isFull reports whether there was no room for something.
func isFull(err error) bool {
	var disk *storage.Error
	return errors.As(err, &disk) && disk.Space() || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isIO reports whether the operating system refused something with files.
func isIO(err error) bool {
	var file *fs.PathError
	var link *os.LinkError
	var disk *storage.Error
	return errors.As(err, &file) || errors.As(err, &link) || errors.As(err, &disk) ||
		errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EIO)
}
