package sim

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"weft/board"
	"weft/presence"
	"weft/presence/hub"
	"weft/sim/check"
	"weft/team"
)

// Who is there, at the nodes of a World, and what their watchers are shown.

// people is the judge of presence; nodes' watchers speak to it from goroutines of their own.
type people struct {
	mu    sync.Mutex
	judge *check.Presence // guarded by mu; nil: nobody looks
}

// hubOptions are those of a node's hub. What it keeps lives as long as the node's folder.
func (n *Node) hubOptions(boot [16]byte, log *slog.Logger) hub.Options {
	s := n.store
	return hub.Options{
		Self: n.Key(), Boot: boot, Now: n.Now, Clock: func() board.HLC { return board.HLCAt(n.Now()) }, Log: log,
		Load: func(key string) ([]byte, error) {
			b, err := s.GetKV("presence/" + key)
			if errors.Is(err, board.ErrNotFound) {
				return nil, nil
			}
			return b, err
		},
		Save: func(key string, value []byte) error {
			if value == nil {
				return s.DeleteKV(context.Background(), "presence/"+key)
			}
			return s.SetKV(context.Background(), "presence/"+key, value)
		},
		Limits: hub.Limits{Sessions: 100_000},
	}
}

// Hub of the running node; nil while it is down.
func (n *Node) Hub() *hub.Hub { return n.hub }

// JudgePresence has everybody who runs from now on be there, watched by all nodes and judged by I8.
func (w *World) JudgePresence() *check.Presence {
	w.people.mu.Lock()
	defer w.people.mu.Unlock()
	w.people.judge = check.NewPresence(w.Check)
	return w.people.judge
}

// Judged lets f look at the judge of presence while no watcher speaks to it.
func (w *World) Judged(f func(now time.Time, p *check.Presence)) {
	w.people.mu.Lock()
	defer w.people.mu.Unlock()
	f(time.Now(), w.people.judge)
}

// there says whether a person is there from now on.
func (w *World) there(u board.UserID, there bool) {
	w.people.mu.Lock()
	defer w.people.mu.Unlock()
	if w.people.judge != nil {
		w.people.judge.There(time.Now(), u.String(), there)
	}
}

// attend attaches the node's own user and watches what the node shows of the world's team.
func (n *Node) attend(ctx context.Context) {
	n.world.people.mu.Lock()
	judged := n.world.people.judge != nil
	n.world.people.mu.Unlock()
	if !judged {
		return
	}
	if _, err := n.hub.AttachOwn(n.id.User, n.id.Device.Public(), "sim"); err != nil {
		n.world.T.Errorf("node %s couldn't attach its user: %v", n.Name, err)
		return
	}
	n.world.there(n.id.User, true)
	h := n.hub
	n.watching.Go(func() {
		if err := n.watchPeople(ctx, h); err != nil && ctx.Err() == nil && !errors.Is(err, hub.ErrClosed) {
			n.world.T.Errorf("node %s couldn't watch who is there: %v", n.Name, err)
		}
	})
}

func (n *Node) watchPeople(ctx context.Context, h *hub.Hub) error {
	w, err := h.Watch(hub.WatchFilter{Viewer: n.id.User})
	if err != nil {
		return err
	}
	defer w.Close()
	defer n.world.Judged(func(now time.Time, p *check.Presence) { p.Gone(now, n.Name) })
	for {
		batch, err := w.Next(ctx)
		if err != nil {
			return err
		}
		n.world.Judged(func(now time.Time, p *check.Presence) {
			if slices.Contains(batch.Gone, n.world.team) {
				p.Gone(now, n.Name)
			}
			for _, v := range batch.Snapshot {
				for _, x := range v.People {
					n.shown(now, p, v.Team, x, true)
				}
			}
			for _, c := range batch.Changes {
				n.shown(now, p, c.Team, c.Person, c.Cause != presence.CauseSession)
			}
		})
	}
}

func (n *Node) shown(now time.Time, p *check.Presence, t board.TeamID, x presence.Person, caused bool) {
	if t == n.world.team {
		p.Shown(now, n.Name, x.User.String(), x.State.String(), caused)
	}
}

// Attach is a session of somebody who was enrolled at this node.
func (n *Node) Attach(id team.Identity) *hub.Session {
	n.world.T.Helper()
	s, err := n.hub.Attach(id.User, id.Device.Public(), "sim")
	if err != nil {
		n.world.T.Fatalf("couldn't attach %s at %s: %v", id.Name, n.Name, err)
	}
	n.world.there(id.User, true)
	return s
}

// Detach ends a session. Without a goodbye its person is not there either, which others see after the grace.
func (n *Node) Detach(id team.Identity, s *hub.Session, goodbye bool) {
	s.Close(goodbye)
	n.world.there(id.User, false)
}

// Shows is the state in which this node shows somebody in the world's team; "nobody": it doesn't show them at all.
func (n *Node) Shows(u board.UserID) string {
	n.world.T.Helper()
	views, _, err := n.hub.Snapshot(hub.SnapshotRequest{Viewer: n.id.User, Teams: []board.TeamID{n.world.team}, People: []board.UserID{u}})
	if errors.Is(err, hub.ErrUnknownTeam) { // it hasn't looked yet since it was started
		return "nobody"
	}
	if err != nil {
		n.world.T.Fatalf("couldn't ask %s who is there: %v", n.Name, err)
	}
	for _, v := range views {
		for _, p := range v.People {
			if p.User == u {
				return p.State.String()
			}
		}
	}
	return "nobody"
}
