package team

import (
	"time"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Policy is what the team's charter says about running it.
type Policy struct {
	Join       weftv1.JoinMode
	Visibility weftv1.Visibility
	Retention  Retention
	Quotas     Quotas
	Receipts   bool
	Admitters  []board.NodeID
	E2EE       bool
	History    uint32 // 0: new members see all of it
}

// Retention is how long a board keeps what it has; 0 anywhere: for ever.
type Retention struct {
	MaxAge     time.Duration
	MaxEntries uint64
	MaxBytes   uint64
}

// Quotas of a team; 0 anywhere: the node's default.
type Quotas struct {
	AuthorPerSecond, AuthorBurst uint32
	TeamBytes, TeamEntries       uint64
}

// Policy of the team. Where the charter says nothing of how people join, they join by link, and members see the team.
func (s *State) Policy() Policy { return policyOf(s.charter.GetPolicy()) }

const maxAgeMs = uint64(1<<63-1) / uint64(time.Millisecond)

func policyOf(m *weftv1.TeamPolicy) Policy {
	p := Policy{
		Join: m.GetJoin(), Visibility: m.GetVisibility(), Receipts: m.GetReceipts(), E2EE: m.GetE2Ee(), History: m.GetHistory(),
		Retention: Retention{
			MaxAge:     time.Duration(min(m.GetRetention().GetMaxAgeMs(), maxAgeMs)) * time.Millisecond,
			MaxEntries: m.GetRetention().GetMaxEntries(), MaxBytes: m.GetRetention().GetMaxBytes(),
		},
		Quotas: Quotas{
			AuthorPerSecond: m.GetQuotas().GetAuthorPerSecond(), AuthorBurst: m.GetQuotas().GetAuthorBurst(),
			TeamBytes: m.GetQuotas().GetTeamBytes(), TeamEntries: m.GetQuotas().GetTeamEntries(),
		},
	}
	if p.Join < weftv1.JoinMode_JOIN_MODE_OPEN || p.Join > weftv1.JoinMode_JOIN_MODE_CLOSED {
		p.Join = weftv1.JoinMode_JOIN_MODE_LINK
	}
	if p.Visibility < weftv1.Visibility_VISIBILITY_PUBLIC || p.Visibility > weftv1.Visibility_VISIBILITY_HIDDEN {
		p.Visibility = weftv1.Visibility_VISIBILITY_MEMBERS
	}
	for _, a := range m.GetAdmitters() {
		if len(a) == 32 {
			p.Admitters = append(p.Admitters, board.NodeID(a))
		}
	}
	return p
}

// wire is the policy's wire form.
func (p Policy) wire() *weftv1.TeamPolicy {
	m := &weftv1.TeamPolicy{
		History: p.History, E2Ee: p.E2EE, Join: p.Join, Visibility: p.Visibility, Receipts: p.Receipts,
		Retention: &weftv1.Retention{MaxAgeMs: uint64(max(0, p.Retention.MaxAge) / time.Millisecond), MaxEntries: p.Retention.MaxEntries, MaxBytes: p.Retention.MaxBytes},
		Quotas: &weftv1.Quotas{
			AuthorPerSecond: p.Quotas.AuthorPerSecond, AuthorBurst: p.Quotas.AuthorBurst, TeamBytes: p.Quotas.TeamBytes, TeamEntries: p.Quotas.TeamEntries,
		},
	}
	for i := range p.Admitters {
		m.Admitters = append(m.Admitters, p.Admitters[i][:])
	}
	return m
}

// Closed says whether the team was disbanded, and in favour of which other one (zero: of none). It can be read then, but
// nobody writes to it.
func (s *State) Closed() (successor board.TeamID, closed bool) {
	b := s.charter.GetSuccessor()
	if len(b) != len(successor) {
		return successor, false
	}
	return board.TeamID(b), true
}

// CanRead says whether u may read the team's boards.
func (s *State) CanRead(u board.UserID) bool {
	r := s.Role(u)
	return r != None && r >= Reader
}
