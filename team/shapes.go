package team

import "weft/board"

func (s *State) head() board.Hash                                        { return board.Hash(s.id) }
func (s *State) requestsOf(u board.UserID) []board.Hash                  { return nil }
func (s *State) limitsOf(u board.UserID) []board.Hash                    { return nil }
func (s *State) nodeHeads(n board.NodeID) []board.Hash                   { return nil }
func (s *State) mayAck(id Identity, charter board.Hash, to string) error { return mayGovern(s, id, to) }
func (s *State) nameOf(u board.UserID) string {
	if n := s.UserName(u); n != "" {
		return n
	}
	return u.String()[:8]
}
