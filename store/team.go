package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// Teams are those that this node takes part in, in order of id.
func (s *Store) Teams() []board.TeamID {
	m := s.memory()
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]board.TeamID, 0, len(m.teams))
	for id := range m.teams {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b board.TeamID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// Team is a snapshot of what is known of a team.
func (s *Store) Team(t board.TeamID) (*team.State, bool) {
	ts, ok := s.memory().team(t)
	if !ok {
		return nil, false
	}
	return ts.state.Load(), true
}

// BoardTeam is the team that a board belongs to.
func (s *Store) BoardTeam(b board.ID) (board.TeamID, bool) {
	bs, ok := s.memory().board(b)
	if !ok {
		return board.TeamID{}, false
	}
	return bs.team.id, true
}

// Boards describes a team's boards: governance first, then message boards, general first.
func (s *Store) Boards(t board.TeamID) []BoardInfo {
	m := s.memory()
	m.mu.RLock()
	ts := m.teams[t]
	var list []*boardState
	if ts != nil {
		list = append([]*boardState{ts.governance}, ts.boards...)
	}
	m.mu.RUnlock()
	out := make([]BoardInfo, len(list))
	for i, bs := range list {
		out[i] = s.info(bs)
	}
	return out
}

// Board describes one board.
func (s *Store) Board(b board.ID) (BoardInfo, bool) {
	bs, ok := s.memory().board(b)
	if !ok {
		return BoardInfo{}, false
	}
	return s.info(bs), true
}

func (s *Store) info(bs *boardState) BoardInfo {
	last, start := s.lastShown(bs), s.startsAt(bs)
	bs.mu.Lock()
	defer bs.mu.Unlock()
	floored := bs.floored()
	i := BoardInfo{ID: bs.id, Team: bs.team.id, Name: bs.name, Governance: bs.governance, Last: last}
	for _, l := range bs.logs {
		i.Entries += l.shown
		i.Records += l.st.Hi - l.st.Lo + 1
	}
	if floored {
		i.Floored, i.Start = true, start
	}
	return i
}

// Holding is a copy of what is held of a board; nil: the board is unknown.
func (s *Store) Holding(b board.ID) *board.Holding {
	bs, ok := s.memory().board(b)
	if !ok {
		return nil
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return bs.holding.Clone()
}

// Path is Holding(b).Path, without a copy of all that is held: peers ask for it often.
func (s *Store) Path(b board.ID, n board.NodeID, have []board.Point, toward board.Point) (rows []board.Segment, joined bool) {
	bs, ok := s.memory().board(b)
	if !ok {
		return nil, false
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return bs.holding.Path(n, have, toward)
}

// Vector is what is held of a board.
func (s *Store) Vector(b board.ID) board.Vector {
	bs, ok := s.memory().board(b)
	if !ok {
		return nil
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return bs.holding.Vector()
}

// messageBoards are all of them, by team and in each team's order.
func (s *Store) messageBoards() (out []*boardState) {
	m := s.memory()
	ids := s.Teams()
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, t := range ids {
		if ts := m.teams[t]; ts != nil {
			out = append(out, ts.boards...)
		}
	}
	return out
}

// adoptTask makes this node take part in a team.
type adoptTask struct {
	s       *Store
	id      board.TeamID
	genesis *team.Object
	done    chan error
}

// AdoptTeam makes this node take part in a team: its governance may then be ingested and appended. genesis, the team's
// first charter, may be nil if it is yet to come. Adopting twice does nothing. Errors wrap board.ErrMalformed, ErrLimit,
// ErrClosed, ErrStorageFull or ErrOutcomeUnknown.
func (s *Store) AdoptTeam(ctx context.Context, id board.TeamID, genesis *team.Object) error {
	if err := s.writable(); err != nil {
		return err
	}
	if genesis != nil && (genesis.Kind != board.KindCharter || board.TeamID(genesis.Hash) != id) {
		return fmt.Errorf("couldn't take part in the team: the charter is not its genesis: %w", board.ErrMalformed)
	}
	t := &adoptTask{s, id, genesis, make(chan error, 1)}
	if err := s.do(ctx, t, t.done); err != nil {
		return err
	}
	if err := s.writeWitness(); err != nil {
		s.opts.Log.Warn("witness is old", "error", err)
	}
	return nil
}

func (t *adoptTask) prepare(g *group) error {
	m := g.m
	if ts := m.teams[t.id]; ts != nil && (t.genesis == nil || ts.state.Load().Known()) {
		return nil
	} else if ts == nil && t.s.quota.teams > 0 && len(m.teams) >= t.s.quota.teams {
		return fmt.Errorf("couldn't take part in a further team, there are %d: %w", len(m.teams), ErrLimit)
	}
	ts := m.teams[t.id]
	if ts == nil {
		ts = newTeam(t.id)
		g.published = append(g.published, func() {
			m.mu.Lock()
			m.teams[t.id], m.boards[ts.governance.id] = ts, ts.governance
			m.mu.Unlock()
		})
	}
	var content []byte
	if t.genesis != nil {
		content = t.genesis.Body
		ts.genesis = t.genesis.Body
		g.evaluate(ts, t.genesis)
	}
	g.teams[ts] = true
	if err := g.put(teamKey(t.id), content); err != nil {
		return errors.Join(errAbort, err)
	}
	return nil
}

func (t *adoptTask) finish(err error) { t.done <- err }

func newTeam(id board.TeamID) *teamState {
	ts := &teamState{id: id, evaluator: team.NewEvaluator(id), spots: map[board.ID]map[board.NodeID]spots{}}
	ts.governance = &boardState{id: board.GovernanceID(id), team: ts, governance: true, name: "governance"}
	ts.state.Store(ts.evaluator.State())
	return ts
}

// govern hands a governance record to the team's evaluator.
func (g *group) govern(l *logState, o *team.Object, at board.Position, prev board.Link) error {
	ts := l.board.team
	changed := ts.evaluator.AddRecord(at, prev)
	g.teams[ts] = g.teams[ts] || changed
	if o == nil {
		return nil
	}
	withPosition := *o
	withPosition.Records = []board.Position{at}
	g.evaluate(ts, &withPosition)
	ts.watchCuts(o)
	return g.noteObject(l, o)
}

func (g *group) evaluate(ts *teamState, o *team.Object) {
	changed, err := ts.evaluator.Add(o)
	if err != nil {
		g.s.opts.Log.Debug("governance object does not fit its team", "team", ts.id.String()[:8], "error", err)
	}
	g.teams[ts] = g.teams[ts] || changed
}

// advanceTeams takes what the evaluators say now: it writes the changes and makes the new states visible with the commit.
func (g *group) advanceTeams() error {
	for ts, changed := range g.teams {
		if !changed {
			continue
		}
		st := ts.evaluator.State()
		g.states[ts] = st
		for _, f := range st.Flips(ts.state.Load()) {
			if err := g.markFlip(ts, f); err != nil {
				return err
			}
		}
		if err := g.reviewLater(ts, st); err != nil {
			return err
		}
		g.changeTeam(ts.id)
		known := map[board.ID]bool{}
		for _, b := range ts.boards {
			known[b.id] = true
		}
		list := g.s.boardsOf(g.m, ts, st)
		for _, b := range list {
			if !known[b.id] {
				g.changeBoard(b.id)
			}
		}
		g.published = append(g.published, func() { publishTeam(g.m, ts, st, list) })
		g.moveFloors(list, st)
	}
	return nil
}

// boardsOf makes a team's list of message boards from its state.
func (s *Store) boardsOf(m *memory, ts *teamState, st *team.State) (out []*boardState) {
	if !st.Known() {
		return nil
	}
	for _, b := range st.Boards() {
		if s.quota.boards > 0 && len(out) >= s.quota.boards {
			s.opts.Log.Warn("team has more boards than this node keeps", "team", ts.id.String()[:8], "kept", len(out))
			break
		}
		bs := m.boards[b.ID]
		if bs == nil {
			bs = &boardState{id: b.ID, team: ts, name: b.Name}
		} else if bs.team == nil { // found on disk at Open
			bs.team, bs.name = ts, b.Name
		}
		if bs.team == ts && !bs.governance {
			out = append(out, bs)
		}
	}
	return out
}

func publishTeam(m *memory, ts *teamState, st *team.State, list []*boardState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ts.boards = list
	for _, b := range list {
		m.boards[b.id] = b
	}
	ts.state.Store(st)
}

// rebuildEvaluators makes the evaluators again from what is on disk, after a group was thrown away.
func (s *Store) rebuildEvaluators() {
	for _, ts := range s.memory().teams {
		if err := s.evaluateTeam(s.memory(), ts); err != nil {
			s.opts.Log.Error("couldn't evaluate team", "team", ts.id.String()[:8], "error", err)
		}
	}
}

// evaluateTeam feeds a new evaluator with a team's whole governance board.
func (s *Store) evaluateTeam(m *memory, ts *teamState) error {
	ts.evaluator, ts.spots = team.NewEvaluator(ts.id), map[board.ID]map[board.NodeID]spots{}
	if ts.genesis != nil {
		if o, err := team.ParseObject(board.KindCharter, ts.genesis); err == nil {
			ts.evaluator.Add(o)
		}
	}
	for _, l := range ts.governance.logs {
		if err := s.evaluateLog(m, ts, l); err != nil {
			return err
		}
	}
	st := ts.evaluator.State()
	publishTeam(m, ts, st, s.boardsOf(m, ts, st))
	return nil
}

// evaluateLog feeds one governance log. Where records are damaged it goes on after them: objects count by their own
// signatures, but under cuts only once their records hang together again (governOn).
func (s *Store) evaluateLog(m *memory, ts *teamState, l *logState) error {
	w := walk{l, l.st.LoPrev, true}
	for seq := l.st.Lo; seq <= l.st.Hi; {
		var bad uint64
		err := s.view(func(_ *memory, txn *badger.Txn) (err error) {
			bad, err = eachRecord(txn, l.num, seq, l.st.Hi, func(at uint64, r stored) bool {
				prev, linked := w.prev, w.known
				rec := w.next(at, &r)
				if linked {
					ts.evaluator.AddRecord(rec, prev)
				}
				if o, err := team.EntryObject(r.entry); err == nil {
					if linked {
						o.Records = []board.Position{rec}
					}
					ts.evaluator.Add(o)
					ts.watchCuts(o)
				}
				return true
			})
			return err
		})
		if !errors.Is(err, errDecode) {
			return err
		}
		s.damaged(l, bad)
		seq = w.skip(bad)
	}
	return nil
}

// isOrigin says whether logs of a node are part of a team's boards.
func isOrigin(st *team.State, n board.NodeID) bool {
	_, ok := slices.BinarySearchFunc(st.Origins(), n, func(a, b board.NodeID) int { return slices.Compare(a[:], b[:]) })
	return ok
}
