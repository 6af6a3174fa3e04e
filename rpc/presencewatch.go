package rpc

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
	"weft/presence/hub"
	"weft/team"
)

// Snapshot is who is there now.
func (s *presenceService) Snapshot(_ context.Context, req *connect.Request[weftv1.PresenceSnapshotRequest]) (*connect.Response[weftv1.PresenceSnapshotResponse], error) {
	m := req.Msg
	var names []string
	if m.Team != "" {
		names = []string{m.Team}
	}
	states, err := s.visibleTeams(names)
	if err != nil {
		return nil, err
	}
	people, err := s.named(states, m.People)
	switch {
	case err != nil:
		return nil, err
	case m.Everybody && len(people) > 0:
		return nil, refuse(reasonMalformed, "couldn't tell whether everybody is wanted, or only the people named")
	case m.Everybody:
		return s.everybody(states, m)
	case m.After != "":
		return nil, refuse(reasonMalformed, "couldn't go on after %q: only everybody comes in pages", shorten(m.After))
	}
	views, _, err := s.Hub.Snapshot(hub.SnapshotRequest{Viewer: s.Identity.User, Teams: teamIDs(states), People: people})
	if err != nil {
		return nil, explainHub(err)
	}
	return connect.NewResponse(&weftv1.PresenceSnapshotResponse{Teams: s.wireViews(views, m.Devices)}), nil
}

// everybody is a page of all people, team by team.
func (s *presenceService) everybody(states []*team.State, m *weftv1.PresenceSnapshotRequest) (*connect.Response[weftv1.PresenceSnapshotResponse], error) {
	if states == nil {
		for _, st := range s.teams() {
			if s.visible(st) == nil {
				states = append(states, st)
			}
		}
	}
	slices.SortFunc(states, func(a, b *team.State) int { return strings.Compare(a.ID().String(), b.ID().String()) })
	var from board.TeamID
	var after board.UserID
	if m.After != "" {
		var err error
		if from, after, err = parsePlaceAmongPeople(m.After); err != nil {
			return nil, err
		}
	}
	res := &weftv1.PresenceSnapshotResponse{}
	shown := 0
	for _, st := range states {
		if m.After != "" && st.ID().String() < from.String() {
			continue
		}
		r := hub.SnapshotRequest{Viewer: s.Identity.User, Teams: []board.TeamID{st.ID()}, Everybody: true}
		if st.ID() == from {
			r.After = after
		}
		for {
			views, more, err := s.Hub.Snapshot(r)
			if m.Team == "" && errors.Is(err, hub.ErrUnknownTeam) {
				break // nobody named it, and it is just being gained or lost
			}
			if err != nil {
				return nil, explainHub(err)
			}
			if len(views) == 0 || len(views[0].People) == 0 && r.After != (board.UserID{}) {
				break
			}
			r.After = board.UserID{}
			if n := len(views[0].People); n > 0 {
				r.After = views[0].People[n-1].User
				shown += n
			}
			page := s.wireView(&views[0], m.Devices)
			if n := len(res.Teams); n > 0 && res.Teams[n-1].TeamId == page.TeamId {
				res.Teams[n-1].People = append(res.Teams[n-1].People, page.People...)
			} else {
				res.Teams = append(res.Teams, page)
			}
			if shown >= snapshotPeople && (more || st != states[len(states)-1]) {
				res.Next = placeAmongPeople(st.ID(), r.After)
				return connect.NewResponse(res), nil
			}
			if !more {
				break
			}
		}
	}
	return connect.NewResponse(res), nil
}

// placeAmongPeople is where a page ends.
func placeAmongPeople(t board.TeamID, u board.UserID) string { return t.String() + "/" + u.String() }

func parsePlaceAmongPeople(text string) (t board.TeamID, u board.UserID, err error) {
	first, second, ok := strings.Cut(text, "/")
	if ok {
		if t, err = board.ParseTeamID(first); err == nil {
			u, err = board.ParseUserID(second)
		}
	}
	if !ok || err != nil {
		return t, u, refuse(reasonBadToken, "couldn't go on after %q: it isn't what an answer gave as next", shorten(text))
	}
	return t, u, nil
}

// Watch sends a snapshot and what changes after it.
func (s *presenceService) Watch(ctx context.Context, req *connect.Request[weftv1.PresenceWatchRequest], stream *connect.ServerStream[weftv1.PresenceWatchResponse]) error {
	m := req.Msg
	ctx, cancel := untilStop(ctx)
	defer cancel()
	states, err := s.visibleTeams(m.Teams)
	if err != nil {
		return err
	}
	people, err := s.named(states, m.People)
	if err != nil {
		return err
	}
	w, err := s.Hub.Watch(hub.WatchFilter{Viewer: s.Identity.User, Teams: teamIDs(states), People: people})
	if err != nil {
		return explainHub(err)
	}
	defer w.Close()
	for first := true; ; first = false {
		batch, err := w.Next(ctx)
		if err != nil {
			return whyEnded(ctx, explainHub(err))
		}
		for _, res := range s.wireBatch(&batch, m.Devices, first) {
			if err := stream.Send(res); err != nil {
				return whyEnded(ctx, err)
			}
		}
	}
}

// wireBatch is a batch in messages of a bearable size; the first batch of a stream is a message even if nobody is there.
func (s *presenceService) wireBatch(b *hub.WatchBatch, devices, first bool) (out []*weftv1.PresenceWatchResponse) {
	for _, t := range b.Gone {
		if len(out) == 0 {
			out = append(out, &weftv1.PresenceWatchResponse{})
		}
		out[0].TeamsGone = append(out[0].TeamsGone, t.String())
	}
	room := 0
	for i := range b.Snapshot {
		v := &b.Snapshot[i]
		if room -= len(v.People) + 1; room < 0 || len(out) == 0 {
			out = append(out, &weftv1.PresenceWatchResponse{})
			room = snapshotPeople - len(v.People)
		}
		last := out[len(out)-1]
		last.Snapshot = append(last.Snapshot, s.wireView(v, devices))
	}
	if len(b.Changes)+len(b.Counts) == 0 && b.Skipped == 0 && !(first && len(out) == 0) {
		return out
	}
	changes := b.Changes
	for {
		n := min(len(changes), snapshotPeople)
		res := &weftv1.PresenceWatchResponse{Changes: s.wireChanges(changes[:n], devices)}
		out = append(out, res)
		if changes = changes[n:]; len(changes) == 0 {
			res.Skipped = b.Skipped
			for i := range b.Counts {
				v := &b.Counts[i]
				res.Counts = append(res.Counts, &weftv1.TeamPresence{TeamId: v.Team.String(), Team: s.teamName(v.Team), Counts: wireCounts(v.Counts), CountsOnly: v.CountsOnly})
			}
			return out
		}
	}
}

func (s *service) teamName(t board.TeamID) string {
	if st, ok := s.Store.Team(t); ok && st.Known() {
		return st.Name()
	}
	return ""
}

func (s *presenceService) wireChanges(changes []presence.Change, devices bool) []*weftv1.PresenceChange {
	out := make([]*weftv1.PresenceChange, 0, len(changes))
	for i := range changes {
		c := &changes[i]
		st, ok := s.Store.Team(c.Team)
		if !ok || !st.Known() {
			continue
		}
		w := &weftv1.PresenceChange{TeamId: c.Team.String(), Person: s.wirePerson(st, &c.Person, devices), Was: c.Was.String(), Cause: c.Cause.String()}
		if c.Cause == presence.CauseTeam && !st.CanRead(c.Person.User) {
			w.Person = &weftv1.PersonPresence{UserId: w.Person.UserId, Name: w.Person.Name} // out of the team
		}
		out = append(out, w)
	}
	return out
}

func (s *presenceService) wireViews(views []hub.TeamView, devices bool) []*weftv1.TeamPresence {
	out := make([]*weftv1.TeamPresence, len(views))
	for i := range views {
		out[i] = s.wireView(&views[i], devices)
	}
	slices.SortFunc(out, func(a, b *weftv1.TeamPresence) int {
		return cmp.Or(cmp.Compare(a.Team, b.Team), cmp.Compare(a.TeamId, b.TeamId))
	})
	return out
}

func (s *presenceService) wireView(v *hub.TeamView, devices bool) *weftv1.TeamPresence {
	out := &weftv1.TeamPresence{TeamId: v.Team.String(), Counts: wireCounts(v.Counts), CountsOnly: v.CountsOnly, People: make([]*weftv1.PersonPresence, 0, len(v.People))}
	st, ok := s.Store.Team(v.Team)
	if !ok || !st.Known() {
		return out
	}
	out.Team = st.Name()
	for i := range v.People {
		out.People = append(out.People, s.wirePerson(st, &v.People[i], devices))
	}
	slices.SortFunc(out.People, func(a, b *weftv1.PersonPresence) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UserId, b.UserId))
	})
	return out
}

func wireCounts(c presence.Counts) *weftv1.PresenceCounts {
	return &weftv1.PresenceCounts{Online: uint32(c.Online), Away: uint32(c.Away), Busy: uint32(c.Busy), Reconnecting: uint32(c.Reconnecting), Offline: uint32(c.Offline)}
}

// wirePerson is how somebody is shown, with the devices that share something or with all.
func (s *service) wirePerson(st *team.State, p *presence.Person, devices bool) *weftv1.PersonPresence {
	out := &weftv1.PersonPresence{
		UserId: p.User.String(), Name: text(st.UserName(p.User)), State: p.State.String(), LastActiveMs: uint64(max(p.LastActive, 0)), SinceMs: uint64(max(p.Since, 0)),
		Status: text(p.Status), UntilMs: uint64(max(p.Until, 0)),
	}
	seen := map[presence.DeviceID]bool{}
	for i := range p.Devices {
		d := &p.Devices[i]
		seen[d.ID] = true
		if d.State == presence.Online { // active now, and at least since then
			out.LastActiveMs = max(out.LastActiveMs, out.SinceMs)
		}
		if devices || len(d.Payload) > 0 {
			out.ShownDevices = append(out.ShownDevices, wireDevice(&d.Device, d.Node))
		}
	}
	out.Devices = uint32(len(seen))
	return out
}

func wireDevice(d *presence.Device, n board.NodeID) *weftv1.DevicePresence {
	return &weftv1.DevicePresence{Device: hex.EncodeToString(d.ID[:]), NodeId: nodeText(n), State: d.State.String(), Payload: d.Payload, PayloadMs: uint64(max(d.PayloadAt, 0))}
}

func (s *presenceService) wireReason(st *team.State, r *presence.Reason) *weftv1.PresenceReason {
	out := &weftv1.PresenceReason{
		TeamId: r.Team.String(), Team: st.Name(), NodeId: nodeText(r.Node), Self: r.Self, Health: r.Health.State.String(), HealthSinceMs: uint64(max(r.Health.Since, 0)),
		SuspectedBy: nodeTexts(r.Health.By), LeaseUntilMs: uint64(max(r.Lease, 0)), Says: r.Says.String(), Words: text(r.Words), Number: r.Number,
	}
	for i := range r.Report.Devices {
		out.Devices = append(out.Devices, wireDevice(&r.Report.Devices[i], r.Node))
	}
	return out
}
