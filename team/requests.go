package team

import (
	"slices"

	"weft/board"
)

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
func (s *State) Requests() (out []Request) {
	for _, f := range s.requests {
		if !s.unanswered(f) {
			continue
		}
		k := f.says.(*requestSays)
		r := Request{Op: f.hash, User: f.author, Note: k.note, Device: k.device}
		if m, ok := s.people.get(f.author); ok {
			r.Name, r.Homes = m.name, m.homes
		}
		out = append(out, r)
	}
	return out
}

// unanswered says whether a request is unanswered.
func (s *State) unanswered(f *fact) bool {
	m, ok := s.people.get(f.author)
	if !ok || m.role == None {
		return true
	}
	return m.role == Removed && !slices.ContainsFunc(m.register, func(x entry) bool {
		k, ok := x.says.(*setSays)
		return ok && slices.Contains(k.parents, f.hash)
	})
}

// requestsOf are the unanswered requests of a user.
func (s *State) requestsOf(u board.UserID) (out []board.Hash) {
	for _, f := range s.requests {
		if f.author == u && s.unanswered(f) {
			out = append(out, f.hash)
		}
	}
	return out
}
