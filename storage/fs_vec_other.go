//go:build !linux && !darwin && !openbsd

//pump: around reads and writes where vectored ones are not to be had.

package storage

import (
	"errors"
	"io"
)

func readV(f *osFile, bufs [][]byte, off int64) (int, error)  { return plainReadV(f.f, bufs, off) }
func writeV(f *osFile, bufs [][]byte, off int64) (int, error) { return plainWriteV(f.f, bufs, off) }

// plainReadV reads one buffer after the other.
func plainReadV(r io.ReaderAt, bufs [][]byte, off int64) (n int, err error) {
	for _, b := range bufs {
		m, err := r.ReadAt(b, off+int64(n))
		n += m
		if m < len(b) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	return n, nil
}

// plainWriteV writes one buffer after the other.
func plainWriteV(w io.WriterAt, bufs [][]byte, off int64) (n int, err error) {
	for _, b := range bufs {
		m, err := w.WriteAt(b, off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
