package team

import "weft/board"

// Evaluator turns objects into a State. Not safe for concurrent use: its owner guards it.
type Evaluator struct{ id board.TeamID }

// NewEvaluator for the team with this id.
func NewEvaluator(id board.TeamID) *Evaluator { panic("stub") }

// Add takes an object with the positions known to carry it. The same object may come again, with other positions or
// another signature. changed says that State may be another one now.
func (e *Evaluator) Add(o *Object) (changed bool, err error) { panic("stub") }

// AddSeal says that node's log on the governance board has a record that seals an epoch at prev.
func (e *Evaluator) AddSeal(node board.NodeID, prev board.Link) (changed bool) { panic("stub") }

// State is what the objects added so far mean.
func (e *Evaluator) State() *State { panic("stub") }
