package sha1x2

import "testing"

func TestWithoutAssembly(t *testing.T) {
	defer func(was bool) { native = was }(native)
	native = false
	TestEveryLength(t)
	TestAnyParts(t)
	TestResetAndTheSameTwice(t)
}

func TestDetect(t *testing.T) {
	if native != detect() {
		t.Error("the processor has changed its mind")
	}
}
