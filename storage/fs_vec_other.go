//go:build !linux && !darwin && !openbsd

//pump: around reads and writes where vectored ones are not to be had.

package storage

func readV(f *osFile, bufs [][]byte, off int64) (int, error)  { return plainReadV(f.f, bufs, off) }
func writeV(f *osFile, bufs [][]byte, off int64) (int, error) { return plainWriteV(f.f, bufs, off) }
