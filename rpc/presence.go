package rpc

import (
	"cmp"
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
	"weft/presence/hub"
	"weft/team"
)

// Limits of the presence calls.
const (
	maxPeopleNamed = 1000
	maxFor         = 10 * 365 * 24 * time.Hour // of what a person sets
	snapshotPeople = 1000                      // about how many people one message of a snapshot shows
	attachBeat     = 20 * time.Second
	maxClientName  = 64 // bytes
)

type presenceService struct{ *service }

// visible says why the node's user may not see or reach the people of a team.
func (s *service) visible(st *team.State) error {
	switch s.membership(st) {
	case stateLeft, stateRemoved, stateBanned:
		return refuse(reasonRemoved, "couldn't reach the people of team %s: you are out of it", st.Name())
	case stateClosed:
		return refuse(reasonTeamClosed, "couldn't reach the people of team %s: it was disbanded", st.Name())
	}
	if _, denied := st.Denial(s.Node); denied {
		r := refuse(reasonNodeDenied, "couldn't reach the people of team %[1]s here: this node is kept out of team %[1]s", st.Name()).
			hint("look at another node of yours, or %s", s.askForThisNode(st))
		r.detail.Rule = ruleNodeDenied
		return r
	}
	return nil
}

// visibleTeams are those that a request names, which the user must be in; nil: all that the user is in.
func (s *service) visibleTeams(names []string) ([]*team.State, error) {
	var out []*team.State
	for _, name := range names {
		st, err := s.findTeam(name)
		if err == nil {
			err = s.visible(st)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

func teamIDs(states []*team.State) (out []board.TeamID) {
	for _, st := range states {
		out = append(out, st.ID())
	}
	return out
}

// named are the people that a request names: by ids, or by names that are unambiguous in the teams that it is about.
func (s *service) named(teams []*team.State, names []string) (out []board.UserID, err error) {
	if len(names) > maxPeopleNamed {
		return nil, refuse(reasonTooMany, "couldn't look at %d people: at most %d", len(names), maxPeopleNamed)
	}
	for _, name := range names {
		var u board.UserID
		if len(teams) == 1 {
			u, err = s.findPerson(teams[0], name)
		} else {
			u, err = s.findUser(name)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// SetPresence keeps what the user says of themselves.
func (s *presenceService) SetPresence(_ context.Context, req *connect.Request[weftv1.SetPresenceRequest]) (*connect.Response[weftv1.SetPresenceResponse], error) {
	m := req.Msg
	var in *board.TeamID
	if m.Team != "" {
		states, err := s.visibleTeams([]string{m.Team})
		if err != nil {
			return nil, err
		}
		id := states[0].ID()
		in = &id
	}
	set := presence.Setting{Availability: presence.Online, Status: strings.TrimSpace(m.Status)}
	switch m.State {
	case "online", "":
	case "away":
		set.Availability = presence.Away
	case "busy":
		set.Availability = presence.Busy
	case "invisible":
		set.Invisible = true
	default:
		return nil, refuse(reasonUnknownOption, "couldn't set the state %q: it can be online, away, busy or invisible", shorten(m.State))
	}
	switch {
	case m.Clear && (m.State != "" || m.Status != "" || m.ForMs != 0):
		return nil, refuse(reasonMalformed, "couldn't both set and clear").hint("clear goes with team only")
	case !m.Clear && m.State == "":
		return nil, refuse(reasonEmpty, "couldn't set no state").hint("give state: online, away, busy or invisible")
	case len(set.Status) > presence.MaxStatus:
		return nil, refuse(reasonTooLarge, "couldn't set a status of %d bytes: at most %d", len(set.Status), presence.MaxStatus).hint("say it in fewer words")
	case !utf8.ValidString(set.Status):
		return nil, refuse(reasonNotUTF8, "couldn't set the status: it is not UTF-8")
	case m.ForMs > uint64(maxFor.Milliseconds()):
		return nil, refuse(reasonTooLarge, "couldn't set a state for %d ms: at most %d, which is ten years", m.ForMs, maxFor.Milliseconds()).hint("0 holds until it is changed")
	case m.ForMs > 0:
		set.Until = s.Now().UnixMilli() + int64(m.ForMs)
	}
	p, err := s.Hub.Set(s.Identity.User, in, set, m.Clear)
	if err != nil {
		return nil, explainHub(err)
	}
	return connect.NewResponse(&weftv1.SetPresenceResponse{State: p.State.String(), UntilMs: uint64(p.Until)}), nil
}

// Settings are what the user has set and what of it holds.
func (s *presenceService) Settings(context.Context, *connect.Request[weftv1.PresenceSettingsRequest]) (*connect.Response[weftv1.PresenceSettingsResponse], error) {
	res := &weftv1.PresenceSettingsResponse{}
	now := s.Now().UnixMilli()
	for _, x := range s.Hub.Settings(s.Identity.User) {
		if x.Clear || x.Until != 0 && x.Until <= now {
			continue
		}
		w := &weftv1.PresenceSetting{State: x.Availability.String(), Status: text(x.Status), UntilMs: uint64(max(x.Until, 0)), SetMs: uint64(max(x.SetAt.Time().UnixMilli(), 0))}
		if x.Invisible {
			w.State = "invisible"
		}
		if x.Team != (board.TeamID{}) {
			w.TeamId, w.Team = x.Team.String(), s.teamName(x.Team)
		}
		res.Settings = append(res.Settings, w)
	}
	return connect.NewResponse(res), nil
}

// Attach holds a session for as long as its stream is open.
func (s *presenceService) Attach(ctx context.Context, req *connect.Request[weftv1.AttachRequest], stream *connect.ServerStream[weftv1.AttachResponse]) error {
	if len(req.Msg.Client) > maxClientName {
		return refuse(reasonTooLarge, "couldn't attach a client with a name of %d bytes: at most %d", len(req.Msg.Client), maxClientName).hint("program and version suffice")
	}
	ctx, cancel := untilStop(ctx)
	defer cancel()
	session, err := s.Hub.Attach(s.Identity.User, s.deviceID(), req.Msg.Client)
	if err != nil {
		return explainHub(err)
	}
	defer func() {
		if context.Cause(ctx) != errStopping { // the node says goodbye for all of its people
			session.Close(false) // after a goodbye this changes nothing
		}
	}()
	every := cmp.Or(s.SessionBeat, attachBeat)
	detached, forget := s.attached.add(session.ID())
	defer forget()
	if err := stream.Send(&weftv1.AttachResponse{Session: session.ID(), BeatMs: uint64(every.Milliseconds())}); err != nil {
		return whyEnded(ctx, err)
	}
	beat := time.NewTicker(every)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			if err := stream.Send(&weftv1.AttachResponse{}); err != nil {
				return whyEnded(ctx, err)
			}
		case <-detached:
			return nil
		case <-ctx.Done():
			return whyEnded(ctx, ctx.Err())
		}
	}
}

func (s *service) deviceID() board.DeviceID { return s.Identity.Device.Public() }

// session is one that a request names; no name: the daemon's own.
func (s *presenceService) session(id string) (*hub.Session, error) {
	if id == "" {
		if own := s.Hub.Own(); own != nil {
			return own, nil
		}
		return nil, refuse(reasonNotFound, "couldn't find the node's own session: it has none").
			hint("attach a session, or start the node with presence and presence-session on")
	}
	session, err := s.Hub.Session(s.Identity.User, id)
	if err != nil {
		return nil, refuse(reasonNotFound, "couldn't find the session: it has ended, or the node was started again").because(err).hint("attach again")
	}
	return session, nil
}

// Report takes what a client sees.
func (s *presenceService) Report(_ context.Context, req *connect.Request[weftv1.ReportRequest]) (*connect.Response[weftv1.ReportResponse], error) {
	m := req.Msg
	session, err := s.session(m.Session)
	if err != nil {
		return nil, err
	}
	if len(m.Payload) > presence.MaxPayload {
		return nil, refuse(reasonTooLarge, "couldn't show a payload of %d bytes: at most %d", len(m.Payload), presence.MaxPayload).hint("say it in fewer bytes")
	}
	if len(m.Payload) > 0 && !m.SetPayload {
		return nil, refuse(reasonMalformed, "couldn't tell what to do with the payload: set_payload is missing")
	}
	idleFor := time.Duration(min(m.IdleMs, uint64(maxFor.Milliseconds()))) * time.Millisecond
	if err := session.Report(m.Idle, idleFor); err != nil {
		return nil, explainHub(err)
	}
	if m.SetPayload {
		if err := session.SetPayload(m.Payload); err != nil {
			return nil, explainHub(err)
		}
	}
	return connect.NewResponse(&weftv1.ReportResponse{}), nil
}

// Detach is a goodbye, also of a session that was lost a moment ago. The session's stream ends.
func (s *presenceService) Detach(_ context.Context, req *connect.Request[weftv1.DetachRequest]) (*connect.Response[weftv1.DetachResponse], error) {
	if req.Msg.Session == "" {
		return nil, refuse(reasonEmpty, "couldn't detach: no session was named").hint("the node's own session lasts as long as the node")
	}
	if s.Hub.Leave(s.Identity.User, req.Msg.Session) == nil {
		return connect.NewResponse(&weftv1.DetachResponse{}), nil
	}
	session, err := s.session(req.Msg.Session)
	if err != nil {
		return nil, err
	}
	session.Close(true)
	s.attached.end(session.ID())
	return connect.NewResponse(&weftv1.DetachResponse{}), nil
}

// Why tells what each home says of somebody, and what of it counts.
func (s *presenceService) Why(_ context.Context, req *connect.Request[weftv1.PresenceWhyRequest]) (*connect.Response[weftv1.PresenceWhyResponse], error) {
	var names []string
	if req.Msg.Team != "" {
		names = []string{req.Msg.Team}
	}
	states, err := s.visibleTeams(names)
	if err != nil {
		return nil, err
	}
	people, err := s.named(states, []string{req.Msg.User})
	if err != nil {
		return nil, err
	}
	if states == nil {
		for _, st := range s.teams() {
			if s.visible(st) == nil && st.CanRead(people[0]) {
				states = append(states, st)
			}
		}
	}
	res := &weftv1.PresenceWhyResponse{}
	for _, st := range states {
		views, _, err := s.Hub.Snapshot(hub.SnapshotRequest{Viewer: s.Identity.User, Teams: []board.TeamID{st.ID()}, People: people})
		if err != nil {
			return nil, explainHub(err)
		}
		if len(views) == 0 || len(views[0].People) == 0 {
			continue
		}
		if res.Shown == nil {
			res.Shown = s.wirePerson(st, &views[0].People[0], true)
		}
		reasons, err := s.Hub.Why(s.Identity.User, st.ID(), people[0])
		if err != nil {
			return nil, explainHub(err)
		}
		for i := range reasons {
			res.Reasons = append(res.Reasons, s.wireReason(st, &reasons[i]))
		}
	}
	if res.Shown == nil {
		return nil, refuse(reasonNotFound, "couldn't find %q in a team that you are in", shorten(req.Msg.User)).hint("weft team members TEAM shows names and ids")
	}
	return connect.NewResponse(res), nil
}
