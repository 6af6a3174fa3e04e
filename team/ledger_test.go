package team

import (
	"crypto/sha256"
	"slices"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// ledger is the logs of a team's nodes, as somebody who holds all of them sees them.
type ledger struct {
	team   board.TeamID
	lines  []*line // in the order in which they were written
	by     map[board.Hash]*line
	tips   map[logName]board.Link
	epochs map[board.NodeID]uint64
}

type logName struct {
	board board.ID
	node  board.NodeID
}

// line is one record with what it carries: an object, or an entry.
type line struct {
	board.Record
	hash   board.Hash
	object *Object
	entry  *board.Header
}

func newLedger(t board.TeamID) *ledger {
	return &ledger{team: t, by: map[board.Hash]*line{}, tips: map[logName]board.Link{}, epochs: map[board.NodeID]uint64{}}
}

// write appends to the log of a node.
func (l *ledger) write(n board.NodeID, x line) *line {
	b := board.GovernanceID(l.team)
	x.Entry = sha256.Sum256(append(x.object.bytes(), 1))
	if x.entry != nil {
		b, x.Entry = x.entry.Board, entryID(x.entry)
	}
	name := logName{b, n}
	epoch := board.Epoch{N: l.epochs[n] + 1, R: uint64(n[0])}
	x.Board, x.Origin, x.Seq, x.Prev, x.Received = b, board.Origin{Node: n, Epoch: epoch}, 1, l.tips[name], board.HLC(len(l.lines)+1)
	if x.Prev.Epoch == epoch {
		x.Seq = x.Prev.Seq + 1
	}
	x.hash = x.Record.Hash()
	l.tips[name] = board.Link{Epoch: epoch, Seq: x.Seq, Hash: x.hash}
	l.lines = append(l.lines, &x)
	l.by[x.hash] = &x
	return &x
}

func (o *Object) bytes() []byte {
	if o == nil {
		return nil
	}
	return slices.Clone(o.Body)
}

func entryID(h *board.Header) board.Hash {
	return sha256.Sum256(h.Append(nil))
}

// feed tells an evaluator of a line, as a store does.
func (x *line) feed(ev *Evaluator) (changed bool, err error) {
	p := x.Record.Position()
	changed = ev.AddRecord(p, x.Prev)
	if x.object == nil {
		return changed, nil
	}
	o := *x.object
	o.Records = []board.Position{p}
	added, err := ev.Add(&o)
	return changed || added, err
}

// restart begins a new epoch of a node, on the logs as they were when only the first upTo lines were written.
func (l *ledger) restart(n board.NodeID, upTo int) {
	for name := range l.tips {
		if name.node == n {
			delete(l.tips, name)
		}
	}
	for _, x := range l.lines[:upTo] {
		if x.Node == n {
			l.tips[logName{x.Board, n}] = board.Link{Epoch: x.Epoch, Seq: x.Seq, Hash: x.hash}
		}
	}
	l.epochs[n]++
}

// cut of those of the first upTo lines that belong to somebody: all leaves of each log in which such a line stands.
func (l *ledger) cut(upTo int, belongs func(*line) bool) *weftv1.Cut {
	touched, inner := map[logName]bool{}, map[board.Hash]bool{}
	for _, x := range l.lines[:upTo] {
		inner[x.Prev.Hash] = true
		if belongs(x) {
			touched[logName{x.Board, x.Node}] = true
		}
	}
	var at []board.Position
	for _, x := range l.lines[:upTo] {
		if touched[logName{x.Board, x.Node}] && !inner[x.hash] {
			at = append(at, x.Record.Position())
		}
	}
	return NewCut(at)
}

// of says whether a line belongs to a user, node or invite: signed by it, or an admission by an invite of the user's.
func (l *ledger) of(id [32]byte) func(*line) bool {
	invites := map[string]bool{string(id[:]): true}
	for _, x := range l.lines {
		if x.object != nil && x.object.Op.GetInvite() != nil && string(x.object.Op.Author) == string(id[:]) {
			invites[string(x.object.Hash[:])] = true
		}
	}
	return func(x *line) bool {
		switch {
		case x.Node == board.NodeID(id):
			return true
		case x.entry != nil:
			return x.entry.Author == board.UserID(id)
		case x.object.Ack != nil:
			return string(x.object.Ack.User) == string(id[:])
		case x.object.Op != nil:
			return string(x.object.Op.Author) == string(id[:]) || invites[string(x.object.Op.GetAdmit().GetInvite())]
		}
		return false
	}
}

// under is what a store answers of an entry.
func (l *ledger) under(entry board.Hash) func(*Cut) bool {
	return func(c *Cut) bool {
		for _, x := range l.lines {
			if x.Entry != entry {
				continue
			}
			for _, p := range c.At(x.Board) {
				if p.Node == x.Node && l.below(x, p) {
					return true
				}
			}
		}
		return false
	}
}

func (l *ledger) below(x *line, p board.Position) bool {
	at := l.by[p.Hash]
	if at == nil {
		return x.Epoch.N < p.Epoch.N || x.Epoch == p.Epoch && x.Seq <= p.Seq
	}
	for ; at != nil; at = l.by[at.Prev.Hash] {
		if at == x {
			return true
		}
	}
	return false
}

// proof that a node contradicts itself: two lines in one place, each with a head that it signed there.
func proofOf(node board.Key, a, b *line) *board.Fork {
	f := &board.Fork{}
	for side, x := range map[*board.ForkSide]*line{&f.A: a, &f.B: b} {
		side.Record, side.Sig = x.Record, board.SignHead(node, x.Record.Position())
	}
	return f
}

// inviteKind is an invite for members whose key is "invite 0".
func inviteKind(admitter board.NodeID, quota uint32) *weftv1.Operation_Invite {
	return &weftv1.Operation_Invite{Invite: &weftv1.Invite{
		Key: public(keyOf("invite 0")), Role: weftv1.Role_ROLE_MEMBER, Admitter: admitter[:], Quota: quota,
	}}
}
