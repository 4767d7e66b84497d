package sha1x2

// native says whether the processor has what the assembly needs: SHA, SSSE3, SSE4.1.
var native = detect()

func detect() bool {
	_, basic := cpuid(1, 0)
	extended, _ := cpuid(7, 0)
	const ssse3, sse41, sha = 1 << 9, 1 << 19, 1 << 29
	return basic&ssse3 != 0 && basic&sse41 != 0 && extended&sha != 0
}

// block1 hashes n > 0 blocks of 64 bytes.
//
//go:noescape
func block1(ha *[5]uint32, pa *byte, n int)

// block2 hashes n > 0 blocks of 64 bytes of each of two streams.
//
//go:noescape
func block2(ha *[5]uint32, pa *byte, hb *[5]uint32, pb *byte, n int)

func cpuid(leaf, sub uint32) (ebx, ecx uint32)
