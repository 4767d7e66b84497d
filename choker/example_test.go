package choker_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/shoal-bt/shoal/choker"
)

// everyone unchokes whoever is interested, while there are slots. It remembers
// nothing.
type everyone struct{}

func init() { choker.Register("everyone", func() choker.Strategy { return everyone{} }) }

func (everyone) Decide(v *choker.View, out []choker.Grant) ([]choker.Grant, choker.Duration) {
	for _, p := range v.Peers {
		if p.Interested && !p.Seed && len(out) < int(v.Slots) {
			out = append(out, choker.Grant{ID: p.ID, Weight: 1})
		}
	}
	return out, 0
}

func (everyone) Forget(uint32) {}

// A strategy of one's own is a type, and a name.
func ExampleRegister() {
	s, err := choker.New("everyone")
	if err != nil {
		fmt.Println(err)
		return
	}
	grants, again := s.Decide(&choker.View{
		Slots: 2,
		Peers: []choker.Peer{{ID: 1, Interested: true}, {ID: 2}, {ID: 3, Interested: true}},
		Rand:  rand.New(rand.NewPCG(1, 2)),
	}, nil)
	for _, g := range grants {
		fmt.Println("peer", g.ID)
	}
	fmt.Println("again", again)
	// Output:
	// peer 1
	// peer 3
	// again 0s
}
