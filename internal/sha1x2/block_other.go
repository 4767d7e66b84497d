//go:build !amd64

package sha1x2

const native = false

func block1(*[5]uint32, *byte, int)                    { panic("sha1x2: no assembly here") }
func block2(*[5]uint32, *byte, *[5]uint32, *byte, int) { panic("sha1x2: no assembly here") }
