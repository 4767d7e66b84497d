package dht_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/dht"
)

// A message is read, and answered.
func ExampleMsg() {
	query, err := dht.Parse([]byte("d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(query.Method, query.Target)

	reply := dht.Msg{
		Kind:  dht.KindReply,
		TID:   query.TID,
		Has:   dht.HasID | dht.HasNodes,
		ID:    dht.ID([]byte("0123456789abcdefghij")),
		Nodes: []dht.Contact{{ID: query.Target, Addr: netip.MustParseAddrPort("97.98.99.100:25958")}},
	}
	fmt.Printf("%s\n", reply.Append(nil))
	// Output:
	// find_node 6d6e6f707172737475767778797a313233343536
	// d1:rd2:id20:0123456789abcdefghij5:nodes26:mnopqrstuvwxyz123456abcdefe1:t2:aa1:y1:re
}

// A torrent that changes (BEP 46) is a signed item whose value names its info-hash.
func ExampleSignItem() {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	item, err := dht.SignItem(key, []byte("salt"), []byte("d2:ih20:aaaaaaaaaaaaaaaaaaaae"), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(item.Target(), item.Valid())
	item.Seq++
	fmt.Println(item.Target(), item.Valid())
	// Output:
	// 6c02e856b30dc29b4bcbd6aba291ce17a9cc9fa7 true
	// 6c02e856b30dc29b4bcbd6aba291ce17a9cc9fa7 false
}

// A table is told what happens and says who is close.
func ExampleTable() {
	id := func(first byte) dht.ID { return dht.ID{first} }
	table := dht.NewTable(id(0x01), dht.TableOptions{}, 0)
	for i := range byte(4) {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{45, 0, i, 1}), 6881)
		table.Replied(dht.Contact{ID: id(0x80 + i), Addr: at}, 50*time.Millisecond, 0)
	}
	for _, c := range table.Closest(nil, id(0x82), 2, dht.Good, 0) {
		fmt.Println(c.ID, c.Addr)
	}
	// Output:
	// 8200000000000000000000000000000000000000 45.0.2.1:6881
	// 8300000000000000000000000000000000000000 45.0.3.1:6881
}
