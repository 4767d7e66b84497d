package engine

import (
	"errors"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
)

// maxFollows is how many outsiders may follow something: each is one of the nodes'
// dhtAskers.
const maxFollows = dhtAskers / 4

// errFollows is the caller's fault.
var errFollows = errors.New("too much is being followed in the DHT")

// follow watches a mutable item of the DHT until it is taken back. From: outsiders.
//
//	answered: by dht.Followed as of a dht.Follower, then by over, once
type follow struct {
	id   uint64
	cfg  dht.FollowConfig // without Nodes
	over actor.Ref[error]
}

// unfollow takes a follow back. From: whoever has sent it.
type unfollow struct{ id uint64 }

// followerDown: a follower has ended. Reserved by Spawn.
type followerDown struct {
	id   uint64
	exit actor.Exit
}

func (follow) findersMsg()       {}
func (unfollow) findersMsg()     {}
func (followerDown) findersMsg() {}

// following is a follower and whoever waits for its end.
type following struct {
	child actor.Child[dht.FollowMessage]
	over  actor.Ref[error]
}

func (f *finders) onFollow(c *actor.Ctx[findersMsg], m follow) {
	if len(f.follows) >= maxFollows {
		m.over.Tell(errFollows)
		return
	}
	m.cfg.Nodes = f.nodeRefs()
	child := actor.Spawn(c, dht.FollowSpec(), dht.NewFollower(m.cfg), func(e actor.Exit) findersMsg { return followerDown{m.id, e} })
	f.follows[m.id] = following{child, m.over}
}

func (f *finders) onUnfollow(m unfollow) { f.follows[m.id].child.Stop(nil) }

func (f *finders) onFollowerDown(m followerDown) {
	f.follows[m.id].over.Tell(m.exit.Err)
	delete(f.follows, m.id)
}

// showNodes tells the followers whom to ask, because one of the nodes is another.
func (f *finders) showNodes() {
	for _, w := range f.follows { //order: irrelevant
		w.child.Ref.Tell(dht.FollowNodes{Nodes: f.nodeRefs()})
	}
}

// nodeRefs are the nodes that there are at present.
func (f *finders) nodeRefs() (out []actor.Ref[dht.Message]) {
	for i := range f.nodes {
		if r := f.nodes[i].child.Ref; !r.IsZero() {
			out = append(out, r)
		}
	}
	return out
}
