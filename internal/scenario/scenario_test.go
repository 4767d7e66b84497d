package scenario

import (
	"slices"
	"strings"
	"testing"
)

// adder is a player that sums.
type adder struct{ sum int64 }

func (a *adder) Do(t *testing.T, c Command) string {
	switch c.Name {
	case "add":
		for _, n := range Numbers(t, c.Args[0]) {
			a.sum += int64(n)
		}
		a.sum += c.Int(t, "more", 0)
	case "sum":
		return strings.Repeat("the sum is "+string(rune('0'+a.sum))+"\n", int(c.Int(t, "times", 1)))
	}
	return ""
}

func TestRun(t *testing.T) {
	Run(t, "testdata/*.txt", func() Player { return new(adder) })
}

func TestParse(t *testing.T) {
	c, err := Parse("  peer 7 has=0-3 snubbed rate=5 ")
	if err != nil || c.Name != "peer" || !slices.Equal(c.Args, []string{"7", "snubbed"}) {
		t.Fatalf("%+v, %v", c, err)
	}
	if v, ok := c.Get("has"); !ok || v != "0-3" || c.Int(t, "rate", 1) != 5 || c.Int(t, "rtt", 9) != 9 {
		t.Errorf("values %+v", c)
	}
	if !c.Is("snubbed") || c.Is("rate") {
		t.Errorf("words %+v", c)
	}
	if _, err := Parse("   "); err == nil {
		t.Error("an empty command")
	}
	if got := Numbers(t, "0-2,7,5-5"); !slices.Equal(got, []int32{0, 1, 2, 7, 5}) {
		t.Errorf("numbers %v", got)
	}
	if Numbers(t, "none") != nil {
		t.Error("none is something")
	}
}
