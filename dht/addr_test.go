package dht

import "testing"

func TestWhoMayNameWhom(t *testing.T) {
	const stranger, neighbour = "45.1.2.3", "192.168.1.1"
	for peer, by := range map[string]struct{ stranger, neighbour bool }{
		"46.1.2.3:6881":          {true, true},
		"[2606:4700::1]:6881":    {true, true},
		"46.1.2.3:0":             {false, false},
		"10.0.0.7:6881":          {false, true},
		"127.0.0.1:6881":         {false, true},
		"[64:ff9b::a00:7]:6881":  {false, true}, // NAT64 of 10.0.0.7
		"[2002:7f00:1::]:6881":   {false, true}, // 6to4 of 127.0.0.1
		"169.254.169.254:6881":   {false, false},
		"168.63.129.16:6881":     {false, false},
		"[::ffff:0.0.0.0]:6881":  {false, false},
		"240.1.2.3:6881":         {false, false},
		"[64:ff9b::e000:1]:6881": {false, false}, // NAT64 of a multicast group
		"[ff02::1]:6881":         {false, false},
	} {
		if got := mayName(addr(stranger), ap(peer)); got != by.stranger {
			t.Errorf("a stranger may name %s: %v", peer, got)
		}
		if got := mayName(addr(neighbour), ap(peer)); got != by.neighbour {
			t.Errorf("a neighbour may name %s: %v", peer, got)
		}
	}
}
