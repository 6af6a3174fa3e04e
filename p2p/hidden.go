package p2p

import (
	"context"
	"errors"
	"time"

	"weft/board"
	"weft/store"
)

// Hidden is what some node keeps back, or nobody here has heard of yet: entries of a device that its later ones follow,
// while all that teammates speak of is held.
type Hidden struct {
	store.DeviceGap
	Since time.Time // when this node first saw it, since its start
}

const (
	hiddenEvery = 30 * time.Second
	hiddenAfter = time.Minute // before that a gap may close by itself
	maxHidden   = 1024        // kept of one team
)

// hiddenKey is a gap, whatever its size.
type hiddenKey struct {
	board  board.ID
	device board.DeviceID
	epoch  uint64
}

// watchHidden looks for numbers of devices that no log explains, until ctx ends.
func (m *Mesh) watchHidden(ctx context.Context) error {
	since := map[board.TeamID]map[hiddenKey]time.Time{}
	tick := time.NewTicker(hiddenEvery)
	defer tick.Stop()
	for {
		found, before := map[board.TeamID][]Hidden{}, since
		since = map[board.TeamID]map[hiddenKey]time.Time{}
		total := 0
		for t := range m.who.view.Load().teams {
			seen := m.lookForHidden(ctx, t, before[t])
			since[t] = map[hiddenKey]time.Time{}
			for _, h := range seen {
				since[t][hiddenKey{h.Board, h.Device, h.DevEpoch}] = h.Since
				if m.o.Now().Sub(h.Since) >= hiddenAfter {
					found[t] = append(found[t], h)
					total += int(h.Missing)
				}
			}
		}
		m.hidden.Store(&found)
		m.stats.hidden.Set(float64(total))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// lookForHidden are a team's gaps, if nothing is known to be still to come; since is when they were first seen.
func (m *Mesh) lookForHidden(ctx context.Context, t board.TeamID, since map[hiddenKey]time.Time) (out []Hidden) {
	arriving := true
	m.loop.do(ctx, func() {
		arriving = false
		for _, s := range m.loop.rep.Status(t) {
			arriving = arriving || s.Behind > 0 || s.Arriving || s.Pending > 0
		}
	})
	if arriving {
		return nil
	}
	gaps, err := m.o.Store.DeviceGaps(ctx, t)
	if err != nil {
		if !errors.Is(err, store.ErrClosed) && !errors.Is(err, context.Canceled) {
			m.log.Warn("couldn't look for entries that are kept back", "team", t.String(), "err", err)
		}
		return nil
	}
	for _, g := range gaps[:min(len(gaps), maxHidden)] {
		first, known := since[hiddenKey{g.Board, g.Device, g.DevEpoch}]
		if !known {
			first = m.o.Now()
		}
		out = append(out, Hidden{g, first})
	}
	return out
}

// Hidden lists what has been missing of a team for a minute or more though nothing is known to be still to come: entries
// of devices are being kept back, or haven't been heard of yet. It is looked at every half minute.
func (m *Mesh) Hidden(t board.TeamID) []Hidden { return (*m.hidden.Load())[t] }
