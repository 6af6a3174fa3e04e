package presence

import (
	"weft/board"
	"weft/team"
)

// Effect is something that the table wants done.
type Effect interface{ effect() }

// SendBeat goes to every node of the team.
type SendBeat struct{ Beat *Beat }

// Ask asks a node for its whole state of a team, or whoever else may have it.
type Ask struct {
	Node board.NodeID
	Team board.TeamID
}

// Changed are people who are shown otherwise from now on, by one cause: what becomes of a node is one Changed for all its
// people in all teams. By team and user.
type Changed struct {
	Cause   Cause
	Changes []Change
}

// TellHomes tells a person's other homes what they have set.
type TellHomes struct {
	User  board.UserID
	Nodes []board.NodeID // by key
	Own   OwnSetting
}

func (SendBeat) effect()  {}
func (Ask) effect()       {}
func (Changed) effect()   {}
func (TellHomes) effect() {}

// OwnSetting is a setting with what it is for.
type OwnSetting struct {
	User  board.UserID
	Team  board.TeamID // zero: all teams
	Clear bool         // nothing is set there any more; Setting.SetAt says since when
	Setting
}

// Team is what the table has to know of a team. *team.State is one.
type Team interface {
	CanRead(board.UserID) bool
	Homes(board.UserID) []board.NodeID
	IsNode(board.NodeID) bool
	Members() []team.Person
}
