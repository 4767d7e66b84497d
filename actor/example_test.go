package actor_test

import (
	"context"
	"fmt"

	"github.com/shoal-bt/shoal/actor"
)

// What a till can be told. Sealed, so that Handle's switch is complete.
type tillMsg interface{ tillMsg() }

type pay struct{ cents int }              // from: anyone; no answer
type count struct{ reply actor.Ref[int] } // from: outsiders; answered by the sum

func (pay) tillMsg()   {}
func (count) tillMsg() {}

// till owns the sum.
type till struct{ sum int }

func (t *till) Handle(_ *actor.Ctx[tillMsg], m tillMsg) {
	switch m := m.(type) {
	case pay:
		t.sum += m.cents
	case count:
		m.reply.Tell(t.sum)
	default:
		panic(fmt.Sprintf("till: unknown message %T", m))
	}
}

// An outsider makes an actor, tells it things, asks it something and stops it.
func Example() {
	world := actor.NewLive(actor.LiveConfig{})
	child := actor.Root(world, actor.Spec{Name: "till"}, &till{}, func(e actor.Exit) { fmt.Println(e) })
	child.Ref.Tell(pay{120})
	child.Ref.Tell(pay{30})
	sum, err := actor.Ask(context.Background(), child.Inlet, func(reply actor.Ref[int]) tillMsg { return count{reply} })
	fmt.Println(sum, err)
	child.Stop(nil)
	world.Close()
	// Output:
	// 150 <nil>
	// till#1: <nil>
}
