package rpc

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// Limits of Log.
const (
	defaultLog = 100
	maxLog     = 1000
)

// statusNames of governance objects in the API.
var statusNames = map[team.Status]string{
	team.Valid: "counts", team.Pending: "pending", team.Void: "void", team.Unevaluated: "pending",
}

// Log is what was done to a team, newest first.
func (s *teamService) Log(ctx context.Context, req *connect.Request[weftv1.LogRequest]) (*connect.Response[weftv1.LogResponse], error) {
	m := req.Msg
	st, err := s.findTeam(m.Team)
	if err != nil {
		return nil, err
	}
	limit := int(m.Limit)
	switch {
	case limit == 0:
		limit = defaultLog
	case limit > maxLog:
		return nil, refuse(reasonTooMany, "couldn't read %d events at a time: at most %d", limit, maxLog).hint("go on with before")
	}
	events, recorded, err := s.events(ctx, st)
	if err != nil {
		return nil, err
	}
	if m.Before != "" {
		from, err := board.ParseHash(m.Before)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(events, func(e team.Event) bool { return e.Object == from })
		if i < 0 {
			return nil, refuse(reasonNotFound, "couldn't find object %s in the log of team %s", shorten(m.Before), st.Name()).hint("begin without before")
		}
		events = events[i+1:]
	}
	res := &weftv1.LogResponse{}
	for _, e := range events[:min(limit, len(events))] {
		res.Events = append(res.Events, s.wireEvent(st, e, recorded))
	}
	if len(events) > limit {
		res.Before = res.Events[limit-1].ObjectId
	}
	return connect.NewResponse(res), nil
}

// events are a team's, the newest first.
func (s *service) events(ctx context.Context, st *team.State) ([]team.Event, records, error) {
	recorded, err := s.recordedOf(ctx, st.ID())
	if err != nil {
		return nil, nil, err
	}
	events := st.Log()
	slices.SortFunc(events, func(a, b team.Event) int {
		x, y := recorded[a.Object].received, recorded[b.Object].received
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return strings.Compare(string(b.Object[:]), string(a.Object[:]))
	})
	return events, recorded, nil
}

func (s *service) wireEvent(st *team.State, e team.Event, recorded records) *weftv1.LogEvent {
	out := &weftv1.LogEvent{
		ObjectId: e.Object.String(), Kind: e.Kind.String(), Words: text(e.Words), Status: statusNames[e.Verdict.Status],
		Reason: e.Verdict.Reason, Rule: e.Verdict.Rule, RecordedMs: recorded.at(e.Object),
	}
	if e.Author != (board.UserID{}) {
		out.Author, out.AuthorName = e.Author.String(), st.UserName(e.Author)
	}
	if h, ok := recorded[e.Object]; ok {
		out.NodeId = nodeText(h.node)
	}
	return out
}

// Why explains somebody's role.
func (s *teamService) Why(ctx context.Context, req *connect.Request[weftv1.WhyRequest]) (*connect.Response[weftv1.WhyResponse], error) {
	st, u, err := s.teamAndPerson(req.Msg.Team, req.Msg.User)
	if err != nil {
		return nil, err
	}
	recorded, err := s.recordedOf(ctx, st.ID())
	if err != nil {
		return nil, err
	}
	role := st.Role(u)
	because := st.Why(u)
	if role == team.None && len(because) == 0 && st.UserName(u) == "" {
		return nil, refuse(reasonNotFound, "couldn't find %s in the records of team %s", shorten(req.Msg.User), st.Name())
	}
	slices.SortStableFunc(because, func(a, b team.Reasoning) int {
		return cmp.Compare(recorded[a.Object].received, recorded[b.Object].received)
	})
	res := &weftv1.WhyResponse{UserId: u.String(), Name: st.UserName(u), Role: roleNames[role], Words: s.standing(st, u, role)}
	for _, r := range because {
		res.Because = append(res.Because, s.wireEvent(st, team.Event{Object: r.Object, Kind: r.Kind, Author: r.Author, Words: r.Words, Verdict: r.Verdict}, recorded))
	}
	return connect.NewResponse(res), nil
}

// standing says in a sentence what somebody is.
func (s *service) standing(st *team.State, u board.UserID, role team.Role) string {
	by := ""
	r, removed := st.Removal(u)
	if _, name := s.whoRemoved(st, r); removed && name != "" {
		by = " by " + name
	}
	switch {
	case removed && r.Left:
		return "left the team"
	case removed && r.Reason != "":
		return fmt.Sprintf("%s%s: %s", roleNames[role], by, text(r.Reason))
	case removed:
		return roleNames[role] + by
	case role == team.None:
		return "has no role in the team"
	case role == team.Muted:
		return "muted: reads, and can't write"
	case role == team.Reader:
		return "a reader: reads, and can't write"
	}
	return article(roleNames[role])
}

// ListDropped is what the node's user did that does not count because its charter lost.
func (s *teamService) ListDropped(ctx context.Context, req *connect.Request[weftv1.ListDroppedRequest]) (*connect.Response[weftv1.ListDroppedResponse], error) {
	states, err := s.teamsNamed(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	res := &weftv1.ListDroppedResponse{}
	for _, st := range states {
		recorded, err := s.recordedOf(ctx, st.ID())
		if err != nil {
			return nil, err
		}
		for _, e := range s.dropped(ctx, st) {
			again, err := s.again(ctx, st, e.Object)
			res.Acts = append(res.Acts, &weftv1.DroppedAct{
				TeamId: st.ID().String(), Team: st.Name(), Event: s.wireEvent(st, e, recorded), Reissuable: err == nil && again != nil,
			})
		}
	}
	return connect.NewResponse(res), nil
}

// Reissue does again what was dropped.
func (s *teamService) Reissue(ctx context.Context, req *connect.Request[weftv1.ReissueRequest]) (changeResponse, error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	wanted := map[board.Hash]bool{}
	for _, id := range req.Msg.ObjectIds {
		h, err := board.ParseHash(id)
		if err != nil {
			return nil, err
		}
		wanted[h] = true
	}
	d := &deed{team: st}
	done := 0
	for _, e := range s.dropped(ctx, st) {
		if len(wanted) > 0 && !wanted[e.Object] {
			continue
		}
		o, err := s.again(ctx, d.team, e.Object)
		switch {
		case err != nil:
			d.note("couldn't do this again: %s: %s", text(e.Words), err)
			continue
		case o == nil:
			d.note("this is for you to do again, if it is still wanted: %s", text(e.Words))
		default:
			if err := s.record(ctx, d, o); err != nil {
				return nil, err
			}
			done++
		}
		if err := s.dealtWith(ctx, e.Object); err != nil {
			return nil, err
		}
	}
	d.did = fmt.Sprintf("%s again in team %s", plural(done, "thing is done", "things are done"), st.Name())
	if done == 0 && len(d.notes) == 0 {
		d.did = fmt.Sprintf("nothing that you did in team %s was dropped", st.Name())
	}
	return s.answer(ctx, d, req.Msg.WaitMs)
}

// again makes an operation a second time, under the charter that counts; nil: only a person can. Charters are such, since
// what they were made from has changed.
func (s *service) again(ctx context.Context, st *team.State, object board.Hash) (*team.Object, error) {
	was, err := s.Store.Object(ctx, st.ID(), object)
	if err != nil {
		return nil, err
	}
	switch k := was.Op.GetKind().(type) {
	case *weftv1.Operation_Set:
		u := board.UserID(k.Set.User)
		if u == s.Identity.User {
			return nil, nil
		}
		cut, err := s.Store.CutUser(st.ID(), u)
		if err != nil {
			return nil, err
		}
		return team.NewSet(st, s.Identity, u, team.Role(k.Set.Role), cut, k.Set.Reason, nonce())
	case *weftv1.Operation_Node:
		n := board.NodeID(k.Node.Node)
		cut, err := s.Store.CutNode(st.ID(), n)
		if err != nil {
			return nil, err
		}
		return team.NewNode(st, s.Identity, n, k.Node.Allowed, cut, nonce())
	case *weftv1.Operation_Uninvite:
		h := board.Hash(k.Uninvite.Invite)
		cut, err := s.Store.CutInvite(st.ID(), h)
		if err != nil {
			return nil, err
		}
		return team.NewUninvite(st, s.Identity, h, cut, nonce())
	case *weftv1.Operation_Board:
		return team.NewBoard(st, s.Identity, k.Board.Name, nonce())
	}
	return nil, nil
}
