package utpnative

// classes are the sizes of buffers in bytes; keepFree is how many of each are kept.
var classes = [...]int{256, 4 << 10, 16 << 10}

const (
	keepFree  = 64
	keepParts = 256 // length of the lists of parts that are kept
)

// buffers lends memory to connections that have something to say, so that those at
// rest hold none. Owner: the mux.
type buffers struct {
	free  [len(classes)][][]byte
	lists [][]part
}

// get lends n bytes.
func (f *buffers) get(n int) []byte {
	for i, size := range classes {
		if n > size {
			continue
		}
		if free := f.free[i]; len(free) > 0 {
			b := free[len(free)-1]
			f.free[i] = free[:len(free)-1]
			return b[:n]
		}
		return make([]byte, n, size)
	}
	return make([]byte, n)
}

func (f *buffers) put(b []byte) {
	for i, size := range classes {
		if cap(b) == size && len(f.free[i]) < keepFree {
			f.free[i] = append(f.free[i], b)
			return
		}
	}
}

func (f *buffers) newParts() []part {
	if n := len(f.lists); n > 0 {
		list := f.lists[n-1]
		f.lists = f.lists[:n-1]
		return list
	}
	return make([]part, 0, 16)
}

// putParts takes back a list whose parts are empty.
func (f *buffers) putParts(list []part) {
	if list != nil && cap(list) <= keepParts && len(f.lists) < keepFree {
		f.lists = append(f.lists, list[:0])
	}
}
