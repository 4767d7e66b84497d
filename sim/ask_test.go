package sim_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/sim"
)

// request is answered after a while, 0: never.
type request struct {
	after clock.Duration
	reply actor.Ref[*answer]
	bad   bool
}

// answer carries something.
type answer struct{ dropped int }

func (a *answer) Drop() { a.dropped++ }

type mail interface{ mail() }

type dueReply struct{ to actor.Ref[*answer] }

func (request) mail()  {}
func (dueReply) mail() {}

// server answers when it is time.
type server struct{ given []*answer }

func (s *server) Handle(c *actor.Ctx[mail], m mail) {
	switch m := m.(type) {
	case request:
		if m.bad {
			panic("bad request")
		}
		if m.after > 0 {
			c.After(m.after, dueReply{m.reply})
		}
	case dueReply:
		s.given = append(s.given, &answer{})
		m.to.Tell(s.given[len(s.given)-1])
	}
}

func ask(w *sim.World, until clock.Duration, to actor.Inlet[mail], r request) (*answer, error) {
	return sim.Ask(w, clock.Time(until), to, func(reply actor.Ref[*answer]) mail {
		r.reply = reply
		return r
	})
}

func TestAskLetsTheWorldLive(t *testing.T) {
	w := sim.NewWorld(sim.Config{})
	s := &server{}
	c := actor.Root[mail](w, actor.Spec{Name: "server", Pump: 1}, s, nil)
	a, err := ask(w, time.Minute, c.Inlet, request{after: time.Second})
	if a == nil || err != nil || a.dropped != 0 || w.Now() != clock.Time(time.Second) {
		t.Errorf("%v, %v at %v", a, err, w.Now())
	}
	// Too late: the answer is dropped when it comes.
	if _, err := ask(w, 2*time.Second, c.Inlet, request{after: time.Minute}); err == nil || err.Error() != "sim: no answer by 2s" {
		t.Error(err)
	}
	w.Run(clock.Never)
	if len(s.given) != 2 || s.given[1].dropped != 1 {
		t.Errorf("%d answers", len(s.given))
	}
	// Never: quiescence ends the wait.
	if _, err := ask(w, time.Hour, c.Inlet, request{}); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Error(err)
	}
	// The mailbox is full at first.
	for c.Inlet.TryPut(request{}) {
	}
	if a, err := ask(w, time.Hour, c.Inlet, request{after: time.Second}); a == nil || err != nil {
		t.Error(err)
	}
	c.Stop(nil)
	if _, err := ask(w, 2*time.Hour, c.Inlet, request{after: time.Second}); !errors.Is(err, actor.ErrStopped) {
		t.Error(err)
	}
}

func TestAskTellsOfCrashes(t *testing.T) {
	w := sim.NewWorld(sim.Config{})
	c := actor.Root[mail](w, actor.Spec{Name: "server"}, &server{}, nil)
	if _, err := ask(w, time.Minute, c.Inlet, request{bad: true}); err == nil || !strings.Contains(err.Error(), "bad request") {
		t.Error(err)
	}
	// The run is over: nothing is delivered any more.
	if _, err := ask(w, time.Minute, c.Inlet, request{after: 1}); err == nil {
		t.Error("an answer after the end of the run")
	}
}
