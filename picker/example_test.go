package picker_test

import (
	"fmt"

	"github.com/shoal-bt/shoal/picker"
)

// backward asks for the last pieces first. It keeps no index: it reads the facts.
type backward struct{}

func init() { picker.Register("backward", func() picker.Strategy { return backward{} }) }

func (backward) Rebuild(picker.Facts)                       {}
func (backward) Changed(picker.Facts, int32, picker.Change) {}

func (backward) Order(f picker.Facts, p *picker.Peer, offer func(int32, picker.Hint) bool) {
	for i := f.Pieces() - 1; i >= 0; i-- {
		x := f.Piece(i)
		if x.Wanted() && x.Missing > 0 && (p.Has == nil || p.Has.Has(i)) && !offer(i, 0) {
			return
		}
	}
}

// facts is a torrent of four pieces, of which the second is there.
type facts struct{}

func (facts) Pieces() int32      { return 4 }
func (facts) Seeds() int32       { return 1 }
func (facts) Owned() int32       { return 1 }
func (facts) Now() picker.Time   { return 0 }
func (facts) Rand(n int32) int32 { return 0 }
func (facts) Piece(i int32) picker.Piece {
	return picker.Piece{Prio: picker.Normal, Have: i == 1, Missing: 16}
}

// A strategy of one's own is a type, and a name.
func ExampleRegister() {
	s, err := picker.New("backward")
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Rebuild(facts{})
	s.Order(facts{}, &picker.Peer{}, func(i int32, _ picker.Hint) bool {
		fmt.Println("piece", i)
		return true
	})
	// Output:
	// piece 3
	// piece 2
	// piece 0
}
