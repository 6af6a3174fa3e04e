package hub

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"weft/board"
	"weft/presence"
	"weft/team"
)

// Hub is safe for concurrent use.
type Hub struct {
	o       Options
	began   time.Time // for LiveNow
	metrics *metrics
	nudged  chan struct{} // of capacity one: Run has something to do
	sendMu  sync.Mutex    // one at a time carries out what is in mu.outbox; taken before mu
	saveMu  sync.Mutex    // one at a time saves; taken before mu

	mu struct { // nothing waits while it is held
		sync.Mutex
		table     *presence.Table
		wire      Wire
		teams     map[board.TeamID]*team.State
		sessions  map[string]*Session
		ofUser    map[board.UserID]int // sessions
		vanished  map[string]vanished
		sweepAt   time.Time // when vanished is looked through next
		own       *Session
		next      uint64 // session
		outbox    []presence.Effect
		watchers  map[*Watcher]struct{}
		counted   map[board.TeamID]*counted
		listeners map[*Listener]struct{}
		live      live
		relays    relays
		saver     saver
		wake      time.Time // Run's timer is set to it
		closed    bool
	}
}

// New makes a hub and loads what outlasted the last daemon.
func New(o Options) (*Hub, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Clock == nil {
		clock := &board.Clock{}
		var mu sync.Mutex
		o.Clock = func() board.HLC { mu.Lock(); defer mu.Unlock(); return clock.Now(o.Now()) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Limits = o.Limits.orUsual()
	h := &Hub{o: o, began: o.Now(), nudged: make(chan struct{}, 1)}
	h.mu.table = presence.NewTable(presence.Config{Self: o.Self, Boot: o.Boot, Start: h.began, Off: o.Off})
	h.mu.teams = map[board.TeamID]*team.State{}
	h.mu.sessions, h.mu.ofUser, h.mu.vanished = map[string]*Session{}, map[board.UserID]int{}, map[string]vanished{}
	h.mu.watchers, h.mu.listeners = map[*Watcher]struct{}{}, map[*Listener]struct{}{}
	h.mu.counted = map[board.TeamID]*counted{}
	h.mu.live = newLive(h.o.Limits)
	h.mu.relays = relays{}
	h.mu.saver = newSaver()
	if err := h.loadSettings(); err != nil {
		return nil, fmt.Errorf("couldn't load what people have set about their presence: %w", err)
	}
	h.metrics = newMetrics(h)
	return h, nil
}

// Run does what is due until ctx ends; then it saves what outlasts the daemon.
func (h *Hub) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer h.shut()
	for {
		h.tick()
		h.send()
		h.save(false)
		timer.Reset(h.until())
		select {
		case <-ctx.Done():
			return nil
		case <-h.nudged:
		case <-timer.C:
		}
	}
}

// until is how long Run may rest.
func (h *Hub) until() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	wake := h.mu.table.Wake()
	for _, at := range []time.Time{h.countsDue(), h.mu.saver.due, h.mu.relays.due} {
		if !at.IsZero() && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	h.mu.wake = wake
	if wake.IsZero() {
		return time.Hour
	}
	return max(wake.Sub(now), 0)
}

// tick does what the time asks for.
func (h *Hub) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	h.do(h.mu.table.Tick(now))
	h.countsTick(now)
	h.forgetVanished(now)
	h.mu.relays.forget(now)
}

// step changes the table and has done what follows. Run sends it.
func (h *Hub) step(change func(t *presence.Table, now time.Time) []presence.Effect) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.do(change(h.mu.table, h.o.Now()))
}

// do carries out effects; h.mu is held. What goes to other nodes waits for Run, in order.
func (h *Hub) do(effects []presence.Effect) {
	for _, e := range effects {
		if c, ok := e.(presence.Changed); ok {
			h.changed(c)
			continue
		}
		h.mu.outbox = append(h.mu.outbox, e)
	}
	wake := h.mu.table.Wake()
	if len(h.mu.outbox) > 0 || !wake.IsZero() && (h.mu.wake.IsZero() || wake.Before(h.mu.wake)) {
		h.nudge()
	}
}

func (h *Hub) nudge() {
	select {
	case h.nudged <- struct{}{}:
	default:
	}
}

// send gives to the wire what waits.
func (h *Hub) send() {
	h.sendMu.Lock()
	defer h.sendMu.Unlock()
	h.mu.Lock()
	out, wire := h.mu.outbox, h.mu.wire
	h.mu.outbox = nil
	h.mu.Unlock()
	asks := map[board.NodeID][]board.TeamID{}
	var order []board.NodeID
	for _, e := range out {
		if wire == nil {
			break // nobody is there to hear it; whoever comes later asks
		}
		switch e := e.(type) {
		case presence.SendBeat:
			e.Beat.SentHLC = h.o.Clock()
			wire.SendBeat(e.Beat.Team, e.Beat.Wire())
			h.metrics.sent.Inc()
		case presence.Ask:
			if asks[e.Node] == nil {
				order = append(order, e.Node)
			}
			asks[e.Node] = append(asks[e.Node], e.Team)
		case presence.TellHomes:
			if len(e.Nodes) > 0 {
				wire.SendSetting(e.Nodes, settingWire(e.Own))
			}
		}
	}
	for _, n := range order {
		wire.AskWhole(n, asks[n])
	}
}

// shut ends what waits, and saves.
func (h *Hub) shut() {
	h.save(true)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.closed = true
	for w := range h.mu.watchers {
		w.shut()
	}
	for l := range h.mu.listeners {
		l.shut()
	}
}

// SetWire says who carries things to other nodes; nil: nobody, which is how it begins.
func (h *Hub) SetWire(w Wire) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.wire = w
	h.nudge()
}

// SetTeams tells the hub all teams of this node, whenever one of them changed. Of one that was disbanded nobody is shown any more.
func (h *Hub) SetTeams(teams map[board.TeamID]*team.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	for _, id := range sortedTeams(h.mu.teams) {
		if !isOpen(teams[id]) {
			delete(h.mu.teams, id)
			h.do(h.mu.table.DropTeam(now, id))
			delete(h.mu.counted, id)
			for w := range h.mu.watchers {
				w.review(id)
			}
		}
	}
	for _, id := range sortedTeams(teams) {
		st := teams[id]
		was, known := h.mu.teams[id]
		if !isOpen(st) || known && was == st {
			continue
		}
		h.mu.teams[id] = st
		h.do(h.mu.table.SetTeam(now, id, st))
		if !known {
			h.loadTeam(id)
		}
		h.dirtyCounts(now, id)
		for w := range h.mu.watchers {
			w.review(id)
		}
	}
}

func isOpen(st *team.State) bool {
	if st == nil || !st.Known() {
		return false
	}
	_, closed := st.Closed()
	return !closed
}

// Numbers are how many sessions, watchers and listeners there are.
func (h *Hub) Numbers() (sessions, watchers, listeners int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.mu.sessions), len(h.mu.watchers), len(h.mu.listeners)
}

// Attach begins a session of a user's device. ErrTooMany, ErrClosed.
func (h *Hub) Attach(user board.UserID, device board.DeviceID, client string) (*Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.mu.closed:
		return nil, fmt.Errorf("couldn't attach: the daemon stops: %w", ErrClosed)
	case len(h.mu.sessions) >= h.o.Limits.Sessions:
		return nil, fmt.Errorf("couldn't attach: %d sessions are here: %w", len(h.mu.sessions), ErrTooMany)
	case h.mu.ofUser[user] >= h.o.Limits.UserSessions:
		return nil, fmt.Errorf("couldn't attach: %d sessions of this user are here; close some: %w", h.mu.ofUser[user], ErrTooMany)
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("couldn't name a session: %w", err)
	}
	h.mu.next++
	s := &Session{h: h, id: hex.EncodeToString(id[:]), n: h.mu.next, user: user, device: device, client: client}
	h.mu.sessions[s.id] = s
	h.mu.ofUser[user]++
	h.do(h.mu.table.Attach(h.o.Now(), s.n, user, presence.ShortDevice(device)))
	return s, nil
}

// AttachOwn begins the daemon's own session, which Own then returns.
func (h *Hub) AttachOwn(user board.UserID, device board.DeviceID, client string) (*Session, error) {
	s, err := h.Attach(user, device, client)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.own = s
	return s, nil
}

// Session finds a session of a user by its id. ErrUnknownSession.
func (h *Hub) Session(user board.UserID, id string) (*Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.mu.sessions[id]
	if s == nil || s.user != user {
		return nil, fmt.Errorf("couldn't find the session: %w", ErrUnknownSession)
	}
	return s, nil
}

// Own is the daemon's own session; nil: it has none.
func (h *Hub) Own() *Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.own
}

// Why says what each home of a person says, and what of it counts. board.ErrNotMember, ErrUnknownTeam.
func (h *Hub) Why(viewer board.UserID, id board.TeamID, user board.UserID) ([]presence.Reason, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.maySee(viewer, id); err != nil {
		return nil, err
	}
	return h.mu.table.Why(h.o.Now(), id, user), nil
}

// maySee says whether somebody is shown the people of a team; h.mu is held.
func (h *Hub) maySee(viewer board.UserID, id board.TeamID) error {
	switch {
	case h.mu.teams[id] == nil:
		return ErrUnknownTeam
	case !h.mu.table.IsMember(id, viewer):
		return fmt.Errorf("only people of the team see who is there: %w", board.ErrNotMember)
	}
	return nil
}
