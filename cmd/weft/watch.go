package main

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// kindTyping is the kind of live messages that say that somebody writes.
const kindTyping = "typing"

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [TEAM…]",
		Short: "Everything that happens, in one stream: boards, presence, live messages, typing",
		Long: `Shows what happens from now on in all teams, or in those named: what is posted, read and changed, who comes and goes,
what is said live and who is typing. It goes on until interrupted, over restarts of the daemon too: nothing posted
meanwhile is left out, and what was said live meanwhile is gone.

With --json each line is an object with "type": people (who is there, at first and where it begins anew), watching (from
here on nothing is missed), entry, hidden, mark, board, team, floor, presence, counts, team_gone, live, typing, dropped (live
messages that came too fast for this reader).`,
		Example: `  weft watch
  weft watch crew --json | jq -c 'select(.type == "entry" or .type == "live")'`,
		ValidArgsFunction: a.completeTeams,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			w := &watcher{app: a, teams: map[string]string{}, boards: map[string]string{}, missing: 3}
			w.presence = newPresenceNews(a, w.teams)
			return interrupted(cmd.Context(), w.run(cmd.Context(), c, args))
		}),
	}
}

// watcher merges three streams. Its fields are for the goroutine that prints.
type watcher struct {
	*app
	presence presenceNews
	teams    map[string]string // names by id
	boards   map[string]string // as TEAM/BOARD, by id
	missing  int               // streams that have not begun
}

// run prints what the streams bring, one thing after the other: a stream waits while another one's batch is printed.
func (w *watcher) run(ctx context.Context, c *client.Client, teams []string) error {
	group, ctx := errgroup.WithContext(ctx)
	news := make(chan func() error)
	// The live stream begins with an empty batch, and so none of the three is silent at first.
	group.Go(func() error {
		return feed(ctx, news, c.Subscribe(ctx, client.LiveOptions{Teams: teams}), w.live())
	})
	group.Go(func() error {
		return feed(ctx, news, c.WatchPresence(ctx, client.PresenceOptions{Teams: teams}), w.people())
	})
	group.Go(func() error {
		return feed(ctx, news, c.Sync(ctx, client.SyncOptions{Teams: teams}), w.sync())
	})
	group.Go(func() error {
		for {
			select {
			case show := <-news:
				if err := show(); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return group.Wait()
}

// feed hands a stream's batches to the goroutine that prints.
func feed[T any](ctx context.Context, news chan<- func() error, batches iter.Seq2[T, error], show func(T) error) error {
	for batch, err := range batches {
		if err != nil {
			return err
		}
		shown := make(chan struct{}) // the stream reuses its batch
		select {
		case news <- func() error { defer close(shown); return show(batch) }:
		case <-ctx.Done():
			return ctx.Err()
		}
		<-shown
	}
	return ctx.Err()
}

// people shows what the watch of presence brings.
func (w *watcher) people() func(*weftv1.PresenceWatchResponse) error {
	begun := false
	return func(m *weftv1.PresenceWatchResponse) error {
		if err := w.presence.show(m); err != nil || begun {
			return err
		}
		begun = true
		return w.begun()
	}
}

// begun says when all streams have.
func (w *watcher) begun() error {
	if w.missing--; w.missing > 0 {
		return nil
	}
	if w.json {
		return w.printJSON(map[string]string{"type": "watching"})
	}
	w.note("watching; Ctrl-C ends it")
	return nil
}

// sync shows what comes after the snapshot, from which it takes names only.
func (w *watcher) sync() func(*weftv1.SyncResponse) error {
	begun := false
	return func(batch *weftv1.SyncResponse) error {
		for _, ev := range batch.Events {
			w.learn(ev)
			if !begun {
				continue
			}
			if err := w.event(ev); err != nil {
				return err
			}
		}
		if begun || batch.Cursor == "" {
			return nil
		}
		begun = true
		return w.begun()
	}
}

// learn notes names.
func (w *watcher) learn(ev *weftv1.SyncEvent) {
	if b := ev.GetBoard().GetBoard(); b.GetTeam() != "" {
		w.boards[b.BoardId] = b.Team + "/" + b.Name
	}
	if t := ev.GetTeam().GetTeam(); t.GetName() != "" {
		w.teams[t.TeamId] = t.Name
	}
}

// happened is what every line about a board or team has.
type happened struct {
	Type    string `json:"type"`
	TeamID  string `json:"team_id"`
	Team    string `json:"team"`
	BoardID string `json:"board_id,omitempty"`
	Board   string `json:"board,omitempty"` // TEAM/BOARD
}

type watchedEntryOut struct {
	Type  string `json:"type"`
	Team  string `json:"team"`
	Board string `json:"board"`
	entryOut
}

func (w *watcher) event(ev *weftv1.SyncEvent) error {
	at := func(kind, team, board string) happened {
		return happened{kind, team, w.teams[team], board, w.boards[board]}
	}
	switch {
	case ev.GetShown() != nil:
		s := ev.GetShown()
		e := entryOf(s.Entry)
		e.Late = s.Late
		return w.print(watchedEntryOut{"entry", w.teams[s.TeamId], w.boards[s.BoardId], e}, func() {
			tag := ""
			if e.Late {
				tag = " [arrived late]"
			}
			w.line(e.TimeMs, w.boards[s.BoardId], "%s%s: %s", w.paint(bold, oneLine(nameOr(e.AuthorName, e.Author))), tag, indented(e.Text))
		})
	case ev.GetHidden() != nil:
		h := ev.GetHidden()
		return w.print(struct {
			happened
			EntryID string `json:"entry_id"`
			Reason  string `json:"reason"`
		}{at("hidden", h.TeamId, h.BoardId), h.EntryId, h.Reason}, func() {
			w.line(0, w.boards[h.BoardId], "an entry doesn't count any more: %s", oneLine(h.Reason))
		})
	case ev.GetMark() != nil:
		m := ev.GetMark()
		return w.print(struct {
			happened
			Unread uint64 `json:"unread"`
		}{at("mark", m.TeamId, m.BoardId), m.Unread}, func() { w.line(0, w.boards[m.BoardId], "%d unread", m.Unread) })
	case ev.GetBoard() != nil:
		b := ev.GetBoard()
		return w.print(struct {
			happened
			Gone bool `json:"gone"`
		}{at("board", b.Board.GetTeamId(), b.Board.GetBoardId()), b.Gone}, func() { w.line(0, w.boards[b.Board.GetBoardId()], "the board changed") })
	case ev.GetTeam() != nil:
		return w.team(ev.GetTeam())
	case ev.GetFloor() != nil:
		f := ev.GetFloor()
		return w.print(at("floor", f.TeamId, f.BoardId), func() { w.line(0, w.boards[f.BoardId], "older entries were pruned") })
	}
	return nil // of a later version
}

func (w *watcher) team(ev *weftv1.TeamChanged) error {
	t := ev.Team
	return w.print(struct {
		happened
		Gone  bool   `json:"gone"`
		State string `json:"state"`
		Role  string `json:"role"`
	}{happened{Type: "team", TeamID: t.GetTeamId(), Team: w.teams[t.GetTeamId()]}, ev.Gone, t.GetState(), t.GetRole()}, func() {
		what := "its people, boards or rules changed"
		switch {
		case ev.Gone:
			what = "is no longer here"
		case ev.StateBefore != "" && ev.StateBefore != t.GetState():
			what = stateNow(t.GetState())
		case ev.RoleBefore != "" && ev.RoleBefore != t.GetRole():
			what = "you are " + t.GetRole() + " now"
		}
		w.line(0, w.teams[t.GetTeamId()], "%s", what)
	})
}

// stateNow says what has become of a team, for the user.
func stateNow(state string) string {
	switch state {
	case "joined":
		return "you are in the team"
	case "left":
		return "you left; what was here stays, to read"
	case "removed", "banned":
		return "you were " + state + "; what was here stays, to read (weft team list says by whom)"
	case "closed":
		return "the team was disbanded; what was here stays, to read"
	}
	return "the team's state is " + state + " now"
}

// liveOut is a live message.
type liveOut struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	TeamID  string `json:"team_id"`
	Team    string `json:"team"`
	UserID  string `json:"user_id"`
	Name    string `json:"name"`
	Device  string `json:"device"`
	Kind    string `json:"kind"`
	Text    string `json:"text,omitempty"`
	Body    []byte `json:"body,omitempty"` // base64, where it isn't text
	SentMs  uint64 `json:"sent_ms"`
	BoardID string `json:"board_id,omitempty"`
	Direct  bool   `json:"direct"`
}

func (w *watcher) liveOf(e *weftv1.LiveEvent) liveOut {
	out := liveOut{"live", e.Id, e.TeamId, w.teams[e.TeamId], e.UserId, e.Name, e.Device, e.Kind, "", nil, e.SentMs, e.BoardId, e.Direct}
	if e.Kind == kindTyping {
		out.Type = kindTyping
	}
	if utf8.Valid(e.Body) {
		out.Text = string(e.Body)
	} else {
		out.Body = e.Body
	}
	return out
}

func (w *watcher) live() func(*weftv1.LiveSubscribeResponse) error {
	begun := false
	return func(batch *weftv1.LiveSubscribeResponse) error {
		if !begun {
			begun = true
			if err := w.begun(); err != nil {
				return err
			}
		}
		for _, e := range batch.Events {
			out := w.liveOf(e)
			if err := w.print(out, func() { w.sayLive(out) }); err != nil {
				return err
			}
		}
		if batch.Dropped == 0 {
			return nil
		}
		dropped := struct {
			Type    string `json:"type"`
			Dropped uint64 `json:"dropped"`
		}{"dropped", batch.Dropped}
		return w.print(dropped, func() {
			w.note("%s for this reader and left out", plural(batch.Dropped, "live message was too fast", "live messages were too fast"))
		})
	}
}

func (w *watcher) sayLive(m liveOut) {
	place := m.Team
	if b := w.boards[m.BoardID]; b != "" {
		place = b
	}
	w.line(m.SentMs, place, "%s %s", w.paint(bold, oneLine(nameOr(m.Name, m.UserID))), m.words())
}

// words are what somebody does with a live message.
func (m *liveOut) words() string {
	what := "says"
	if m.Kind != "" {
		what = "sends " + oneLine(m.Kind)
	}
	if m.Direct {
		what += " to you"
	}
	switch {
	case m.Type == kindTyping:
		return "is typing"
	case m.Body != nil && m.Kind == "":
		return "sends" + strings.TrimPrefix(what, "says") + " " + plural(uint64(len(m.Body)), "byte", "bytes") + " that aren't text"
	case m.Body != nil:
		return what + ": " + plural(uint64(len(m.Body)), "byte", "bytes") + " that aren't text"
	case m.Text == "":
		return what
	}
	return what + ": " + indented(m.Text)
}

// line is one thing that happened, for people; at 0: now.
func (a *app) line(at uint64, place, format string, args ...any) {
	if at == 0 {
		at = uint64(now().UnixMilli())
	}
	a.say("%s %s  %s", a.paint(dim, clock(at, now())), oneLine(place), fmt.Sprintf(format, args...))
}

// nameOr is a name, or the beginning of an id where there is none.
func nameOr(name, id string) string {
	if name == "" {
		return shortened(id, 9)
	}
	return name
}
