package main

import (
	"context"
	"fmt"
	"strings"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// presenceNews prints the messages of a watch.
type presenceNews struct {
	*app
	teams map[string]string            // names by id
	shown map[string]map[string]string // what was printed of people last, by team and user
}

func newPresenceNews(a *app, teams map[string]string) presenceNews {
	return presenceNews{a, teams, map[string]map[string]string{}}
}

func (a *app) followPresence(ctx context.Context, c *client.Client, o client.PresenceOptions) error {
	n := newPresenceNews(a, map[string]string{})
	for m, err := range c.WatchPresence(ctx, o) {
		if err != nil {
			return err
		}
		if err := n.show(m); err != nil {
			return err
		}
	}
	return nil
}

func (n presenceNews) show(m *weftv1.PresenceWatchResponse) error {
	for _, t := range m.Snapshot {
		n.teams[t.TeamId] = t.Team
		n.shown[t.TeamId] = map[string]string{}
		out := teamPresenceOf(t)
		out.Type = "people"
		for i := range out.People {
			n.news(t.TeamId, &out.People[i])
		}
		if err := n.printTeamPresence(out); err != nil {
			return err
		}
	}
	for _, ch := range m.Changes {
		out := presenceChangeOut{"presence", ch.TeamId, n.teams[ch.TeamId], personOf(ch.Person), ch.Was, ch.Cause}
		if err := n.print(out, func() { n.sayChange(out) }); err != nil {
			return err
		}
	}
	for _, t := range m.Counts {
		out := teamPresenceOut{Type: "counts", TeamID: t.TeamId, Team: n.teams[t.TeamId], People: []personOut{}, Counts: countsOf(t.Counts)}
		if n.json {
			if err := n.printJSON(out); err != nil {
				return err
			}
		} else if t.CountsOnly {
			n.line(0, out.Team, "%s", out.Counts.words())
		}
	}
	if m.Skipped > 0 && !n.json {
		n.note("%s overtaken by later ones", plural(m.Skipped, "change was", "changes were"))
	}
	for _, id := range m.TeamsGone {
		name := n.teams[id]
		delete(n.teams, id)
		delete(n.shown, id)
		out := struct {
			Type   string `json:"type"`
			TeamID string `json:"team_id"`
			Team   string `json:"team"`
		}{"team_gone", id, name}
		if err := n.print(out, func() { n.say("Nothing more of team %s.", oneLine(name)) }); err != nil {
			return err
		}
	}
	return n.out.broken()
}

// news says whether somebody is shown otherwise than before in what people read: not everything that a change is about is.
func (n presenceNews) news(team string, p *personOut) bool {
	people := n.shown[team]
	if people == nil {
		people = map[string]string{}
		n.shown[team] = people
	}
	words := p.nowWords()
	was, known := people[p.UserID]
	people[p.UserID] = words
	return !known || was != words
}

func (n presenceNews) sayChange(c presenceChangeOut) {
	what := c.nowWords()
	switch {
	case c.State == "":
		what = "is out of the team"
		delete(n.shown[c.TeamID], c.UserID)
	case !n.news(c.TeamID, &c.personOut) && c.Cause != causeTeam:
		return
	}
	why := causeWords[c.Cause]
	if why != "" && c.State == c.Was { // by another one of their nodes they are as they were
		why = strings.Replace(why, "their node", "one of their nodes", 1)
	}
	if c.Cause == causeTeam && c.State != "" {
		why = "new in the team, or in it again"
	}
	if why != "" {
		what += " (" + why + ")"
	}
	n.line(0, c.Team, "%s %s", n.paint(bold, oneLine(c.who())), what)
}

// nowWords are how somebody is shown, in a sentence.
func (p *personOut) nowWords() string {
	s := "is " + p.State
	if p.UntilMs > 0 {
		s += " until " + clock(p.UntilMs, now())
	}
	if p.Devices > 1 {
		s += fmt.Sprintf(", %d devices", p.Devices)
	}
	if p.Status != "" {
		s += ": " + oneLine(p.Status)
	}
	if d := p.deviceWords(); d != "" {
		s += " " + d
	}
	return s
}

// causeTeam is the cause of what comes of who is in the team.
const causeTeam = "team"

// causeWords say why somebody's state changed, where it wasn't themselves.
var causeWords = map[string]string{
	"node_dead": "their node doesn't answer", "node_left": "their node stopped", "node_back": "their node is back", "expired": "their node was not heard for too long",
}
