package store

import (
	"fmt"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// What this store says that it holds of somebody who is cut off: for each log, of each board of the team and of its
// governance, in which it holds something signed by them, all leaves that it holds of that log (trust §2).

// CutUser is what is held of a user, admissions by their invites included. Errors wrap ErrUnknownTeam.
func (s *Store) CutUser(t board.TeamID, u board.UserID) (*weftv1.Cut, error) {
	st, _ := s.Team(t)
	who := []signer{signerOf(byUser, u)}
	if st != nil {
		for _, d := range st.Devices(u) {
			who = append(who, signerOf(byDevice, d))
		}
		for _, i := range st.Invites() {
			if i.Author == u {
				who = append(who, signerOf(byInvite, i.Op))
			}
		}
	}
	return s.cut(t, anyOf(who))
}

// CutInvite is what is held of the admissions by an invite, named by its operation. Errors wrap ErrUnknownTeam.
func (s *Store) CutInvite(t board.TeamID, invite board.Hash) (*weftv1.Cut, error) {
	return s.cut(t, anyOf([]signer{signerOf(byInvite, invite)}))
}

// CutNode is what is held of a node: its own logs, and those with operations that it signed. Errors wrap ErrUnknownTeam.
func (s *Store) CutNode(t board.TeamID, n board.NodeID) (*weftv1.Cut, error) {
	signed := anyOf([]signer{signerOf(byUser, n)})
	return s.cut(t, func(log board.NodeID, held signers) bool { return log == n || signed(log, held) })
}

func anyOf(who []signer) func(board.NodeID, signers) bool {
	return func(_ board.NodeID, held signers) bool {
		for _, w := range who {
			if _, ok := held[w]; ok {
				return true
			}
		}
		return false
	}
}

// cut names the leaves held of each log of a team that which chooses.
func (s *Store) cut(t board.TeamID, which func(board.NodeID, signers) bool) (*weftv1.Cut, error) {
	ts, ok := s.memory().team(t)
	if !ok {
		return nil, fmt.Errorf("couldn't say what was accepted: %w: %w", ErrUnknownTeam, board.ErrNotFound)
	}
	var out []board.Position
	for _, b := range s.memory().boardsOf(ts) {
		b.mu.Lock()
		for _, n := range b.full.Nodes() {
			if !which(n, b.signers[n]) {
				continue
			}
			for _, l := range b.full.Leaves(n) {
				out = append(out, board.Position{Board: b.id, Node: n, Epoch: l.Epoch, Seq: l.Seq, Hash: l.Hash})
			}
		}
		b.mu.Unlock()
	}
	return team.NewCut(out), nil
}

// boardsOf are all boards of a team of which anything is known, governance included.
func (m *memory) boardsOf(ts *teamState) (out []*boardState) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, b := range m.boards {
		if b.team == ts {
			out = append(out, b)
		}
	}
	return out
}
