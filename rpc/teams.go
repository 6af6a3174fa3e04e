package rpc

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// How long joining may take.
const (
	defaultJoinWait = 20 * time.Second
	maxJoinWait     = 5 * time.Minute
)

type teamService struct{ *service }

func (s *teamService) CreateTeam(ctx context.Context, req *connect.Request[weftv1.CreateTeamRequest]) (*connect.Response[weftv1.CreateTeamResponse], error) {
	if req.Msg.Name == "" {
		return nil, refuse(reasonEmpty, "couldn't create a team: it needs a name")
	}
	if st, err := s.findTeam(req.Msg.Name); err == nil && s.active(st) || reasonOf(err) == reasonAmbiguous {
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
	res := &weftv1.CreateTeamResponse{TeamId: id.String(), GeneralBoardId: board.GeneralID(id).String()}
	if st, ok := s.Store.Team(id); ok {
		res.Warnings = s.warnings(st)
	}
	return connect.NewResponse(res), nil
}

func (s *teamService) ListTeams(ctx context.Context, _ *connect.Request[weftv1.ListTeamsRequest]) (*connect.Response[weftv1.ListTeamsResponse], error) {
	res := &weftv1.ListTeamsResponse{}
	for _, st := range s.teams() {
		res.Teams = append(res.Teams, s.wireTeam(ctx, st))
	}
	res.Teams = append(res.Teams, s.askedTeams()...)
	return connect.NewResponse(res), nil
}

func (s *teamService) GetTeam(ctx context.Context, req *connect.Request[weftv1.GetTeamRequest]) (*connect.Response[weftv1.GetTeamResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	policy := st.Policy()
	res := &weftv1.GetTeamResponse{
		Team: s.wireTeam(ctx, st), NodeIds: nodeTexts(st.Nodes()), JoinMode: joinNames[policy.Join], Policy: wirePolicy(policy),
		CharterVersion: st.Charter().GetVer(), Requests: uint32(len(st.Requests())), Proposals: uint32(len(st.Proposals())),
		Invites: s.wireInvites(st), Warnings: s.warnings(st),
	}
	if chain := st.Chain(); len(chain) > 0 {
		res.CharterId = chain[len(chain)-1].String()
	}
	for _, n := range st.Origins() {
		if _, denied := st.Denial(n); denied {
			res.DeniedNodes = append(res.DeniedNodes, nodeText(n))
		}
	}
	for _, r := range st.Charter().GetRelays() {
		res.Relays = append(res.Relays, nodeText(board.NodeID(r)))
	}
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
	return connect.NewResponse(res), nil
}

func (s *teamService) Join(ctx context.Context, req *connect.Request[weftv1.JoinTeamRequest]) (*connect.Response[weftv1.JoinTeamResponse], error) {
	link, err := team.ParseLink(req.Msg.Link)
	if err != nil {
		return nil, err
	}
	if len(req.Msg.Note) > team.MaxReason || !validUTF8(req.Msg.Note) {
		return nil, refuse(reasonTooLarge, "couldn't leave a note of %d bytes: it can be %d bytes of text", len(req.Msg.Note), team.MaxReason).hint("say it in fewer words")
	}
	ctx, cancel := untilStop(ctx)
	defer cancel()
	wait := waitFor(req.Msg.TimeoutMs, defaultJoinWait, maxJoinWait)
	ctx, done := context.WithTimeout(ctx, wait)
	defer done()
	joined, err := s.Mesh.Join(ctx, link, req.Msg.Note)
	if err != nil {
		if reasonOf(err) == reasonDeadline {
			return nil, refuse(reasonOffline, "couldn't join within %s: no node of the team has let us in: %w", wait, err)
		}
		if a, ok := s.askedTeam(board.TeamID(link.Team).String()); ok && a.Rejected && reasonOf(err) == reasonRemoved {
			return nil, rejected(a, err)
		}
		return nil, whyEnded(ctx, err)
	}
	if joined.Asked {
		return connect.NewResponse(&weftv1.JoinTeamResponse{TeamId: joined.Team.String(), Name: text(link.TeamName), Asked: true, Role: "none"}), nil
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

// rejected is a no to a request, told to somebody who never was in the team.
func rejected(a Asked, err error) error {
	why := ""
	if a.Reason != "" {
		why = ": " + text(a.Reason)
	}
	return refuse(reasonRemoved, "couldn't join: the request to be let into team %s was rejected%s", text(a.Name), why).because(err).
		hint("only owners and admins of the team can let you in after all; this node goes on asking, and weft team list shows how it stands")
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
