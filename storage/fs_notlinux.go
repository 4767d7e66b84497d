//go:build !linux

//pump: around what other systems have instead of Linux's calls.

package storage

import "errors"

func writePast(f *osFile, bufs [][]byte, off int64) (int, error) { return writeV(f, bufs, off) }

func allocate(*osFile, int64) error { return errors.ErrUnsupported }

func nextData(_ *osFile, off int64) (int64, error) { return off, nil }

func syncData(f *osFile) error { return f.f.Sync() }
