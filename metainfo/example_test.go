package metainfo_test

import (
	"fmt"

	"github.com/shoal-bt/shoal/metainfo"
)

// A torrent is described, its pieces are hashed, and what was made is read back.
func Example() {
	payload := []byte("hello, swarm")
	b := metainfo.Builder{
		Name:   "hello.txt",
		Length: int64(len(payload)),
		Outer:  metainfo.Outer{Trackers: [][]string{{"http://tracker.example/announce"}}},
	}
	lengths, err := b.Lengths()
	if err != nil {
		panic(err)
	}
	h := metainfo.NewPieceHasher(lengths.PieceLen())
	h.Write(payload)
	b.Pieces = h.Sum()
	made, err := b.Build()
	if err != nil {
		panic(err)
	}

	t, err := metainfo.Load(made.Encode())
	if err != nil {
		panic(err)
	}
	fmt.Println(t.Name, t.Size(), t.Lengths.Pieces())
	fmt.Println(t.Magnet())
	// Output:
	// hello.txt 12 1
	// magnet:?xt=urn:btih:34c5c9d0ffbe6c649c71baea942bfba2a247f292&dn=hello.txt&xl=12&tr=http%3A%2F%2Ftracker.example%2Fannounce
}

// A link may be a magnet link or a bare info-hash; errors have a code and one
// line for the user.
func ExampleParseLink() {
	for _, s := range []string{"AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH", "magnet:?dn=nothing"} {
		m, err := metainfo.ParseLink(s)
		if err != nil {
			fmt.Println(metainfo.CodeOf(err).Name()+":", err)
			continue
		}
		fmt.Println(m.Hash)
	}
	// Output:
	// 0123456789abcdef0123456789abcdef01234567
	// missing_info_hash_in_uri: magnet link has no BitTorrent info-hash
}
