package swarm

import (
	"errors"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/sim"
)

// RunTo lets the swarm live until a time, complete or not.
func (s *Swarm) RunTo(at time.Duration) error {
	s.World.Run(clock.Time(at))
	errs := []error{s.World.Err()}
	for i, n := range s.Nodes {
		if n.Err != nil {
			errs = append(errs, fmt.Errorf("node %d: %w", i, n.Err))
		}
	}
	return errors.Join(errs...)
}

// Leave ends a node in good order.
func (n *Node) Leave() {
	n.Left = true
	n.core.Close(time.Second)
}

// Graph is who is connected to whom, among the nodes that have not left.
type Graph struct {
	Nodes  int
	Behind int     // of them, behind NATs
	Degree float64 // of a node, on average
	Least  int     // of any node
	// Largest is the share of nodes in the largest component, of 1.
	Largest float64
	// Clustering is how likely two neighbours of a node are neighbours, averaged over
	// the nodes (Watts and Strogatz 1998).
	Clustering float64
	// Dialable is the share of pairs of which at least one can be dialed, of 1.
	Dialable float64
}

// Graph looks at the connections that stand.
func (s *Swarm) Graph() Graph {
	index := map[*sim.Host]int{}
	open := 0
	for _, n := range s.Nodes {
		if !n.Left && n.core != nil {
			index[n.Host] = len(index)
			if !n.Unreachable {
				open++
			}
		}
	}
	links := make([]map[int]bool, len(index))
	for i := range links {
		links[i] = map[int]bool{}
	}
	for a, b := range s.Net.Pairs() {
		i, inA := index[a]
		j, inB := index[b]
		if inA && inB {
			links[i][j], links[j][i] = true, true
		}
	}
	all := len(links)
	closed := all - open
	g := Graph{Nodes: all, Behind: closed, Least: all, Dialable: 1 - float64(closed*(closed-1))/float64(all*(all-1))}
	for _, l := range links {
		g.Degree += float64(len(l)) / float64(all)
		g.Least = min(g.Least, len(l))
		g.Clustering += clustering(links, l) / float64(all)
	}
	g.Largest = float64(largest(links)) / float64(all)
	return g
}

// clustering is the share of pairs of neighbours that are neighbours themselves.
func clustering(links []map[int]bool, of map[int]bool) float64 {
	if len(of) < 2 {
		return 0
	}
	n := 0
	for i := range of { //order: irrelevant
		for j := range of { //order: irrelevant
			if i < j && links[i][j] {
				n++
			}
		}
	}
	return float64(2*n) / float64(len(of)*(len(of)-1))
}

// largest is the number of nodes in the largest component.
func largest(links []map[int]bool) int {
	seen := make([]bool, len(links))
	most := 0
	for i := range links {
		n := 0
		for todo := []int{i}; len(todo) > 0; {
			x := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if seen[x] {
				continue
			}
			seen[x] = true
			n++
			for j := range links[x] { //order: irrelevant
				todo = append(todo, j)
			}
		}
		most = max(most, n)
	}
	return most
}
