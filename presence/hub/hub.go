package hub

import (
	"context"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
	"weft/team"
)

// Hub is safe for concurrent use.
type Hub struct {
	o Options
}

// New makes a hub and loads what outlasted the last daemon.
func New(o Options) (*Hub, error) { return &Hub{o: o}, nil }

// Run does what is due until ctx ends; then it saves what outlasts the daemon.
func (h *Hub) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// SetWire says who carries things to other nodes; nil: nobody, which is how it begins.
func (h *Hub) SetWire(w Wire) {}

// SetTeams tells the hub all teams of this node, whenever one of them changed.
func (h *Hub) SetTeams(teams map[board.TeamID]*team.State) {}

// Numbers are how many sessions, watchers and listeners there are.
func (h *Hub) Numbers() (sessions, watchers, listeners int) { return 0, 0, 0 }

// Attach begins a session of a user's device. ErrTooMany.
func (h *Hub) Attach(user board.UserID, device board.DeviceID, client string) (*Session, error) {
	return nil, nil
}

// AttachOwn begins the daemon's own session, which Own then returns.
func (h *Hub) AttachOwn(user board.UserID, device board.DeviceID, client string) (*Session, error) {
	return nil, nil
}

// Session finds a session of a user by its id. ErrUnknownSession.
func (h *Hub) Session(user board.UserID, id string) (*Session, error) { return nil, nil }

// Own is the daemon's own session; nil: it has none.
func (h *Hub) Own() *Session { return nil }

// Session is a user's device that is there. Safe for concurrent use.
type Session struct{}

// ID names the session; it can't be guessed.
func (s *Session) ID() string { return "" }

// Report says whether the device is used, and for how long it hasn't been.
func (s *Session) Report(idle bool, idleFor time.Duration) error { return nil }

// SetPayload sets what the device shows of itself, at most presence.MaxPayload bytes; none erases it. board.ErrTooLarge.
func (s *Session) SetPayload(p []byte) error { return nil }

// Close ends the session: by a goodbye, or else it vanished. A second Close changes nothing.
func (s *Session) Close(goodbye bool) {}

// Set takes what a user says of themselves: in all teams, or in one. It returns how they are shown from now on where they
// are not damped, to themselves. An error: it could not be saved.
func (h *Hub) Set(user board.UserID, team *board.TeamID, s presence.Setting, clear bool) (presence.Person, error) {
	return presence.Person{}, nil
}

// Settings are what a user has set, for all teams (Team zero) first.
func (h *Hub) Settings(user board.UserID) []presence.OwnSetting { return nil }

// SettingsFor are those that node should know since it is a home of the same users. For each new connection.
func (h *Hub) SettingsFor(node board.NodeID) []*weftv1.OwnSetting { return nil }

// Why says what each home of a person says, and what of it counts.
func (h *Hub) Why(viewer board.UserID, team board.TeamID, user board.UserID) ([]presence.Reason, error) {
	return nil, nil
}
