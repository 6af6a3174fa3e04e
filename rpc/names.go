package rpc

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"

	"weft/board"
	"weft/team"
)

// maxCandidates is how many ids an AMBIGUOUS error lists.
const maxCandidates = 10

// peerIDPrefix stands before an Ed25519 key in the libp2p peer id made from it: an identity multihash (0x00, 36 bytes)
// of a protobuf that says Ed25519, 32 bytes. See libp2p's specification "Peer Ids and Keys".
const peerIDPrefix = "\x00\x24\x08\x01\x12\x20"

// nodeText is a node's id as people see it (12D3Koo…).
func nodeText(n board.NodeID) string { return peer.ID(peerIDPrefix + string(n[:])).String() }

func nodeTexts(nodes []board.NodeID) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = nodeText(n)
	}
	return out
}

// findTeam is the joined team with this id or unambiguous name.
func (s *service) findTeam(name string) (*team.State, error) {
	if name == "" {
		return nil, refuse(reasonEmpty, "couldn't find the team: none was named").hint("give team: an id or a name; weft team list shows them")
	}
	if id, err := board.ParseTeamID(name); err == nil {
		if st, ok := s.Store.Team(id); ok && st.Known() {
			return st, nil
		}
		return nil, refuse(reasonNotFound, "couldn't find team %s here", name)
	}
	var found, active []*team.State
	for _, id := range s.Store.Teams() {
		if st, ok := s.Store.Team(id); ok && st.Known() && st.Name() == name {
			found = append(found, st)
			if s.active(st) {
				active = append(active, st)
			}
		}
	}
	if len(active) == 1 { // one that the user was removed from must not stand in the way of it
		return active[0], nil
	}
	switch len(found) {
	case 0:
		if a, ok := s.askedTeam(name); ok {
			return nil, refuse(reasonNotMember, "couldn't use team %q: you asked to be let in, and nobody has approved it yet", shorten(a.Name)).
				hint("weft team list shows how it stands; ask an admin of the team")
		}
		return nil, refuse(reasonNotFound, "couldn't find a team called %q here", shorten(name))
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, st := range found {
		ids[i] = st.ID().String()
	}
	return nil, ambiguous("team", name, ids)
}

// active says whether the node's user is in a team that goes on.
func (s *service) active(st *team.State) bool {
	switch s.membership(st) {
	case stateJoined, stateJoining, stateUpgrade:
		return true
	}
	return false
}

// place is a board with its team.
type place struct {
	state *team.State
	id    board.ID
	name  string
}

func (p place) String() string { return p.state.Name() + "/" + p.name }

// findBoard is the board that a request names. An empty board is general; "crew/commits" as the team is board commits
// of crew; a board's id needs no team.
func (s *service) findBoard(teamName, boardName string) (place, error) {
	if teamName == "" && boardName != "" {
		if id, err := board.ParseID(boardName); err == nil {
			if t, ok := s.Store.BoardTeam(id); ok {
				teamName = t.String()
			}
		}
	}
	st, err := s.findTeam(teamName)
	if err != nil && boardName == "" {
		before, after, split := strings.Cut(teamName, "/")
		if split && reasonOf(err) == reasonNotFound {
			boardName = after
			st, err = s.findTeam(before)
		}
	}
	if err != nil {
		return place{}, err
	}
	if boardName == "" {
		return place{st, board.GeneralID(st.ID()), "general"}, nil
	}
	if id, err := board.ParseID(boardName); err == nil {
		if b, ok := st.Board(id); ok {
			return place{st, b.ID, b.Name}, nil
		}
		return place{}, refuse(reasonNotFound, "couldn't find board %s in team %s", boardName, st.Name())
	}
	return boardByName(st, boardName)
}

func boardByName(st *team.State, name string) (place, error) {
	var found []place
	for _, b := range st.Boards() {
		if b.Name == name {
			found = append(found, place{st, b.ID, b.Name})
		}
	}
	switch len(found) {
	case 0:
		return place{}, refuse(reasonNotFound, "couldn't find a board called %q in team %s", shorten(name), st.Name()).
			hint("weft board list %s shows its boards; weft board create %s NAME makes one", word(st.Name()), word(st.Name()))
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, p := range found {
		ids[i] = p.id.String()
	}
	return place{}, ambiguous("board", name, ids)
}

// findUser is the user with this id or unambiguous name among the people of this node's teams.
func (s *service) findUser(name string) (board.UserID, error) {
	if id, err := board.ParseUserID(name); err == nil {
		return id, nil
	}
	if name == "" {
		return board.UserID{}, refuse(reasonEmpty, "couldn't find the user: none was named")
	}
	var found []board.UserID
	for _, id := range s.Store.Teams() {
		st, ok := s.Store.Team(id)
		if !ok || !st.Known() {
			continue
		}
		for _, m := range st.Members() {
			if m.Name == name && !slices.Contains(found, m.User) {
				found = append(found, m.User)
			}
		}
	}
	switch len(found) {
	case 0:
		return board.UserID{}, refuse(reasonNotFound, "couldn't find a user called %q in this node's teams", shorten(name)).
			hint("weft team members TEAM shows names and ids")
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, u := range found {
		ids[i] = u.String()
	}
	return board.UserID{}, ambiguous("user", name, ids)
}

// findPerson is someone who is or was in a team, or asks to be: by id, or by an unambiguous name. An id may be of anyone.
func (s *service) findPerson(st *team.State, name string) (board.UserID, error) {
	u, err := pickPerson(st.Members(), name)
	if reasonOf(err) != reasonNotFound {
		return u, err
	}
	others := st.Outsiders()
	for _, r := range st.Requests() {
		others = append(others, team.Person{User: r.User, Name: r.Name})
	}
	if u, err = pickPerson(others, name); reasonOf(err) == reasonNotFound {
		return u, refuse(reasonNotFound, "couldn't find a user called %q in team %s", shorten(name), st.Name()).
			hint("weft team members %s --all shows names and ids", word(st.Name()))
	}
	return u, err
}

// pickPerson is the one of these people with an id or name.
func pickPerson(people []team.Person, name string) (board.UserID, error) {
	if name == "" {
		return board.UserID{}, refuse(reasonEmpty, "couldn't find the user: none was named")
	}
	if id, err := board.ParseUserID(name); err == nil {
		return id, nil
	}
	var found []board.UserID
	for _, p := range people {
		if p.Name == name && !slices.Contains(found, p.User) {
			found = append(found, p.User)
		}
	}
	switch len(found) {
	case 0:
		return board.UserID{}, refuse(reasonNotFound, "couldn't find a user called %q", shorten(name))
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, u := range found {
		ids[i] = u.String()
	}
	return board.UserID{}, ambiguous("user", name, ids)
}

func ambiguous(what, name string, ids []string) *refusal {
	slices.Sort(ids)
	rest := ""
	if len(ids) > maxCandidates {
		rest = fmt.Sprintf(" and %d more", len(ids)-maxCandidates)
		ids = ids[:maxCandidates]
	}
	return refuse(reasonAmbiguous, "couldn't tell which %s %q is meant: it could be %s%s", what, shorten(name), strings.Join(ids, ", "), rest)
}

// plainWord is text that a shell takes for one word.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=-]+$`)

// word is text as it stands in a command that people copy.
func word(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shorten keeps what a caller sent from filling the answer.
func shorten(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// roleNames in the API.
var roleNames = map[team.Role]string{
	team.Banned: "banned", team.Removed: "removed", team.Reader: "reader", team.Muted: "muted",
	team.Member: "member", team.Admin: "admin", team.Owner: "owner", team.None: "none",
}
