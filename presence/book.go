package presence

import (
	"time"

	"weft/board"
)

// node is what is known of a node.
type node struct {
	id     board.NodeID
	self   bool
	health Health
	boot   [16]byte
	old    [4][16]byte // boots before it, whose beats are of no use any more
	sent   board.HLC   // of its newest beat
	lease  int64       // table time until which it vouches
	leased bool        // it does; Tick ends it
	heard  int64       // when it was last heard, wall time
}

// lives says whether what the node says counts.
func (n *node) lives() bool {
	return n.self || n.leased && n.health.State != NodeDead && n.health.State != NodeLeft
}

func (n *node) isOld(boot [16]byte) bool {
	for _, o := range n.old {
		if o == boot && boot != [16]byte{} {
			return true
		}
	}
	return false
}

// book is what is held of one node in one team.
//
// Beats may come in any order and more than once. Each replaces what it says of its people, unless a later one has; all up to
// number are here, and those in ahead; so when nothing is missing below the highest number, the digest that came with it must
// be sum. A whole state fills all up to its number.
type book struct {
	node      *node
	team      *room
	number    uint64 // all beats up to it are applied
	ahead     uint64 // bit i: beat number+1+i too
	top       uint64 // highest number heard of
	digest    [16]byte
	sum       sum
	strangers int   // people held whose home the node isn't, as far as the team knows
	reborn    int64 // until then who is there is so since the node was started again, a moment ago; 0: it has said who is
	fresh     bool  // this is what the node says now, not what it said before it was thought dead
	whole     assembly
	ask       struct {
		due, last int64
		tries     int
	}
}

// assembly is a whole state of which some pages are here.
type assembly struct {
	number uint64
	pages  int
	got    [MaxPages / 64]uint64
}

// sound says whether nothing is missing and the digest fits.
func (b *book) sound() bool { return b.number == b.top && b.sum.bytes() == b.digest }

// has says whether beat n is applied, and if not, whether there is room to note that it is.
func (b *book) has(n uint64) (applied, room bool) {
	switch {
	case n <= b.number:
		return true, true
	case n-b.number > 64:
		return false, false
	}
	return b.ahead&(1<<(n-b.number-1)) != 0, true
}

// note says that beat n is applied.
func (b *book) note(n uint64) {
	if n > b.number {
		b.ahead |= 1 << (n - b.number - 1)
	}
	for b.ahead&1 != 0 {
		b.ahead >>= 1
		b.number++
	}
}

// reach says that everything up to n is applied.
func (b *book) reach(n uint64) {
	if n <= b.number {
		return
	}
	if n-b.number >= 64 {
		b.ahead = 0
	} else {
		b.ahead >>= n - b.number
	}
	b.number = n
	b.note(n)
}

// say replaces what is held of a person, who is in r; nil is taken back.
func (b *book) say(r *row, p packed, number uint64, home bool) {
	if h := r.of(b); h != nil {
		b.sum = b.sum.sub(term(r.user, h.says))
		if !h.home {
			b.strangers--
		}
		if p == "" {
			r.remove(b)
			return
		}
	}
	if p == "" {
		return
	}
	b.sum = b.sum.add(term(r.user, p))
	if !home {
		b.strangers++
	}
	r.put(held{b, p, number, home})
}

// clear forgets all that the node has said in the team.
func (b *book) clear() {
	for _, r := range b.team.rows {
		if r.of(b) != nil {
			b.say(r, "", 0, false)
		}
	}
	*b = book{node: b.node, team: b.team, fresh: true, ask: b.ask}
	b.ask.due = 0
}

// Of asking for a whole state.
const (
	gapPatience = 250 * time.Millisecond // beats overtake each other
	askAgain    = 2 * time.Second        // doubled each time
	askSeldom   = time.Minute
)

func askEvery(tries int) int64 {
	d := askAgain << min(tries, 6)
	return min(d, askSeldom).Milliseconds()
}
