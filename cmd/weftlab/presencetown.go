package main

import (
	"fmt"
	"slices"
	"time"

	"weft/board"
	"weft/presence/hub"
	"weft/sim"
	"weft/team"
)

// crew is a team of the town with the nodes in it, the founder's first.
type crew struct {
	id     board.TeamID
	nodes  []*sim.Node
	people []*dweller
}

// dweller is somebody with a session.
type dweller struct {
	id      team.Identity
	node    *sim.Node
	session *hub.Session
	idle    bool // as it was reported last
}

// town makes nodes and the teams of a shape, with people who are there.
func town(w *sim.World, s trafficSettings) (nodes []*sim.Node, people []*dweller) {
	for i := range s.Nodes {
		nodes = append(nodes, w.Start(fmt.Sprint("n", i), sim.NodeOptions{Asleep: true}))
	}
	var crews []*crew
	found := func(members []*sim.Node) {
		crews = append(crews, &crew{id: w.FoundTeam(members[0], fmt.Sprint("team ", len(crews))), nodes: members})
	}
	switch s.Shape {
	case "shared":
		for range 10 {
			found(nodes)
		}
	case "tens": // nine others each, at growing distances, so that nodes share few teams
		for i := range nodes {
			var members []*sim.Node
			for d, step := 0, 1; len(members) < min(10, s.Nodes); d, step = d+step, step+2 {
				if n := nodes[(i+d)%s.Nodes]; !slices.Contains(members, n) {
					members = append(members, n)
				} else {
					d -= step - 1 // the next one that is free
				}
			}
			found(members)
		}
	case "pair", "one":
		for range max(s.Teams, 1) {
			found(nodes)
		}
	}
	for i, c := range crews {
		count := s.People / len(crews)
		if i < s.People%len(crews) {
			count++
		}
		c.settle(count)
		w.Gather(c.id, c.nodes[0], c.nodes[1:]...)
		people = append(people, c.people...)
	}
	for _, n := range nodes {
		n.Wake()
	}
	w.Pass(30 * time.Second) // until all are connected
	for _, d := range people {
		d.session = d.node.Attach(d.id)
	}
	return nodes, people
}

// settle spreads people over a team's nodes.
func (c *crew) settle(count int) {
	for k, n := range c.nodes {
		some := count / len(c.nodes)
		if k < count%len(c.nodes) {
			some++
		}
		for _, id := range n.Enrol(c.id, c.nodes[0], some) {
			c.people = append(c.people, &dweller{id: id, node: n})
		}
	}
}
