package store

import (
	"crypto/sha256"
	"encoding/binary"

	"weft/board"
)

// The change log: one value for each commit, under the arrival of its first change. Layout: number of changes uvarint,
// check 8, then items. Item: kind 1, then
//
//	EntryShown   log uvarint, seq uvarint, n uvarint: the n records from seq on; kind | lateBit: late
//	EntryHidden  log uvarint, seq uvarint: the record that stood for the entry
//	MarkMoved    user 32, board 16
//	BoardGained, FloorMoved  board 16
//	TeamChanged  team 32
//
// check = sha256(check of the value before, salt of this Open, items)[:8], so that a store that lost its tail and wrote
// another one does not pass for what it was.
const lateBit = 0x80

// changeRun is the row of shown records at the end of a group's items, which grows while it can.
type changeRun struct {
	start  int // where the item begins in changes
	log    logNum
	from   uint64
	n      uint64
	isLate bool
}

func (g *group) changeShown(p pos, late bool) {
	g.changed++
	if r := &g.runEnd; r.n > 0 && r.log == p.log && r.from+r.n == p.seq && r.isLate == late {
		r.n++
	} else {
		g.runEnd = changeRun{len(g.changes), p.log, p.seq, 1, late}
	}
	r := &g.runEnd
	kind := byte(EntryShown)
	if late {
		kind |= lateBit
	}
	b := append(g.changes[:r.start], kind)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(r.log)), r.from)
	g.changes = binary.AppendUvarint(b, r.n)
}

func (g *group) item(kind ChangeKind) {
	g.changed++
	g.runEnd = changeRun{}
	g.changes = append(g.changes, byte(kind))
}

func (g *group) changeHidden(p pos) {
	g.item(EntryHidden)
	g.changes = appendPosition(g.changes, p)
}

func (g *group) changeMark(u board.UserID, b board.ID) {
	g.item(MarkMoved)
	g.changes = append(append(g.changes, u[:]...), b[:]...)
}

func (g *group) changeBoard(b board.ID) {
	g.item(BoardGained)
	g.changes = append(g.changes, b[:]...)
}

func (g *group) changeTeam(t board.TeamID) {
	g.item(TeamChanged)
	g.changes = append(g.changes, t[:]...)
}

// writeChanges writes the group's part of the change log.
func (g *group) writeChanges() error {
	if g.changed == 0 || g.quiet {
		return nil
	}
	check := nextCheck(g.m.changeCheck, g.s.salt, g.changes)
	c := binary.AppendUvarint(make([]byte, 0, len(g.changes)+24), g.changed)
	c = binary.BigEndian.AppendUint64(c, check)
	c = append(c, g.changes...)
	first, last := g.m.arrival+1, g.m.arrival+g.changed
	g.published = append(g.published, func() {
		g.m.mu.Lock()
		g.m.arrival, g.m.changeCheck = last, check
		g.m.mu.Unlock()
	})
	return g.put(changeKey(first), c)
}

func nextCheck(before uint64, salt [16]byte, items []byte) uint64 {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 24+len(items)), before)
	b = append(append(b, salt[:]...), items...)
	h := sha256.Sum256(b)
	return binary.BigEndian.Uint64(h[:])
}

// changeGroup is one value of the change log.
type changeGroup struct {
	first, n uint64
	check    uint64
	items    []byte
}

func parseChangeGroup(key, c []byte) (g changeGroup, err error) {
	if len(key) != 9 {
		return g, errDecode
	}
	n, w := binary.Uvarint(c)
	if w <= 0 || n == 0 || len(c) < w+8 {
		return g, errDecode
	}
	return changeGroup{binary.BigEndian.Uint64(key[1:]), n, binary.BigEndian.Uint64(c[w:]), c[w+8:]}, nil
}

// rawChange is one item, of which a row of n changes is made.
type rawChange struct {
	kind  ChangeKind
	late  bool
	at    pos
	n     uint64
	user  board.UserID
	board board.ID
	team  board.TeamID
}

// next cuts the first item off.
func (g *changeGroup) next() (r rawChange, err error) {
	c := g.items
	if len(c) == 0 {
		return r, errDecode
	}
	r.kind, r.late, r.n, c = ChangeKind(c[0]&^lateBit), c[0]&lateBit != 0, 1, c[1:]
	num := func() (v uint64) {
		v, n := binary.Uvarint(c)
		if n <= 0 {
			err = errDecode
			return 0
		}
		c = c[n:]
		return v
	}
	id := func(dst []byte) {
		if copy(dst, c) < len(dst) {
			err = errDecode
			return
		}
		c = c[len(dst):]
	}
	switch r.kind {
	case EntryShown:
		r.at = pos{logNum(num()), num()}
		r.n = num()
	case EntryHidden:
		r.at = pos{logNum(num()), num()}
	case MarkMoved:
		id(r.user[:])
		id(r.board[:])
	case BoardGained, FloorMoved:
		id(r.board[:])
	case TeamChanged:
		id(r.team[:])
	default:
		err = errDecode
	}
	g.items = c
	return r, err
}
