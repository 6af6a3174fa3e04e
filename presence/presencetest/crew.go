// Package presencetest has a team without rules, for tests of presence and of what is built on it.
package presencetest

import (
	"crypto/sha256"
	"slices"

	"weft/board"
	"weft/team"
)

// ID is a key by its name: of a node, a user, a team or a device.
func ID(name string) [32]byte { return sha256.Sum256([]byte(name)) }

// Crew is a team of any size, for what needs no rules.
type Crew struct {
	Where map[board.UserID][]board.NodeID // homes
	Nodes []board.NodeID
}

// CanRead says whether u is in the crew.
func (c *Crew) CanRead(u board.UserID) bool { return c.Where[u] != nil }

// Homes of a user.
func (c *Crew) Homes(u board.UserID) []board.NodeID { return c.Where[u] }

// IsNode says whether n is in the crew.
func (c *Crew) IsNode(n board.NodeID) bool { return slices.Contains(c.Nodes, n) }

// Members are the crew's users, in any order.
func (c *Crew) Members() (all []team.Person) {
	for u, homes := range c.Where {
		all = append(all, team.Person{User: u, Homes: homes, Role: team.Member})
	}
	return all
}
