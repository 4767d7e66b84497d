package utpanacrolix

import (
	"runtime"
	"testing"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// idleConnections are held at once by BenchmarkIdle.
const idleConnections = 1000

// BenchmarkIdle reports what a connection at rest costs each of its ends, in bytes of
// heap and stacks, with the actor that it is bound to.
//
//	go test -run - -bench Idle -benchtime 1x ./transport/utpanacrolix
func BenchmarkIdle(b *testing.B) {
	for _, name := range []string{"native", "anacrolix"} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			x := newNode(b, w, backends[name], transport.Env{})
			y := newNode(b, w, backends[name], transport.Env{}).listen("127.0.0.1:0")
			x.hold(x.dialed(y)) // what is made once
			y.hold(waitFor(b, "a connection", y.accepted).Link)
			before := memory()
			for range idleConnections {
				x.hold(x.dialed(y))
				y.hold(waitFor(b, "a connection", y.accepted).Link)
			}
			b.ReportMetric(float64(memory()-before)/(2*idleConnections), "B/end")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// idler is the least that a link can be bound to.
type idler struct{}

func (idler) Handle(_ *actor.Ctx[transport.Event], e transport.Event) {
	if m, ok := e.(*transport.Batch); ok {
		m.Release()
	}
}

// hold keeps a link until the end.
func (n *node) hold(l transport.Link) {
	c := actor.Root(n.w, actor.Spec{Name: "idler"}, actor.Actor[transport.Event](idler{}), func(actor.Exit) {})
	n.t.Cleanup(func() { l.Close(errBye); c.Stop(nil) })
	sayHello(l)
	l.Allow(transport.Unlimited)
	l.Bind(c.Inlet)
}

// memory is what the heap and the stacks hold, after what is garbage has gone.
func memory() int64 {
	var m runtime.MemStats
	for range 3 { // pools keep what they have for one more
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
