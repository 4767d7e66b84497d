package dht

import (
	"encoding/hex"
	"math"
	"net/netip"
	"strings"
	"testing"
)

// The filter of BEP 33's "Test Vectors".
const bloomVector = `
 F6C3F5EA A07FFD91 BDE89F77 7F26FB2B FF37BDB8 FB2BBAA2 FD3DDDE7 BACFFF75 EE7CCBAE
 FE5EEDB1 FBFAFF67 F6ABFF5E 43DDBCA3 FD9B9FFD F4FFD3E9 DFF12D1B DF59DB53 DBE9FA5B
 7FF3B8FD FCDE1AFB 8BEDD7BE 2F3EE71E BBBFE93B CDEEFE14 8246C2BC 5DBFF7E7 EFDCF24F
 D8DC7ADF FD8FFFDF DDFFF7A4 BBEEDF5C B95CE81F C7FCFF1F F4FFFFDF E5F7FDCB B7FD79B3
 FA1FC77B FE07FFF9 05B7B7FF C7FEFEFF E0B8370B B0CD3F5B 7F2BD93F EB4386CF DD6F7FD5
 BFAF2E9E BFFFFEEC D67ADBF7 C67F17EF D5D75EBA 6FFEBA7F FF47A91E B1BFBB53 E8ABFB57
 62ABE8FF 237279BF EFBFEEF5 FFC5FEBF DFE5ADFF ADFEE1FB 737FFFFB FD9F6AEF FEEE76B6
 FD8F72EF`

// "Inserting the addresses 192.0.2.0 - 192.0.2.255 and 2001:DB8:: - 2001:DB8::3E7".
func TestBloomOfBEP33(t *testing.T) {
	var f Bloom
	v4, v6 := netip.MustParseAddr("192.0.2.0"), netip.MustParseAddr("2001:db8::")
	for range 256 {
		f.Insert(v4)
		v4 = v4.Next()
	}
	for range 1000 {
		f.Insert(v6)
		v6 = v6.Next()
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(bloomVector), ""))
	if err != nil {
		t.Fatal(err)
	}
	if string(f[:]) != string(want) {
		t.Errorf("filter is %X", f)
	}
	// "For the 1256 inserted values the calculated estimate should be 1224.9308"
	if got := f.Estimate(); math.Abs(got-1224.9308) > 0.0001 {
		t.Errorf("estimate is %v", got)
	}
}

func TestBloomOfNobodyAndOfTooMany(t *testing.T) {
	var f Bloom
	if f.Zeros() != 2048 {
		t.Errorf("%d zero bits in an empty filter", f.Zeros())
	}
	if e := f.Estimate(); e < 0 || e > 0.6 {
		t.Errorf("an empty filter holds %v", e)
	}
	for i := range f {
		f[i] = 0xff
	}
	if e := f.Estimate(); math.IsInf(e, 0) || math.IsNaN(e) || e < 6000 {
		t.Errorf("a full filter holds %v", e)
	}
}

func TestBloomUnionCountsEveryoneOnce(t *testing.T) {
	var f, g Bloom
	ip := netip.MustParseAddr("45.0.0.0")
	for i := range 150 {
		if i < 100 {
			f.Insert(ip)
		}
		if i >= 50 {
			g.Insert(netip.AddrFrom16(ip.As16())) // the same address in IPv6 clothes
		}
		ip = ip.Next()
	}
	f.Union(&g)
	if e := f.Estimate(); e < 140 || e > 160 {
		t.Errorf("a union of 150 addresses holds %v", e)
	}
	if !f.Contains(netip.MustParseAddr("45.0.0.149")) || !f.Contains(netip.MustParseAddr("45.0.0.0")) {
		t.Error("the union lacks an address")
	}
	if (&Bloom{}).Contains(ip) {
		t.Error("an empty filter contains an address")
	}
}
