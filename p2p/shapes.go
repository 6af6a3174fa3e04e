package p2p

import (
	"weft/board"
	"weft/team"
)

func originsOf(st *team.State) []board.NodeID {
	if s, ok := any(st).(interface{ Origins() []board.NodeID }); ok {
		return s.Origins()
	}
	return st.Nodes()
}

func nodeProof(st *team.State, n board.NodeID) []board.Hash {
	if s, ok := any(st).(interface {
		NodeProof(board.NodeID) []board.Hash
	}); ok {
		return s.NodeProof(n)
	}
	return nil
}

func objectOf(st *team.State, h board.Hash) (*team.Object, bool) {
	if s, ok := any(st).(interface {
		Object(board.Hash) (*team.Object, bool)
	}); ok {
		return s.Object(h)
	}
	return nil, false
}
