package hub

import (
	"bytes"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
)

// Of signed beats kept for others, which can't reach the node that signed them.
const (
	relayFor   = 10 * time.Minute // since it was asked for last
	relayAgain = 2 * time.Second  // between two questions to the node itself
	relayBytes = 1 << 20          // of one node in one team
	maxRelays  = 64
)

// relays are kept for who asked. Guarded by h.mu.
type relays struct {
	all map[relayKey]*relay
	due time.Time // when the first may be forgotten
}

type relayKey struct {
	node board.NodeID
	team board.TeamID
}

type relay struct {
	until, asked time.Time
	boot         [16]byte
	number       uint64
	pages        []*weftv1.Signed
	missing      int
	later        []*weftv1.Signed // beats after it
	bytes        int
}

// ask is a node's question for what another one says.
func (r *relays) ask(now time.Time, n board.NodeID, t board.TeamID) (signed []*weftv1.Signed, ask bool) {
	k := relayKey{n, t}
	x := r.all[k]
	if x == nil {
		if len(r.all) >= maxRelays {
			return nil, false
		}
		if r.all == nil {
			r.all = map[relayKey]*relay{}
		}
		x = &relay{}
		r.all[k] = x
	}
	x.until = now.Add(relayFor)
	if r.due.IsZero() {
		r.due = x.until
	}
	if len(x.pages) > 0 && x.missing == 0 {
		return append(append([]*weftv1.Signed(nil), x.pages...), x.later...), false
	}
	if now.Sub(x.asked) < relayAgain {
		return nil, false
	}
	x.asked = now
	return nil, true
}

// keep keeps a beat that somebody wants.
func (r *relays) keep(raw *weftv1.Signed, b *presence.Beat) {
	x := r.all[relayKey{b.Node, b.Team}]
	if x == nil || raw == nil {
		return
	}
	size := len(raw.Object)
	switch {
	case b.Whole && (b.Number > x.number || b.Boot != x.boot || x.pages == nil):
		*x = relay{until: x.until, asked: x.asked, boot: b.Boot, number: b.Number, pages: make([]*weftv1.Signed, b.Pages), missing: b.Pages}
		fallthrough
	case b.Whole && b.Number == x.number && len(x.pages) == b.Pages:
		if x.pages[b.Page] == nil {
			x.pages[b.Page] = raw
			x.missing--
			x.bytes += size
		}
	case !b.Whole && b.Boot == x.boot && b.Number > x.number && x.pages != nil:
		for _, old := range x.later {
			if bytes.Equal(old.Object, raw.Object) {
				return
			}
		}
		x.later = append(x.later, raw)
		x.bytes += size
	}
	if x.bytes > relayBytes {
		x.pages, x.later, x.bytes, x.number = nil, nil, 0, 0 // the next question brings it anew, without what came after
	}
}

// forget forgets what nobody has asked for in a while.
func (r *relays) forget(now time.Time) {
	if r.due.IsZero() || now.Before(r.due) {
		return
	}
	r.due = time.Time{}
	for k, x := range r.all {
		if !now.Before(x.until) {
			delete(r.all, k)
		} else if r.due.IsZero() || x.until.Before(r.due) {
			r.due = x.until
		}
	}
}
