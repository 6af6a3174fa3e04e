package hub

import (
	"fmt"
	"maps"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
)

// Session is a user's device that is there. Safe for concurrent use.
type Session struct {
	h      *Hub
	id     string
	n      uint64
	user   board.UserID
	device board.DeviceID
	client string
	ended  bool // guarded by h.mu
}

// ID names the session; it can't be guessed.
func (s *Session) ID() string { return s.id }

// User is whose session it is.
func (s *Session) User() board.UserID { return s.user }

// Device is the device that it is of.
func (s *Session) Device() board.DeviceID { return s.device }

// Client is the program and version that attached.
func (s *Session) Client() string { return s.client }

// Report says whether the device is used, and for how long it hasn't been. ErrUnknownSession: it is closed.
func (s *Session) Report(idle bool, idleFor time.Duration) error {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.ended {
		return fmt.Errorf("couldn't report: %w", ErrUnknownSession)
	}
	h.do(h.mu.table.Report(h.o.Now(), s.n, idle, idleFor))
	return nil
}

// SetPayload sets what the device shows of itself, at most presence.MaxPayload bytes; none erases it. board.ErrTooLarge, ErrUnknownSession.
func (s *Session) SetPayload(p []byte) error {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.ended {
		return fmt.Errorf("couldn't set the payload: %w", ErrUnknownSession)
	}
	effects, err := h.mu.table.SetPayload(h.o.Now(), s.n, p)
	h.do(effects)
	return err
}

// Close ends the session: by a goodbye, or else it vanished. A second Close changes nothing.
func (s *Session) Close(goodbye bool) {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.ended || h.mu.closed { // what a daemon that stops says of its people is the mesh's goodbye
		return
	}
	s.ended = true
	delete(h.mu.sessions, s.id)
	if h.mu.ofUser[s.user]--; h.mu.ofUser[s.user] == 0 {
		delete(h.mu.ofUser, s.user)
	}
	if h.mu.own == s {
		h.mu.own = nil
	}
	now := h.o.Now()
	h.do(h.mu.table.Detach(now, s.n, goodbye))
	if !goodbye && len(h.mu.vanished) < h.o.Limits.Sessions {
		h.mu.vanished[s.id] = vanished{s.user, presence.ShortDevice(s.device), now.Add(presence.Grace)}
	}
}

// vanished is a session that ended without a goodbye, which may still come.
type vanished struct {
	user   board.UserID
	device presence.DeviceID
	until  time.Time
}

// Leave is the goodbye of a session that has vanished a moment ago: its user is reconnecting no longer, unless another session of
// the same device has vanished too. ErrUnknownSession.
func (h *Hub) Leave(user board.UserID, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	x, ok := h.mu.vanished[id]
	if !ok || x.user != user || !now.Before(x.until) {
		return fmt.Errorf("couldn't find the session: %w", ErrUnknownSession)
	}
	delete(h.mu.vanished, id)
	for _, o := range h.mu.vanished {
		if o.user == x.user && o.device == x.device && now.Before(o.until) {
			return nil
		}
	}
	h.do(h.mu.table.Leave(now, x.user, x.device))
	return nil
}

// forgetVanished forgets sessions whose grace is over, once in a while; h.mu is held.
func (h *Hub) forgetVanished(now time.Time) {
	if len(h.mu.vanished) == 0 || now.Before(h.mu.sweepAt) {
		return
	}
	h.mu.sweepAt = now.Add(presence.Grace)
	maps.DeleteFunc(h.mu.vanished, func(_ string, x vanished) bool { return !now.Before(x.until) })
}

// Set takes what a user says of themselves: in all teams, or in one. It returns how they are shown from now on, damping aside: to others,
// so somebody invisible is offline. The new setting is in force even if it couldn't be saved, which is the error then.
func (h *Hub) Set(user board.UserID, id *board.TeamID, s presence.Setting, clear bool) (presence.Person, error) {
	if len(s.Status) > presence.MaxStatus {
		return presence.Person{}, fmt.Errorf("couldn't set the presence: a status line of %d bytes, %d are possible: %w", len(s.Status), presence.MaxStatus, board.ErrTooLarge)
	}
	if s.Availability != presence.Away && s.Availability != presence.Busy {
		s.Availability = presence.Online
	}
	x := presence.OwnSetting{User: user, Clear: clear, Setting: s}
	if clear {
		x.Setting = presence.Setting{Availability: presence.Online}
	}
	p, err := h.set(user, id, x)
	if err != nil {
		return p, err
	}
	return p, h.saveSettings(user)
}

func (h *Hub) set(user board.UserID, id *board.TeamID, x presence.OwnSetting) (presence.Person, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if id != nil {
		if err := h.maySee(user, *id); err != nil {
			return presence.Person{}, fmt.Errorf("couldn't set the presence: %w", err)
		}
		x.Team = *id
	}
	x.SetAt = h.o.Clock()
	h.do(h.mu.table.Set(h.o.Now(), x))
	return h.mu.table.Intended(user, x.Team), nil
}

// Settings are what a user has set, for all teams (Team zero) first.
func (h *Hub) Settings(user board.UserID) []presence.OwnSetting {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.table.Settings(user)
}

// SettingsFor are those that node should know since it is a home of the same users. For each new connection.
func (h *Hub) SettingsFor(node board.NodeID) (all []*weftv1.OwnSetting) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.mu.table.SettingsFor(node) {
		all = append(all, settingWire(x))
	}
	return all
}

// ReceiveSetting takes what a person has set at another home of theirs, from that home.
func (h *Hub) ReceiveSetting(from board.NodeID, m *weftv1.OwnSetting) error {
	x, err := presence.ParseSetting(m)
	if err != nil {
		return err
	}
	if news, err := h.takeSetting(from, x); err != nil || !news {
		return err
	}
	return h.saveSettings(x.User)
}

func (h *Hub) takeSetting(from board.NodeID, x presence.OwnSetting) (news bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	effects, news, err := h.mu.table.ReceiveSetting(h.o.Now(), from, x)
	h.do(effects)
	return news, err
}

func settingWire(x presence.OwnSetting) *weftv1.OwnSetting { return x.Wire() }
