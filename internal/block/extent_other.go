//go:build !unix

package block

// mapExtent takes memory from the heap where anonymous maps are not to be had.
func mapExtent(n int) []byte { return make([]byte, n) }
