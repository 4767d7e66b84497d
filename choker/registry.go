package choker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Default is the name of the strategy that is used when nobody says another.
const Default = "tit-for-tat"

// makers is written by init functions only and read afterwards, hence no lock.
var makers = map[string]func() Strategy{}

func init() {
	Register("tit-for-tat", func() Strategy { return new(titForTat) })
	Register("seed-round-robin", func() Strategy { return new(roundRobin) })
	Register("fastest", func() Strategy { return new(fastest) })
}

// Register makes a strategy known by a name. It must be called from init functions
// only. A name taken twice is a bug and panics.
func Register(name string, make func() Strategy) {
	if name == "" || make == nil || makers[name] != nil {
		panic(fmt.Sprintf("choker: Register(%q): empty, or taken", name))
	}
	makers[name] = make
}

// New returns a fresh strategy of that name.
func New(name string) (Strategy, error) {
	if m := makers[name]; m != nil {
		return m(), nil
	}
	return nil, fmt.Errorf("no choker %q; there are %s", name, strings.Join(Names(), ", "))
}

// Names lists the strategies in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(makers)) }
