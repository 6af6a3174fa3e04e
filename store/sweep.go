package store

import (
	"weft/board"
)

// A change of a team's state that touches more logs than one commit can note has all of the team's message boards judged
// again, from the first log to the last: a node that starts a hundred thousand times must not make its own denial too large.

// maxMarks is how many logs one commit notes rows of; more become a sweep.
const maxMarks = 512

// sweep has everything of a team judged again.
func (g *group) sweep(ts *teamState) error {
	if _, now := g.sweeps[ts]; now {
		return nil
	}
	return g.sweepFrom(ts, pos{1, 1})
}

// sweepFrom notes where a sweep goes on.
func (g *group) sweepFrom(ts *teamState, p pos) error {
	if g.sweeps == nil {
		g.sweeps = map[*teamState]struct{}{}
	}
	g.sweeps[ts] = struct{}{}
	g.published = append(g.published, func() { g.m.sweeps[ts] = p })
	return g.put(sweepKey(ts.id), appendPosition(nil, p))
}

func sweepKey(t board.TeamID) []byte { return append([]byte{tSweep}, t[:]...) }

// sweepSome goes on with sweeps.
func (g *group) sweepSome() error {
	left, flips := g.reviewBounds()
	for ts, p := range g.m.sweeps {
		next, err := g.sweepTeam(ts, p, &left, &flips)
		if err != nil {
			return err
		}
		if next.log != 0 {
			return g.sweepFrom(ts, next)
		}
		g.published = append(g.published, func() { delete(g.m.sweeps, ts) })
		if err := g.remove(sweepKey(ts.id)); err != nil {
			return err
		}
	}
	return nil
}

// sweepTeam judges rows from p on and returns where to go on; the zero pos: it is done.
func (g *group) sweepTeam(ts *teamState, p pos, left, flips *int) (pos, error) {
	for ; int(p.log) < len(g.m.logs); p = (pos{p.log + 1, 1}) {
		l := g.m.logs[p.log]
		if l == nil || l.board.team != ts || l.board.governance {
			continue
		}
		for p.seq = max(p.seq, l.st.Lo); p.seq <= l.st.Hi; {
			if *left <= 0 || *flips <= 0 {
				return p, nil
			}
			to := min(l.st.Hi, p.seq+uint64(*left)-1)
			next, err := g.reviewRows(l, p.seq, to, flips)
			if err != nil {
				return p, err
			}
			next = min(next, p.seq+rejudgePerGroup) // looking costs more here
			for seq := p.seq; seq < next; seq++ {
				if err := g.settleIfWrong(l, seq); err != nil {
					return p, err
				}
			}
			*left -= int(next - p.seq)
			p.seq = next
		}
		*left--
	}
	return pos{}, nil
}

func (ld *loader) sweep(key, c []byte) error {
	if len(key) != 33 {
		return errDecode
	}
	p, err := parsePosition(c)
	if ts := ld.m.teams[board.TeamID(key[1:])]; ts != nil && err == nil {
		ld.m.sweeps[ts] = p
	}
	return err
}

// settleIfWrong settles the post of a record anew where what shows of it is not what counts.
func (g *group) settleIfWrong(l *logState, seq uint64) error {
	p := pos{l.num, seq}
	r, err := g.load(p)
	if err != nil {
		return ignoreDamage(err)
	}
	list, err := g.postList(postKey{l.board.id, r.entry.Header.PostID()})
	if err != nil {
		return err
	}
	counts := func(q pos) bool {
		of := g.logNumbered(q.log)
		return of != nil && of.counts(of.limit, q.seq)
	}
	right := list.shown >= 0 && counts(list.recs[list.shown]) && (list.recs[list.shown] == p || r.void != "" || !counts(p))
	if right || list.shown < 0 && (r.void != "" || !counts(p)) {
		return nil
	}
	return g.rejudgeOne(l, seq)
}
