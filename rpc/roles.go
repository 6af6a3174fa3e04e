package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// changeResponse is what calls that change a team answer.
type changeResponse = *connect.Response[weftv1.ChangeResponse]

// settableRoles are those that SetRole gives.
var settableRoles = map[string]team.Role{
	"member": team.Member, "muted": team.Muted, "reader": team.Reader, "removed": team.Removed, "banned": team.Banned,
}

// roleNamed is a role by its name; usual for "".
func roleNamed(name string, usual team.Role, among ...team.Role) (team.Role, error) {
	if name == "" {
		return usual, nil
	}
	role, known := settableRoles[name]
	if known && (len(among) == 0 || slices.Contains(among, role)) {
		return role, nil
	}
	r := refuse(reasonUnknownOption, "couldn't use role %q: it can be %s", shorten(name), roleList(among))
	if name == "admin" || name == "owner" {
		r.hint("power is given by ChangeCharter: weft team %s add TEAM USER", name)
	}
	return 0, r
}

func roleList(among []team.Role) string {
	if len(among) == 0 {
		return "member, muted, reader, removed or banned"
	}
	words := ""
	for i, r := range among {
		switch {
		case i == 0:
		case i == len(among)-1:
			words += " or "
		default:
			words += ", "
		}
		words += roleNames[r]
	}
	return words
}

func (s *teamService) SetRole(ctx context.Context, req *connect.Request[weftv1.SetRoleRequest]) (changeResponse, error) {
	m := req.Msg
	if m.Role == "" {
		return nil, refuse(reasonEmpty, "couldn't set a role: none was given").hint("give role: member, muted, reader, removed or banned")
	}
	role, err := roleNamed(m.Role, team.Member)
	if err != nil {
		return nil, err
	}
	st, u, err := s.teamAndPerson(m.Team, m.User)
	if err != nil {
		return nil, err
	}
	return s.setRole(ctx, st, u, role, m.Reason, m.WaitMs)
}

// teamAndPerson are a team and someone who is or was in it, or asks to be.
func (s *service) teamAndPerson(teamName, user string) (*team.State, board.UserID, error) {
	st, err := s.findTeam(teamName)
	if err != nil {
		return nil, board.UserID{}, err
	}
	u, err := s.findPerson(st, user)
	return st, u, err
}

// setRole records that somebody has a role from now on.
func (s *service) setRole(ctx context.Context, st *team.State, u board.UserID, role team.Role, reason string, waitMs uint64) (changeResponse, error) {
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	name := s.nameOf(st, u)
	if u == s.Identity.User && role <= team.Removed {
		return nil, refuse(reasonMalformed, "couldn't make you %s in team %s yourself", roleNames[role], st.Name()).hint("to go, use Leave: weft team leave %s", word(st.Name()))
	}
	cut, err := s.Store.CutUser(st.ID(), u)
	if err != nil {
		return nil, fmt.Errorf("couldn't look up what is here of %s: %w", name, err)
	}
	o, err := team.NewSet(st, s.Identity, u, role, cut, reason, nonce())
	d := &deed{team: st}
	if errors.Is(err, team.ErrUnchanged) {
		d.did = fmt.Sprintf("%s is %s in team %s already", name, roleNames[role], st.Name())
		return s.answer(ctx, d, 0)
	}
	if err != nil {
		return nil, s.explainPower(st, u, err)
	}
	before := st.Role(u)
	if err := s.record(ctx, d, o); err != nil {
		return nil, err
	}
	d.did = roleWords(name, st.Name(), before, role)
	if now := d.team.Role(u); now != role && now < role {
		d.note("%s stays %s: another operation that this node had not heard of is more restrictive; weft team why %s %s explains it", name, roleNames[now], word(st.Name()), word(name))
	}
	s.noteRole(d, name, before, role)
	return s.answer(ctx, d, waitMs)
}

// roleWords says what became of somebody.
func roleWords(name, teamName string, before, role team.Role) string {
	switch role {
	case team.Banned:
		return fmt.Sprintf("%s is banned from team %s", name, teamName)
	case team.Removed:
		return fmt.Sprintf("%s is removed from team %s", name, teamName)
	case team.Muted:
		return fmt.Sprintf("%s is muted in team %s: they read, and can't write", name, teamName)
	case team.Reader:
		return fmt.Sprintf("%s reads in team %s, and can't write", name, teamName)
	}
	if before == team.None || before <= team.Removed {
		return fmt.Sprintf("%s is in team %s as %s", name, teamName, roleNames[role])
	}
	return fmt.Sprintf("%s is %s in team %s", name, roleNames[role], teamName)
}

// noteRole says what a change of somebody's role doesn't do.
func (s *service) noteRole(d *deed, name string, before, role team.Role) {
	switch {
	case role <= team.Removed:
		d.note("what %s had they keep; what they write from now on counts nowhere", name)
	case before == team.Banned || before == team.Removed:
		d.note("what %s wrote elsewhere without having heard of it stays void", name)
	}
}

// explainPower adds to a refusal of package team what this node knows of the person that was meant.
func (s *service) explainPower(st *team.State, u board.UserID, err error) error {
	name, command := s.nameOf(st, u), word(st.Name())
	switch {
	case errors.Is(err, team.ErrHasPower):
		role := "admin"
		if st.Role(u) == team.Owner {
			role = "owner"
		}
		return refuse(reasonHasPower, "couldn't do that to %s, who is %s: %w", name, article(role), team.ErrHasPower).
			hint("weft team %s remove %s %s --keep-as removed (or banned, muted, …) does both in one step; owners can", role, command, word(name))
	case errors.Is(err, team.ErrNoPower):
		return refuse(reasonForbidden, "%w", err).hint("ask %s", anyOf(s.powerful(st)))
	}
	return err
}

func article(role string) string {
	if role == "member" || role == "reader" {
		return "a " + role
	}
	return "an " + role
}

// anyOf names a few people.
func anyOf(names []string) string {
	const few = 5
	rest := ""
	if len(names) > few {
		names, rest = names[:few], " or another one"
	}
	words := ""
	for i, n := range names {
		switch {
		case i == 0:
		case i == len(names)-1 && rest == "":
			words += " or "
		default:
			words += ", "
		}
		words += n
	}
	return words + rest
}

// Recut takes somebody's cut again.
func (s *teamService) Recut(ctx context.Context, req *connect.Request[weftv1.RecutRequest]) (changeResponse, error) {
	m := req.Msg
	st, u, err := s.teamAndPerson(m.Team, m.User)
	if err != nil {
		return nil, err
	}
	if err := checkReason(m.Reason); err != nil {
		return nil, err
	}
	name := s.nameOf(st, u)
	cut, err := s.Store.CutUser(st.ID(), u)
	if err != nil {
		return nil, fmt.Errorf("couldn't look up what is here of %s: %w", name, err)
	}
	o, err := team.NewRecut(st, s.Identity, u, cut, m.Reason, nonce())
	if err != nil {
		return nil, s.explainPower(st, u, err)
	}
	d := &deed{team: st, did: fmt.Sprintf("what this node has of %s counts again in team %s", name, st.Name())}
	if err := s.record(ctx, d, o); err != nil {
		return nil, err
	}
	d.note("%s stays %s", name, roleNames[d.team.Role(u)])
	return s.answer(ctx, d, m.WaitMs)
}

// Leave takes the node's user out of a team, or takes a request to join back.
func (s *teamService) Leave(ctx context.Context, req *connect.Request[weftv1.LeaveRequest]) (changeResponse, error) {
	m := req.Msg
	if a, ok := s.askedTeam(m.Team); ok {
		s.Mesh.ForgetAsked(a.Team)
		return connect.NewResponse(&weftv1.ChangeResponse{
			Did: fmt.Sprintf("this node no longer asks to be let into team %s", a.Name), Counts: true,
			Notes:  []string{"the request that is with the team already can't be taken back; somebody may still approve it"},
			Follow: &weftv1.Follow{},
		}), nil
	}
	st, err := s.findTeam(m.Team)
	if err != nil {
		return nil, err
	}
	cut, err := s.Store.CutUser(st.ID(), s.Identity.User)
	if err != nil {
		return nil, fmt.Errorf("couldn't look up what is here of you: %w", err)
	}
	o, err := team.NewLeave(st, s.Identity, cut, nonce())
	switch {
	case errors.Is(err, team.ErrUnchanged):
		return s.answer(ctx, &deed{team: st, did: fmt.Sprintf("you are not in team %s any more", st.Name())}, 0)
	case errors.Is(err, team.ErrOwnerLeaves):
		return nil, refuse(reasonOwnerLeaves, "couldn't leave team %s: %w", st.Name(), team.ErrOwnerLeaves).
			hint("%s", s.waysOut(st))
	case errors.Is(err, team.ErrAdminLeaves):
		return nil, refuse(reasonAdminLeaves, "couldn't leave team %s: %w", st.Name(), team.ErrAdminLeaves).
			hint("ask %s for: weft team admin remove %s %s --keep-as removed", anyOf(s.ownerNames(st)), word(st.Name()), word(s.nameOf(st, s.Identity.User)))
	case err != nil:
		return nil, err
	}
	d := &deed{team: st, did: "you left team " + st.Name()}
	if err := s.record(ctx, d, o); err != nil {
		return nil, err
	}
	d.note("the other nodes are told; whether they have heard can't be seen from here, since nothing of the team comes any more")
	d.note("what is here stays, to read; to come back, ask an admin: an invite doesn't let you in again")
	res, err := s.answer(ctx, d, 0)
	if err == nil {
		res.Msg.Follow = &weftv1.Follow{}
	}
	return res, err
}

// waysOut tells an owner how to go.
func (s *service) waysOut(st *team.State) string {
	return fmt.Sprintf("hand it over (weft team owner handover %[1]s USER --keep-as removed), or end it (weft team disband %[1]s)", word(st.Name()))
}

// powerful are the names of a team's owners and admins.
func (s *service) powerful(st *team.State) (names []string) {
	for _, m := range st.Members() {
		if m.Role == team.Owner || m.Role == team.Admin {
			names = append(names, personName(m))
		}
	}
	return names
}

func (s *service) ownerNames(st *team.State) (names []string) {
	for _, m := range st.Members() {
		if m.Role == team.Owner {
			names = append(names, personName(m))
		}
	}
	return names
}

// ListRequests are those who ask to be let in.
func (s *teamService) ListRequests(ctx context.Context, req *connect.Request[weftv1.ListRequestsRequest]) (*connect.Response[weftv1.ListRequestsResponse], error) {
	states, err := s.teamsNamed(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	res := &weftv1.ListRequestsResponse{}
	for _, st := range states {
		recorded, err := s.recordedOf(ctx, st.ID())
		if err != nil {
			return nil, err
		}
		for _, r := range st.Requests() {
			res.Requests = append(res.Requests, &weftv1.TeamRequest{
				TeamId: st.ID().String(), Team: st.Name(), UserId: r.User.String(), Name: r.Name, Note: r.Note,
				AskedMs: recorded.at(r.Op), Homes: nodeTexts(r.Homes), ObjectId: r.Op.String(),
			})
		}
	}
	return connect.NewResponse(res), nil
}

// requestOf is somebody's request to be let in.
func (s *service) requestOf(teamName, user string) (*team.State, team.Request, error) {
	st, err := s.findTeam(teamName)
	if err != nil {
		return nil, team.Request{}, err
	}
	requests := st.Requests()
	people := make([]team.Person, len(requests))
	for i, r := range requests {
		people[i] = team.Person{User: r.User, Name: r.Name}
	}
	u, err := pickPerson(people, user)
	if reasonOf(err) == reasonNotFound {
		return nil, team.Request{}, refuse(reasonNotFound, "couldn't find a request of %q to be let into team %s", shorten(user), st.Name()).
			hint("weft team requests %s shows who asks", word(st.Name()))
	}
	for _, r := range requests {
		if err == nil && r.User == u {
			return st, r, nil
		}
	}
	if err == nil {
		err = refuse(reasonNotFound, "couldn't find a request of %s to be let into team %s", shorten(user), st.Name()).hint("weft team requests %s shows who asks", word(st.Name()))
	}
	return nil, team.Request{}, err
}

func (s *teamService) Approve(ctx context.Context, req *connect.Request[weftv1.ApproveRequest]) (changeResponse, error) {
	role, err := roleNamed(req.Msg.Role, team.Member, team.Member, team.Muted, team.Reader)
	if err != nil {
		return nil, err
	}
	st, r, err := s.requestOf(req.Msg.Team, req.Msg.User)
	if err != nil {
		return nil, err
	}
	return s.setRole(ctx, st, r.User, role, "", req.Msg.WaitMs)
}

func (s *teamService) Reject(ctx context.Context, req *connect.Request[weftv1.RejectRequest]) (changeResponse, error) {
	st, r, err := s.requestOf(req.Msg.Team, req.Msg.User)
	if err != nil {
		return nil, err
	}
	reason := req.Msg.Reason
	if reason == "" {
		reason = "the request to join was not approved"
	}
	res, err := s.setRole(ctx, st, r.User, team.Removed, reason, req.Msg.WaitMs)
	if err == nil {
		name := r.Name
		if name == "" {
			name = shortID(r.User)
		}
		res.Msg.Did = fmt.Sprintf("the request of %s to be let into team %s is rejected", name, st.Name())
		res.Msg.Notes = []string{fmt.Sprintf("they are told; weft team role %s %s member lets them in after all, once their node asks again or they use the link again", word(st.Name()), word(name))}
	}
	return res, err
}
