package compact

import (
	"net/netip"
	"testing"
)

func TestAddressesComeBack(t *testing.T) {
	for text, bytes := range map[string]string{
		"1.2.3.4:258":             "\x01\x02\x03\x04\x01\x02",
		"[::ffff:1.2.3.4]:258":    "\x01\x02\x03\x04\x01\x02",
		"[2001:db8::1]:65535":     "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff",
		"255.255.255.255:0":       "\xff\xff\xff\xff\x00\x00",
		"[::]:1":                  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
		"[fe80::1234:5678]:51413": "\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x12\x34\x56\x78\xc8\xd5",
	} {
		a := netip.MustParseAddrPort(text)
		b := Append([]byte("x"), a)
		if string(b) != "x"+bytes || Size(a) != len(bytes) {
			t.Errorf("%v is %x, %d bytes", a, b[1:], Size(a))
		}
		back, ok := Parse([]byte(bytes))
		if want := netip.AddrPortFrom(a.Addr().Unmap(), a.Port()); !ok || back != want {
			t.Errorf("%v came back as %v, %v", a, back, ok)
		}
	}
}

func TestOtherLengthsAreNoAddresses(t *testing.T) {
	for n := range 40 {
		if _, ok := Parse(make([]byte, n)); ok != (n == Size4 || n == Size6) {
			t.Errorf("%d bytes: %v", n, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x01\x02"))
	f.Add(make([]byte, Size6))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := Parse(b)
		if !ok {
			return
		}
		if again, ok := Parse(Append(nil, a)); !ok || again != a {
			t.Errorf("%x is %v, then %v", b, a, again)
		}
	})
}
