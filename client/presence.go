package client

import (
	"cmp"
	"context"
	"iter"
	"slices"

	weftv1 "weft/api/weft/v1"
)

// PresenceOptions say whom a watch is about.
type PresenceOptions struct {
	Teams   []string // ids or names; empty: all
	People  []string // ids or names; empty: everybody in teams of up to 256 people, only counts of larger ones
	Devices bool     // each person's devices too
}

// WatchPresence iterates over who is there: a snapshot first, then every change after it. It opens the stream again when
// the node stops, restarts or can't be reached, with a jittered back-off, and then begins with a snapshot again, which
// replaces what came before; PresenceView does that. It ends when ctx ends, without an error, or with one that trying
// again can't mend.
func (c *Client) WatchPresence(ctx context.Context, o PresenceOptions) iter.Seq2[*weftv1.PresenceWatchResponse, error] {
	return func(yield func(*weftv1.PresenceWatchResponse, error) bool) {
		var b backoff
		err := c.again(ctx, &b, func(ctx context.Context) (bool, error) {
			req := &weftv1.PresenceWatchRequest{Teams: o.Teams, People: o.People, Devices: o.Devices}
			return receive(ctx, &b, c.Presence.Watch, req, func(m *weftv1.PresenceWatchResponse) bool { return yield(m, nil) })
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// PresenceView is what a watch has shown: who is there now. The zero value is empty. It is for one goroutine.
type PresenceView struct {
	teams map[string]*watchedTeam // by id
}

type watchedTeam struct {
	shown  *weftv1.TeamPresence
	people map[string]*weftv1.PersonPresence
	all    bool // everybody is among people: the node sends no counts then
}

// count makes the counts of a team those of its people.
func (w *watchedTeam) count() {
	c := &weftv1.PresenceCounts{}
	for _, p := range w.people {
		switch p.State {
		case "online":
			c.Online++
		case "away":
			c.Away++
		case "busy":
			c.Busy++
		case "reconnecting":
			c.Reconnecting++
		default:
			c.Offline++
		}
	}
	w.shown.Counts = c
}

// holds says whether people are all whom counts count.
func (w *watchedTeam) holds(c *weftv1.PresenceCounts) bool {
	return int(c.GetOnline()+c.GetAway()+c.GetBusy()+c.GetReconnecting()+c.GetOffline()) == len(w.people)
}

// Apply takes the next message of WatchPresence. The view keeps its people.
func (v *PresenceView) Apply(m *weftv1.PresenceWatchResponse) {
	if v.teams == nil {
		v.teams = map[string]*watchedTeam{}
	}
	for _, t := range m.Snapshot {
		w := &watchedTeam{shown: t, people: make(map[string]*weftv1.PersonPresence, len(t.People))}
		for _, p := range t.People {
			w.people[p.UserId] = p
		}
		w.all = !t.CountsOnly && w.holds(t.Counts)
		v.teams[t.TeamId] = w
	}
	changed := map[*watchedTeam]bool{}
	for _, ch := range m.Changes {
		if w := v.teams[ch.TeamId]; w != nil && ch.Person != nil {
			changed[w] = w.all
			w.people[ch.Person.UserId] = ch.Person
			if ch.Cause == causeTeam && ch.Person.State == "" {
				delete(w.people, ch.Person.UserId)
			}
		}
	}
	for w, all := range changed {
		if all {
			w.count()
		}
	}
	for _, t := range m.Counts {
		if w := v.teams[t.TeamId]; w != nil {
			w.shown.Counts, w.all = t.Counts, w.all && w.holds(t.Counts)
		}
	}
	for _, id := range m.TeamsGone {
		delete(v.teams, id)
	}
}

// causeTeam is the cause of a change that a change of the team made: without a state, the person is out of it.
const causeTeam = "team"

// Teams are the teams of the view with their people, sorted by name and then id.
func (v *PresenceView) Teams() []*weftv1.TeamPresence {
	out := make([]*weftv1.TeamPresence, 0, len(v.teams))
	for _, w := range v.teams {
		t := &weftv1.TeamPresence{TeamId: w.shown.TeamId, Team: w.shown.Team, Counts: w.shown.Counts, CountsOnly: w.shown.CountsOnly}
		for _, p := range w.people {
			t.People = append(t.People, p)
		}
		slices.SortFunc(t.People, func(a, b *weftv1.PersonPresence) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UserId, b.UserId))
		})
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *weftv1.TeamPresence) int {
		return cmp.Or(cmp.Compare(a.Team, b.Team), cmp.Compare(a.TeamId, b.TeamId))
	})
	return out
}

// Person is how somebody is shown in a team; nil: not in the view.
func (v *PresenceView) Person(teamID, userID string) *weftv1.PersonPresence {
	if w := v.teams[teamID]; w != nil {
		return w.people[userID]
	}
	return nil
}
