package rpc

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/api/weft/v1/weftv1connect"
	"weft/board"
	"weft/team"
)

// Defaults of invites and joins.
const (
	defaultInviteAge = 7 * 24 * time.Hour
	maxInviteUses    = 1000
	defaultJoinWait  = 20 * time.Second
	maxJoinWait      = 5 * time.Minute
)

type teamService struct {
	*service
	weftv1connect.UnimplementedTeamServiceHandler // of calls that are not here yet
}

func (s *teamService) CreateTeam(ctx context.Context, req *connect.Request[weftv1.CreateTeamRequest]) (*connect.Response[weftv1.CreateTeamResponse], error) {
	if req.Msg.Name == "" {
		return nil, refuse(reasonEmpty, "couldn't create a team: it needs a name")
	}
	if st, err := s.findTeam(req.Msg.Name); err == nil || reasonOf(err) == reasonAmbiguous {
		if err == nil {
			return nil, refuse(reasonNameTaken, "couldn't create team %q: %s has that name here", req.Msg.Name, st.ID())
		}
		return nil, refuse(reasonNameTaken, "couldn't create team %q: several have that name here", req.Msg.Name)
	}
	admins := make([]board.UserID, 0, len(req.Msg.Admins))
	for _, name := range req.Msg.Admins {
		u, err := s.findUser(name)
		if err != nil {
			return nil, err
		}
		admins = append(admins, u)
	}
	id, objects, err := team.NewTeam(s.Identity, req.Msg.Name, admins, nonce())
	if err != nil {
		return nil, err
	}
	if err := s.Store.AdoptTeam(ctx, id, objects[0]); err != nil {
		return nil, err
	}
	for _, o := range objects {
		if _, err := s.Store.AppendObject(ctx, id, o); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(&weftv1.CreateTeamResponse{TeamId: id.String(), GeneralBoardId: board.GeneralID(id).String()}), nil
}

func (s *teamService) ListTeams(context.Context, *connect.Request[weftv1.ListTeamsRequest]) (*connect.Response[weftv1.ListTeamsResponse], error) {
	res := &weftv1.ListTeamsResponse{}
	for _, st := range s.teams() {
		res.Teams = append(res.Teams, s.wireTeam(st))
	}
	return connect.NewResponse(res), nil
}

func (s *teamService) GetTeam(_ context.Context, req *connect.Request[weftv1.GetTeamRequest]) (*connect.Response[weftv1.GetTeamResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	res := &weftv1.GetTeamResponse{Team: s.wireTeam(st), NodeIds: nodeTexts(st.Nodes()), JoinMode: "link"}
	for _, m := range st.Members() {
		switch m.Role {
		case team.Owner:
			res.Owners = append(res.Owners, m.User.String())
		case team.Admin:
			res.Admins = append(res.Admins, m.User.String())
		}
	}
	for _, b := range st.Boards() {
		res.Boards = append(res.Boards, s.wireBoard(place{st, b.ID, b.Name}, false))
	}
	for _, i := range st.Invites() {
		res.Invites = append(res.Invites, &weftv1.InviteInfo{
			InviteId: i.Op.String(), Role: roleNames[i.Role], Admitter: nodeText(i.Admitter),
			Quota: i.Quota, Used: i.Used, ExpiresMs: i.ExpiresMs,
		})
	}
	return connect.NewResponse(res), nil
}

func (s *teamService) ListMembers(_ context.Context, req *connect.Request[weftv1.ListMembersRequest]) (*connect.Response[weftv1.ListMembersResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	res := &weftv1.ListMembersResponse{}
	for _, m := range st.Members() {
		res.Members = append(res.Members, &weftv1.Member{
			UserId: m.User.String(), Name: m.Name, Role: roleNames[m.Role], Homes: nodeTexts(m.Homes),
		})
	}
	return connect.NewResponse(res), nil
}

func (s *teamService) CreateInvite(ctx context.Context, req *connect.Request[weftv1.CreateInviteRequest]) (*connect.Response[weftv1.CreateInviteResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	role := team.Member
	switch req.Msg.Role {
	case "", "member":
	case "reader":
		role = team.Reader
	default:
		return nil, refuse(reasonUnknownOption, "couldn't make an invite for role %q: it can be member or reader", shorten(req.Msg.Role))
	}
	uses := max(req.Msg.Uses, 1)
	if uses > maxInviteUses {
		return nil, refuse(reasonTooMany, "couldn't make an invite for %d uses: at most %d", uses, maxInviteUses).hint("make several invites")
	}
	expires, err := s.inviteExpiry(req.Msg.ExpiresInMs)
	if err != nil {
		return nil, err
	}
	var seed [32]byte
	rand.Read(seed[:])
	o, err := team.NewInvite(st, s.Identity, role, s.Node, uses, expires, nonce(), seed)
	if err != nil {
		return nil, err
	}
	if _, err := s.Store.AppendObject(ctx, st.ID(), o); err != nil {
		return nil, err
	}
	if now, ok := s.Store.Team(st.ID()); ok {
		st = now
	}
	link, err := team.NewLink(st, s.Identity, o, seed, s.Mesh.InviteAddrs())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&weftv1.CreateInviteResponse{Link: team.EncodeLink(link), InviteId: o.Hash.String(), ExpiresMs: expires}), nil
}

// inviteExpiry is when an invite made now expires, in milliseconds since 1970.
func (s *service) inviteExpiry(inMs uint64) (uint64, error) {
	const longest = 10 * 365 * 24 * time.Hour
	if inMs > uint64(longest.Milliseconds()) {
		return 0, refuse(reasonTooMany, "couldn't make an invite for more than ten years").hint("choose an earlier expiry")
	}
	age := time.Duration(inMs) * time.Millisecond
	if inMs == 0 {
		age = defaultInviteAge
	}
	return uint64(s.Now().Add(age).UnixMilli()), nil
}

func (s *teamService) Join(ctx context.Context, req *connect.Request[weftv1.JoinTeamRequest]) (*connect.Response[weftv1.JoinTeamResponse], error) {
	link, err := team.ParseLink(req.Msg.Link)
	if err != nil {
		return nil, err
	}
	ctx, cancel := untilStop(ctx)
	defer cancel()
	wait := waitFor(req.Msg.TimeoutMs, defaultJoinWait, maxJoinWait)
	ctx, done := context.WithTimeout(ctx, wait)
	defer done()
	joined, err := s.Mesh.Join(ctx, link)
	if err != nil {
		if reasonOf(err) == reasonDeadline {
			return nil, refuse(reasonOffline, "couldn't join within %s: no node of the team has let us in: %w", wait, err)
		}
		return nil, whyEnded(ctx, err)
	}
	st, ok := s.Store.Team(joined.Team)
	if !ok {
		return nil, refuse(reasonInternal, "couldn't find the team that was joined just now")
	}
	res := &weftv1.JoinTeamResponse{
		TeamId: st.ID().String(), Name: st.Name(), AlreadyMember: joined.AlreadyMember, Role: roleNames[st.Role(s.Identity.User)],
	}
	for _, b := range st.Boards() {
		if info, ok := s.Store.Board(b.ID); ok {
			res.Entries += info.Entries
		}
	}
	return connect.NewResponse(res), nil
}

// teams are the joined teams, by name and id.
func (s *service) teams() []*team.State {
	var out []*team.State
	for _, id := range s.Store.Teams() {
		if st, ok := s.Store.Team(id); ok && st.Known() {
			out = append(out, st)
		}
	}
	slices.SortStableFunc(out, func(a, b *team.State) int {
		switch {
		case a.Name() < b.Name():
			return -1
		case a.Name() > b.Name():
			return 1
		}
		return 0
	})
	return out
}

func (s *service) wireTeam(st *team.State) *weftv1.Team {
	state := "joined"
	role := st.Role(s.Identity.User)
	switch {
	case st.UpgradeNeeded():
		state = "upgrade_needed"
	case role == team.None:
		state = "joining"
	case role <= team.Removed:
		state = "removed"
	}
	return &weftv1.Team{
		TeamId: st.ID().String(), Name: st.Name(), Role: roleNames[role], Members: uint32(len(st.Members())),
		Boards: uint32(len(st.Boards())), Nodes: uint32(len(st.Nodes())), State: state,
	}
}

func nonce() (n [16]byte) {
	rand.Read(n[:])
	return n
}

// waitFor is how long a request wants to wait, within reason.
func waitFor(ms uint64, usual, most time.Duration) time.Duration {
	if ms == 0 {
		return usual
	}
	if ms > uint64(most.Milliseconds()) {
		return most
	}
	return time.Duration(ms) * time.Millisecond
}

// beforeDeadline is how long to wait where a caller has so much time left: an eighth of it, a second at most, is kept
// for the answer.
func beforeDeadline(left time.Duration) time.Duration { return left - min(left/8, time.Second) }
