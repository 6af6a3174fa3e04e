package rpc

import (
	"context"
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// Asked is a team that the node's user asked to be let into.
type Asked struct {
	Team     board.TeamID
	Name     string
	Note     string
	Since    time.Time
	Rejected bool
	Reason   string // of the rejection
	Error    string // why the team could not be asked last time
}

// States of a team, for its Team.state.
const (
	stateJoined    = "joined"
	stateJoining   = "joining"
	stateRequested = "requested"
	stateLeft      = "left"
	stateRejected  = "rejected"
	stateRemoved   = "removed"
	stateBanned    = "banned"
	stateClosed    = "closed"
	stateUpgrade   = "upgrade_needed"
)

// membership is how the node's user stands to a team.
func (s *service) membership(st *team.State) string {
	role := st.Role(s.Identity.User)
	_, closed := st.Closed()
	switch {
	case st.UpgradeNeeded():
		return stateUpgrade
	case role == team.None:
		return stateJoining
	case role == team.Banned:
		return stateBanned
	case role == team.Removed:
		if r, ok := st.Removal(s.Identity.User); ok && r.Left {
			return stateLeft
		}
		return stateRemoved
	case closed:
		return stateClosed
	}
	return stateJoined
}

// wireTeam describes a team and how the node's user stands to it.
func (s *service) wireTeam(ctx context.Context, st *team.State) *weftv1.Team {
	out := &weftv1.Team{
		TeamId: st.ID().String(), Name: st.Name(), Role: roleNames[st.Role(s.Identity.User)], Members: uint32(len(st.Members())),
		Boards: uint32(len(st.Boards())), Nodes: uint32(len(st.Nodes())), State: s.membership(st), JoinMode: joinNames[st.Policy().Join],
	}
	switch out.State {
	case stateLeft, stateRemoved, stateBanned:
		if r, ok := st.Removal(s.Identity.User); ok {
			s.fillState(ctx, out, st, r.Object)
			out.StateReason = text(r.Reason)
			out.StateBy, out.StateByName = s.whoRemoved(st, r)
		}
	case stateClosed:
		chain := st.Chain()
		s.fillState(ctx, out, st, chain[len(chain)-1])
		out.StateByName = theOwners
		if next, _ := st.Closed(); next != (board.TeamID{}) {
			out.Successor = next.String()
		}
	}
	return out
}

// fillState says by which object a team's state came, and when.
func (s *service) fillState(ctx context.Context, out *weftv1.Team, st *team.State, object board.Hash) {
	if object == (board.Hash{}) {
		return
	}
	out.ObjectId = object.String()
	if recorded, err := s.recordedOf(ctx, st.ID()); err == nil {
		out.StateMs = recorded.at(object)
	}
}

// whoRemoved is who took somebody's role away: an id and a name, or only words where it was a charter.
func (s *service) whoRemoved(st *team.State, r team.Removal) (id, name string) {
	switch {
	case r.Left:
		return "", ""
	case r.By == (board.UserID{}):
		return "", theOwners
	}
	return r.By.String(), s.nameOf(st, r.By)
}

// theOwners stand for who did something by a charter, which nobody signs alone.
const theOwners = "the owners"

// askedTeams are those that the user asked to be let into, and that have not answered yes.
func (s *service) askedTeams() (out []*weftv1.Team) {
	for _, a := range s.Mesh.Asked() {
		if st, ok := s.Store.Team(a.Team); ok && st.Known() {
			continue
		}
		w := &weftv1.Team{TeamId: a.Team.String(), Name: text(a.Name), Role: "none", State: stateRequested, StateMs: uint64(a.Since.UnixMilli()), StateReason: text(a.Error)}
		if a.Rejected {
			w.State, w.StateReason = stateRejected, text(a.Reason)
		}
		out = append(out, w)
	}
	return out
}

// askedTeam is such a team by its id or name.
func (s *service) askedTeam(name string) (Asked, bool) {
	asked := s.Mesh.Asked()
	i := slices.IndexFunc(asked, func(a Asked) bool {
		st, here := s.Store.Team(a.Team)
		return (a.Team.String() == name || a.Name == name) && !(here && st.Known())
	})
	if i < 0 {
		return Asked{}, false
	}
	return asked[i], true
}

// records says when each governance object of a team was first recorded, by the clock of the node that did, and by which.
type records map[board.Hash]firstRecord

type firstRecord struct {
	received board.HLC
	node     board.NodeID
}

// at is that time in milliseconds since 1970; 0: not known.
func (h records) at(object board.Hash) uint64 { return uint64(h[object].received) >> 16 }

func (s *service) recordedOf(ctx context.Context, t board.TeamID) (records, error) {
	held, err := s.Store.GovernanceRecords(ctx, t)
	if err != nil {
		return nil, err
	}
	out := make(records, len(held))
	for _, r := range held {
		if was, ok := out[r.Object]; !ok || r.Received < was.received {
			out[r.Object] = firstRecord{r.Received, r.Position.Node}
		}
	}
	return out, nil
}
