//go:build unix

package block

import "golang.org/x/sys/unix"

// mapExtent takes memory from the operating system, outside the collector's heap.
// It is never returned: fresh pages are dear, and the budget bounds it.
func mapExtent(n int) []byte {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n)
	}
	return mem
}
