package store

import (
	"errors"
	"fmt"

	"weft/board"
	"weft/team"
)

// appendTask writes entries to this node's own log in a board.
type appendTask struct {
	s       *Store
	board   board.ID
	slots   []slot
	size    int64          // of Store.room
	signed  chan struct{}  // closed when the entries carry their signatures; nil: they do
	voids   []string       // why entries are void; nil: none is
	orphan  bool           // only those that still need it (ReRecord)
	objects []*team.Object // of a governance board, by slot

	receipts []Receipt
}

func (t *appendTask) prepare(g *group) error {
	if t.signed != nil {
		<-t.signed
	}
	b := g.m.boards[t.board]
	if b == nil {
		return fmt.Errorf("couldn't append to board %s: %w", t.board, board.ErrNotFound)
	}
	d, err := g.ownLog(b)
	if err != nil {
		return errors.Join(errAbort, err)
	}
	t.receipts = make([]Receipt, len(t.slots))
	for i := range t.slots {
		if err := t.one(g, b, d, i); err != nil {
			return errors.Join(errAbort, err)
		}
	}
	return nil
}

// one appends the i-th entry.
func (t *appendTask) one(g *group, b *boardState, d *logDelta, i int) error {
	s, sl := t.s, &t.slots[i]
	if t.orphan {
		needs, err := g.needsReRecord(b, sl.entry)
		if err != nil || !needs {
			return err
		}
	}
	fresh := false
	if sl.claim != nil && !t.orphan {
		s.claimsMu.Lock()
		fresh = !sl.claim.touched
		s.claimsMu.Unlock()
	}
	if sl.claim == nil {
		s.touch(sl.key)
	}
	rec := board.Record{Board: b.id, Origin: d.log.origin, Seq: d.st.Hi + 1, Prev: d.link(), Entry: sl.entry.ID, Received: s.tick()}
	in := incoming{entry: sl.entry, received: rec.Received, hash: rec.Hash(), link: rec.Prev, fresh: fresh}
	if t.objects == nil && !t.orphan {
		if err := g.judgeNew(d, rec.Seq, &in); err != nil {
			return err
		}
	}
	p := board.Position{Board: b.id, Node: rec.Node, Epoch: rec.Epoch, Seq: rec.Seq, Hash: in.hash}
	if d.headDue(rec.Seq, sl.entry) {
		sig := board.SignHead(s.opts.Node, p)
		in.headSig = sig[:]
		d.headSeq, d.headSig, d.unheaded = rec.Seq, in.headSig, 0
	}
	if err := g.record(d, rec.Seq, in); err != nil {
		return err
	}
	if g.voided != "" {
		if t.voids == nil {
			t.voids = make([]string, len(t.slots))
		}
		t.voids[i] = g.voided
	}
	d.st.Hi, d.st.HiHash, d.grown = rec.Seq, in.hash, true
	t.receipts[i] = Receipt{Entry: sl.entry.ID, Position: p, HLC: sl.entry.Header.HLC}
	if t.objects != nil {
		return g.govern(d.log, t.objects[i], p, rec.Prev)
	}
	return nil
}

// headBytes is how many bytes of entries stand at most between two heads that are kept, apart from the last entry: what
// lies between them has to fit into one frame.
const headBytes = 192 << 10

// headDue counts an entry and says whether a head belongs at its record.
func (d *logDelta) headDue(seq uint64, e *board.Entry) bool {
	d.unheaded += uint32(len(e.Raw) + len(e.Body) + 64)
	return seq%board.HeadEvery == 0 || d.unheaded >= headBytes
}

// link names the last record of the log, or what its first one follows.
func (d *logDelta) link() board.Link {
	if d.st.Hi < d.st.Lo {
		return d.st.LoPrev
	}
	return board.Link{Epoch: d.st.Epoch, Seq: d.st.Hi, Hash: d.st.HiHash}
}

func (t *appendTask) finish(err error) {
	for i := range t.slots {
		if c := t.slots[i].claim; c != nil {
			var r Receipt
			e := err
			if err == nil {
				r = t.receipts[i]
				if t.voids != nil && t.voids[i] != "" {
					e = t.s.voidError(&t.slots[i].entry.Header, t.voids[i])
				}
			}
			t.s.settleClaim(c, r, e)
		}
	}
	t.s.room.Release(t.size)
}

// ownLog is the log that this run of the node appends to in a board. The first time it opens a new epoch, which seals
// the end of what this store holds of the node's log there (trust §2).
func (g *group) ownLog(b *boardState) (*logDelta, error) {
	if b.run != nil {
		return g.delta(b.run), nil
	}
	m := g.m
	var seal board.Link
	var newest board.Epoch
	for _, l := range g.logsOf(b, g.s.nodeID) {
		st := g.stretch(l)
		newest = l.origin.Epoch
		seal = board.Link{Epoch: newest, Seq: st.Hi, Hash: st.HiHash}
	}
	if m.run.IsZero() || m.run.N <= newest.N {
		m.epochs = max(m.epochs, newest.N) + 1
		m.run = board.Epoch{N: m.epochs, R: g.s.random64()}
	}
	d, err := g.create(b, board.Origin{Node: g.s.nodeID, Epoch: m.run}, seal, 1)
	if err != nil {
		return nil, err
	}
	b.run = d.log
	return d, nil
}

// needsReRecord says whether an entry's records that are held do not count, while the entry does.
func (g *group) needsReRecord(b *boardState, e *board.Entry) (bool, error) {
	list, err := g.postList(postKey{b.id, e.Header.PostID()})
	if err != nil || list.shown >= 0 {
		return false, err
	}
	held := false
	for _, p := range list.recs {
		j, ok, err := g.judge(p)
		if err != nil {
			return false, err
		}
		if !ok || j.order.ID != e.ID {
			continue
		}
		if j.counts || !j.valid {
			return false, nil
		}
		held = true
	}
	return held, nil
}
