package store

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// Bounds of one transaction. Badger's own bound is 15 % of a memtable; the last task that goes into a group may bring as
// much as maxTaskBytes, an entry, and what is noted beside them.
const (
	maxGroupRecords = 2000
	maxGroupBytes   = 1 << 20
	groupMargin     = maxTaskBytes + board.MaxBody + board.MaxHeader + 128<<10
)

// groupBytes is how many bytes a group may have before it takes no further task.
func groupBytes(memTable int64) int {
	return int(max(64<<10, min(maxGroupBytes, memTable*15/100-groupMargin)))
}

// group is one transaction in the making: what it writes to disk goes through the transaction, which reads its own
// writes; what it changes in memory is noted here and applied after the commit. The committer's alone.
type group struct {
	s   *Store
	m   *memory
	txn *badger.Txn

	records, bytes int
	logs           []*logDelta
	byLog          map[*logState]*logDelta
	touched        map[*boardState]struct{}
	devices        map[deviceKey]*device
	changes        []byte // items of the change log
	changed        uint64 // how many changes they are
	runEnd         changeRun
	marks          []markDelta
	teams          map[*teamState]bool // whose evaluator has taken objects; true: the state changed
	published      []func()            // further things to do in memory after the commit
	newShown       map[*boardState]*Shown
	lost           map[*boardState]bool // boards whose newest shown entry may be another one
	orphaned       map[*logState][]uint64
	restored       map[*logState][]uint64
	flips          bool // bits on disk (j) and in memory must be seen together
	newLogs        int
	asked          map[[16]byte][]board.Hash  // by what they wait for: entries whose order this group, and no earlier one, left open
	quiet          bool                       // nobody is told of changes
	sizes          map[*teamState]int64       // bytes by which teams grow
	voided         string                     // why the record written last does not count, or ""
	signers        map[newSigner]struct{}     // found for the first time
	rejudges       noted                      // records to be judged again
	reviews        noted                      // entries whose rights are to be judged again
	laters         noted                      // entries that were pending when they were judged
	sweeps         map[*teamState]struct{}    // whose sweep begins or goes on
	faults         map[faultKey]*board.Fault  // found anew
	recounts       map[faultKey]bool          // logs of which it is to be found out what counts
	states         map[*teamState]*team.State // found anew
	marked         int                        // logs of which rows were noted
	revived        bool                       // what is being settled is valid after all
	beside         bool                       // somebody waits for this commit
	silent         bool                       // nobody is told of what becomes hidden
}

// logDelta is how a group changes a log.
type logDelta struct {
	log      *logState
	fresh    bool // the log is new
	st       board.Stretch
	headSeq  uint64
	headSig  []byte
	unheaded uint32 // bytes of entries since the last head that was kept
	shown    uint64
	multi    uint64
	limit    uint64
	edits    []bitEdit
	own      []ownEdit
	damaged  []rows
	wasHi    uint64
	grown    bool // st changed
	mended   bool // damaged changed
	lower    bool // st begins later: pruned
	gone     bool // nothing is left
	intact   board.Stretch
	children []*logState
	author   board.UserID // of the entry written last
	device   board.DeviceID
}

type ownEdit struct {
	user board.UserID
	seq  uint64
}

type markDelta struct {
	board  *boardState
	user   board.UserID
	vector board.Vector
}

func (s *Store) newGroup() *group {
	m := s.memory()
	return &group{
		s: s, m: m, txn: s.db.NewTransactionAt(s.snaps.last(), true),
		byLog: map[*logState]*logDelta{}, touched: map[*boardState]struct{}{}, devices: map[deviceKey]*device{},
		teams: map[*teamState]bool{}, newShown: map[*boardState]*Shown{}, lost: map[*boardState]bool{},
		orphaned: map[*logState][]uint64{}, restored: map[*logState][]uint64{},
		recounts: map[faultKey]bool{}, states: map[*teamState]*team.State{},
		rejudges: noted{table: tRejudge, was: m.rejudge}, reviews: noted{table: tReview, was: m.review}, laters: noted{table: tLater, was: m.later},
	}
}

// full says whether the group should be committed before more is put into it.
func (g *group) full() bool {
	return g.records >= maxGroupRecords || g.bytes >= groupBytes(g.s.opts.MemTable)
}

// put writes a value with its checksum. Both slices must stay unchanged until the commit.
func (g *group) put(key, content []byte) error {
	v := seal(key, content)
	g.bytes += len(key) + len(v)
	return g.txn.SetEntry(&badger.Entry{Key: key, Value: v})
}

func (g *group) remove(key []byte) error {
	g.bytes += len(key)
	return g.txn.Delete(key)
}

// get reads a value as this group sees it; nil: there is none. Errors wrap errDecode where it is damaged.
func (g *group) get(key []byte) ([]byte, error) { return get(g.txn, key) }

// get reads a value; nil: there is none.
func get(txn *badger.Txn, key []byte) (c []byte, err error) {
	it, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := it.ValueCopy(nil)
	if err != nil {
		return nil, err
	}
	return unseal(key, v)
}

// delta is the group's view of a log.
func (g *group) delta(l *logState) *logDelta {
	if n := len(g.logs); n > 0 && g.logs[n-1].log == l {
		return g.logs[n-1]
	}
	d := g.byLog[l]
	if d == nil {
		d = &logDelta{
			log: l, st: l.st, headSeq: l.headSeq, headSig: l.headSig, unheaded: l.unheaded, shown: l.shown, multi: l.multi, limit: l.limit,
			damaged: l.damaged, wasHi: l.st.Hi, children: l.children,
		}
		g.byLog[l] = d
		g.logs = append(g.logs, d)
		g.touched[l.board] = struct{}{}
	}
	return d
}

// stretch is what this group holds of a log.
func (g *group) stretch(l *logState) board.Stretch {
	if d := g.byLog[l]; d != nil {
		return d.st
	}
	return l.st
}

// find is the log of an origin, new ones of this group included.
func (g *group) find(b *boardState, o board.Origin) *logState {
	if l := b.logOf(o); l != nil {
		return l
	}
	for _, d := range g.logs {
		if d.fresh && d.log.board == b && d.log.origin == o {
			return d.log
		}
	}
	return nil
}

// create makes a new log. Its number becomes known to others with the commit.
func (g *group) create(b *boardState, o board.Origin, loPrev board.Link, lo uint64) (*logDelta, error) {
	l := &logState{num: logNum(len(g.m.logs) + g.newLogs), board: b, origin: o, limit: board.All}
	g.newLogs++
	content := append(make([]byte, 0, 72), b.id[:]...)
	content = append(content, o.Node[:]...)
	content = binary.BigEndian.AppendUint64(content, o.Epoch.N)
	content = binary.BigEndian.AppendUint64(content, o.Epoch.R)
	if err := g.put(logKey(tOrigin, l.num), content); err != nil {
		return nil, err
	}
	d := g.delta(l)
	d.fresh, d.grown = true, true
	d.st = board.Stretch{Epoch: o.Epoch, Lo: lo, Hi: lo - 1, LoPrev: loPrev}
	l.floor = board.FloorOf(b.full.Floors(o.Node), o.Epoch)
	for _, other := range g.logsOf(b, o.Node) { // those that seal it, those that it seals
		if st := g.stretch(other); st.Lo == 1 && st.LoPrev.Epoch == o.Epoch {
			d.children = append(d.children, other)
		}
		if lo == 1 && loPrev.Epoch == other.origin.Epoch {
			od := g.delta(other)
			od.children = append(slices.Clip(od.children), l)
		}
	}
	if len(b.byNode[o.Node]) == 0 { // its first log here: nobody has asked yet
		if err := g.findFault(b, o.Node); err != nil {
			return nil, err
		}
	}
	if f := g.faultOf(b, o.Node); f != nil {
		g.limitNew(f, d)
	}
	return d, nil
}

// logsOf are the logs of a node in a board, those of this group included.
func (g *group) logsOf(b *boardState, n board.NodeID) (out []*logState) {
	out = append(out, b.byNode[n]...)
	for _, d := range g.logs {
		if d.fresh && d.log.board == b && d.log.origin.Node == n && d.st.Hi >= d.st.Lo {
			out = append(out, d.log)
		}
	}
	slices.SortFunc(out, func(x, y *logState) int { return x.origin.Epoch.Compare(y.origin.Epoch) })
	return out
}

func (g *group) setBit(d *logDelta, seq uint64, on bool) {
	d.edits = append(d.edits, bitEdit{seq, on})
}

// finish writes what the group has gathered: stretches, bits, devices, the change log.
func (g *group) finish() error {
	if err := g.advanceTeams(); err != nil {
		return err
	}
	for _, d := range g.logs {
		if err := g.follow(d); err != nil {
			return err
		}
	}
	for k := range g.recounts {
		if err := g.recount(k); err != nil {
			return err
		}
	}
	for _, n := range []*noted{&g.rejudges, &g.reviews, &g.laters} {
		if err := g.writeNoted(n); err != nil {
			return err
		}
	}
	for _, d := range g.logs {
		if err := g.findIntact(d); err != nil {
			return err
		}
		if err := g.writeLog(d); err != nil {
			return err
		}
	}
	for k, dev := range g.devices {
		if err := g.put(appendDeviceKey(nil, k), dev.append(nil)); err != nil {
			return err
		}
	}
	if err := g.noteSizes(); err != nil {
		return err
	}
	return g.writeChanges()
}

// writeLog writes a log's stretch and the chunks of bits that changed.
func (g *group) writeLog(d *logDelta) error {
	l := d.log
	if d.gone {
		return g.remove(logKey(tStretch, l.num))
	}
	dirty := map[uint32]*chunk{}
	chunkFor := func(n uint32) *chunk {
		c := dirty[n]
		if c == nil {
			c = new(chunk)
			if old := l.bits.at(n); old != nil {
				*c = *old
			}
			dirty[n] = c
		}
		return c
	}
	lowest := chunkOf(d.st.Lo) // those below were pruned
	for _, e := range d.edits {
		if chunkOf(e.seq) < lowest {
			continue
		}
		chunkFor(chunkOf(e.seq)).set(e.seq, e.on)
	}
	tail := chunkOf(d.st.Hi)
	if was := chunkOf(d.wasHi); was != tail && l.bits.at(was) != nil {
		chunkFor(was)
	}
	for n, c := range dirty {
		if n != tail {
			if err := g.put(appendBitsKey(nil, l.num, n), c.append(make([]byte, 0, 68))); err != nil {
				return err
			}
		}
	}
	if err := g.writeOwnBits(d); err != nil {
		return err
	}
	return g.put(logKey(tStretch, l.num), appendStretch(nil, d, chunkFor(tail)))
}

func (g *group) writeOwnBits(d *logDelta) error {
	type at struct {
		user board.UserID
		n    uint32
	}
	dirty := map[at]*chunk{}
	for _, e := range d.own {
		if chunkOf(e.seq) < chunkOf(d.st.Lo) {
			continue
		}
		k := at{e.user, chunkOf(e.seq)}
		c := dirty[k]
		if c == nil {
			c = new(chunk)
			if own := d.log.own[e.user]; own != nil {
				if old := own.at(k.n); old != nil {
					*c = *old
				}
			}
			dirty[k] = c
		}
		c.set(e.seq, true)
	}
	for k, c := range dirty {
		if err := g.put(appendOwnBitsKey(nil, k.user, d.log.num, k.n), c.append(make([]byte, 0, 68))); err != nil {
			return err
		}
	}
	return nil
}
