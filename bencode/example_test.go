package bencode_test

import (
	"fmt"

	"github.com/shoal-bt/shoal/bencode"
)

func Example() {
	v, err := bencode.Parse([]byte("d4:infod4:name1:x12:piece lengthi16384ee5:nodes2:\xff\x00e"), bencode.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", v.Get("info").Raw())
	fmt.Printf("%s\n", bencode.AppendJSON(nil, v, ""))
	_, err = bencode.Parse([]byte("d1:bi1e1:ai2ee"), bencode.Options{Strict: true})
	fmt.Println(err)
	// Output:
	// d4:name1:x12:piece lengthi16384ee
	// {"info":{"name":"x","piece length":16384},"nodes":{"hex":"ff00"}}
	// unsorted dictionary keys at byte 7
}
