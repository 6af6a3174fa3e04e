package team

import "weft/board"

// Request is somebody's wish to join that nobody has answered.
type Request struct {
	Op     board.Hash
	User   board.UserID
	Name   string // as the asker chose it
	Note   string
	Device board.DeviceID
	Homes  []board.NodeID
}

// Requests that nobody has answered, by hash: their authors have no role, and no counting operation on them names the
// request among its parents, as NewSet's do.
func (s *State) Requests() []Request { return nil }

// Proposal is a charter that may follow the one that counts, once enough owners agree.
type Proposal struct {
	Charter board.Hash
	By      board.UserID   // whose device made it, if that is an owner or admin
	Owners  []board.UserID // who agreed, in their order
	Admins  []board.UserID
	Missing []board.UserID // owners who have not agreed
	Words   []string       // what it would change
	Valid   bool           // enough owners agree, but another one is preferred
}

// Proposals are the charters that may follow the one that counts, by hash.
func (s *State) Proposals() []Proposal { return nil }

// WantsAck are charters that id's device should agree to without asking anyone: those that count and whose parent gives
// id's user a say, where no device of the user has agreed to one in the same place yet (trust §5).
func (s *State) WantsAck(id Identity) []board.Hash { return nil }

// Chain is the team's charters that count, from its genesis on.
func (s *State) Chain() []board.Hash {
	if s.charter == nil {
		return nil
	}
	return []board.Hash{board.Hash(s.id)}
}
