package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

// maxFollowWait is how long a change may wait for other nodes.
const maxFollowWait = time.Minute

// Follower is a node of a team, as far as it is known to have something.
type Follower struct {
	Node      board.NodeID
	Has       bool
	Connected bool
	LastHeard time.Time // zero: never since this node's start
}

// deed is a change of a team that is being made: what it consists of and what it says.
type deed struct {
	team     *team.State // as it was before; then as it is
	did      string
	proposed bool // it is a charter, which others may have to agree to
	notes    []string
	link     string
	objects  []board.Hash
	receipts []store.Receipt
}

func (d *deed) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

// record records an object and looks what the team is then.
func (s *service) record(ctx context.Context, d *deed, o *team.Object) error {
	if err := s.mayRecord(d.team); err != nil {
		return err
	}
	r, err := s.Store.AppendObject(ctx, d.team.ID(), o)
	if err != nil {
		return fmt.Errorf("couldn't record the change: %w", err)
	}
	d.objects, d.receipts = append(d.objects, o.Hash), append(d.receipts, r)
	if st, ok := s.Store.Team(d.team.ID()); ok {
		d.team = st
	}
	return nil
}

// answer says what was done, whether it counts, and who has it within the time that the caller has.
func (s *service) answer(ctx context.Context, d *deed, waitMs uint64) (*connect.Response[weftv1.ChangeResponse], error) {
	res := &weftv1.ChangeResponse{Did: d.did, Counts: true, Notes: d.notes, Link: d.link}
	for _, h := range d.objects {
		res.ObjectIds = append(res.ObjectIds, h.String())
		// Acks of a charter that waits are pending or void of themselves: the charter, which comes first, is what counts.
		if v, ok := d.team.Verdict(h); ok && v.Status != team.Valid && res.Counts {
			res.Counts, res.WaitsFor = false, s.waitsFor(d.team, h, v)
		}
	}
	if d.proposed && !res.Counts {
		res.Did, res.Notes = "proposed: "+d.did, nil // they speak of what it does once it counts
	}
	gov := board.GovernanceID(d.team.ID())
	needs := make([]need, len(d.receipts))
	for i, r := range d.receipts {
		needs[i] = need{r.Position}
	}
	res.Follow = s.follow(ctx, d.team, gov, needs, waitMs)
	return connect.NewResponse(res), nil
}

// waitsFor says why an object does not count yet.
func (s *service) waitsFor(st *team.State, h board.Hash, v team.Verdict) string {
	for _, p := range st.Proposals() {
		if p.Charter != h {
			continue
		}
		if p.Valid {
			return "another change of the charter that was made at the same time is preferred"
		}
		return fmt.Sprintf("the first owner or more than half of the owners have to agree; %s not yet", have(s.nameList(st, p.Missing)))
	}
	return v.Reason
}

func have(names []string) string {
	if len(names) == 1 {
		return names[0] + " has"
	}
	return strings.Join(names, ", ") + " have"
}

// need is what a node must hold: one of these records.
type need []board.Position

// follow says which nodes of a team hold all of what is needed; it waits for those that don't.
func (s *service) follow(ctx context.Context, st *team.State, b board.ID, needs []need, waitMs uint64) *weftv1.Follow {
	ctx, cancel := untilStop(ctx)
	defer cancel()
	wait := waitFor(waitMs, 0, maxFollowWait)
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, beforeDeadline(time.Until(deadline)))
	}
	timed, done := context.WithTimeout(ctx, wait)
	defer done()
	nudge, stop := s.Mesh.WatchReplicated()
	defer stop()
	for {
		f := s.following(st, b, needs)
		if len(f.Behind) == 0 || waitMs == 0 {
			return f
		}
		select {
		case <-nudge:
		case <-timed.Done():
			return s.following(st, b, needs)
		}
		if now, ok := s.Store.Team(st.ID()); ok {
			st = now
		}
	}
}

func (s *service) following(st *team.State, b board.ID, needs []need) *weftv1.Follow {
	all := map[board.NodeID]*Follower{}
	var order []board.NodeID
	for i, n := range needs {
		for _, f := range s.holders(b, n) {
			was := all[f.Node]
			switch {
			case was != nil:
				was.Has = was.Has && f.Has
			case i == 0: // others became nodes meanwhile: next time
				all[f.Node], order = &f, append(order, f.Node)
			}
		}
	}
	out := &weftv1.Follow{Nodes: uint32(len(order))}
	for _, n := range order {
		f := all[n]
		if f.Has {
			out.FollowedBy++
			continue
		}
		behind := &weftv1.NodeBehind{NodeId: nodeText(n), Connected: f.Connected, Users: s.usersOf(st, n)}
		if !f.LastHeard.IsZero() {
			behind.LastHeardMs = uint64(f.LastHeard.UnixMilli())
		}
		out.Behind = append(out.Behind, behind)
	}
	return out
}

// holders says of each node of a team whether it holds one of the records of something.
func (s *service) holders(b board.ID, records need) []Follower {
	out := s.Mesh.Followers(b, records[:1])
	for _, r := range records[1:] {
		for i, f := range s.Mesh.Followers(b, []board.Position{r}) {
			if i < len(out) && out[i].Node == f.Node {
				out[i].Has = out[i].Has || f.Has
			}
		}
	}
	return out
}

// usersOf are the names of those whose home a node is.
func (s *service) usersOf(st *team.State, n board.NodeID) (names []string) {
	for _, m := range st.Members() {
		if slices.Contains(m.Homes, n) {
			names = append(names, personName(m))
		}
	}
	return names
}

// Followers says who has earlier changes.
func (s *teamService) Followers(ctx context.Context, req *connect.Request[weftv1.FollowersRequest]) (*connect.Response[weftv1.FollowersResponse], error) {
	st, err := s.findTeam(req.Msg.Team)
	if err != nil {
		return nil, err
	}
	gov := board.GovernanceID(st.ID())
	var needs []need
	if len(req.Msg.ObjectIds) == 0 {
		for _, l := range s.Store.Vector(gov) {
			needs = append(needs, need{{Board: gov, Node: l.Node, Epoch: l.Epoch, Seq: l.Seq, Hash: l.Hash}})
		}
	} else if needs, err = s.recordsOf(ctx, st, req.Msg.ObjectIds); err != nil {
		return nil, err
	}
	return connect.NewResponse(&weftv1.FollowersResponse{Follow: s.follow(ctx, st, gov, needs, req.Msg.WaitMs)}), nil
}

// maxObjectIDs is how many objects a request may name.
const maxObjectIDs = 100

func (s *service) recordsOf(ctx context.Context, st *team.State, ids []string) ([]need, error) {
	if len(ids) > maxObjectIDs {
		return nil, refuse(reasonTooMany, "couldn't look for %d objects at a time: at most %d", len(ids), maxObjectIDs)
	}
	recorded, err := s.Store.GovernanceRecords(ctx, st.ID())
	if err != nil {
		return nil, err
	}
	out := make([]need, len(ids))
	for i, id := range ids {
		h, err := board.ParseHash(id)
		if err != nil {
			return nil, err
		}
		for _, r := range recorded {
			if r.Object == h {
				out[i] = append(out[i], r.Position)
			}
		}
		if out[i] == nil {
			return nil, refuse(reasonNotFound, "couldn't find object %s in team %s", shorten(id), st.Name()).hint("weft team log shows what was done; its ids are in --json")
		}
	}
	return out, nil
}

// personName is the name that somebody chose, or the beginning of their id.
func personName(p team.Person) string {
	if p.Name != "" {
		return p.Name
	}
	return shortID(p.User)
}

func shortID(u board.UserID) string { return u.String()[:9] + "…" }

// nameOf is personName for someone who may be unknown here.
func (s *service) nameOf(st *team.State, u board.UserID) string {
	if n := st.UserName(u); n != "" {
		return n
	}
	return shortID(u)
}

func (s *service) nameList(st *team.State, users []board.UserID) []string {
	out := make([]string, len(users))
	for i, u := range users {
		out[i] = s.nameOf(st, u)
	}
	return out
}

// checkReason bounds what people say about a change.
func checkReason(reason string) error {
	switch {
	case len(reason) > team.MaxReason:
		return refuse(reasonTooLarge, "couldn't use a reason of %d bytes: at most %d are possible", len(reason), team.MaxReason).hint("say it in fewer words")
	case !validUTF8(reason):
		return refuse(reasonNotUTF8, "couldn't use the reason: it is not UTF-8")
	}
	return nil
}
