package team

import (
	"slices"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// action is what an object does, as far as evaluation tells kinds apart.
type action uint8

const (
	actLater action = iota // kept, not evaluated by this version
	actCharter
	actAck
	actSet
	actNode
	actBoard
	actInvite
	actUninvite
	actAdmit
	actRequest
	actPresent
	actFloor
	actFork
)

func (a action) kind() board.Kind {
	switch a {
	case actCharter:
		return board.KindCharter
	case actAck:
		return board.KindAck
	}
	return board.KindOperation
}

// fact is what an object says: only what evaluation and words need of it. Immutable.
type fact struct {
	hash    board.Hash
	act     action
	foreign bool       // of another team
	author  [32]byte   // user; of admissions, floors and forks maybe a node
	charter board.Hash // that it acts under; of an ack: that it agrees to
	says    any        // one of the types below, *Board, *weftv1.Invite, or nil
}

type charterSays struct {
	ver    uint64
	prev   board.Hash
	owners []board.UserID
	admins []board.UserID
	cuts   []powerCut
	m      *weftv1.TeamCharter
	by     [32]byte // key of the first signature heard of; says nothing about what counts
}

type powerCut struct {
	user    board.UserID
	cut     *Cut
	keep    Role
	parents []board.Hash
}

type setSays struct {
	user    board.UserID
	role    Role
	parents []board.Hash
	cut     *Cut
	recut   bool
	reason  string
}

type nodeSays struct {
	node    board.NodeID
	allowed bool
	parents []board.Hash
	cut     *Cut
}

type uninviteSays struct {
	invite board.Hash
	cut    *Cut
}

type admitSays struct {
	invite board.Hash
	user   board.UserID
	shown  board.Hash // the user's charter
}

type requestSays struct {
	note   string
	device board.DeviceID
}

type presentSays struct {
	charters []*userCharter
	accepted []board.NodeID
	cuts     []deviceCut
	parents  []board.Hash
}

type deviceCut struct {
	device [32]byte
	cut    *Cut
}

type forkSays struct {
	Fork
	below *Cut // the records before the contradiction
}

// newFact reads an object as a member of team t.
func newFact(o *Object, t board.TeamID) *fact {
	f := &fact{hash: o.Hash}
	switch {
	case o.Charter != nil:
		f.act, f.says = actCharter, newCharter(o)
		f.foreign = id32[board.TeamID](o.Charter.Team) != t
		if o.Charter.Ver == 1 {
			f.foreign = board.TeamID(o.Hash) != t
		}
		return f
	case o.Ack != nil:
		f.act, f.author, f.charter = actAck, id32[[32]byte](o.Ack.User), id32[board.Hash](o.Ack.Charter)
		return f
	case o.Op == nil:
		return f
	}
	f.foreign, f.author, f.charter = id32[board.TeamID](o.Op.Team) != t, id32[[32]byte](o.Op.Author), id32[board.Hash](o.Op.Charter)
	switch k := o.Op.Kind.(type) {
	case *weftv1.Operation_Set:
		f.act = actSet
		f.says = &setSays{
			user: id32[board.UserID](k.Set.GetUser()), role: Role(k.Set.GetRole()), parents: ids[board.Hash](k.Set.GetParents()),
			cut: ParseCut(k.Set.GetCut()), recut: k.Set.GetRecut(), reason: k.Set.GetReason(),
		}
	case *weftv1.Operation_Node:
		f.act = actNode
		f.says = &nodeSays{
			node: id32[board.NodeID](k.Node.GetNode()), allowed: k.Node.GetAllowed(), parents: ids[board.Hash](k.Node.GetParents()), cut: ParseCut(k.Node.GetCut()),
		}
	case *weftv1.Operation_Board:
		if k.Board.GetBoardKind() != 0 {
			break // a kind of board that this version does not know
		}
		f.act = actBoard
		f.says = &Board{ID: board.OperationBoardID(o.Raw), Name: k.Board.GetName(), Op: o.Hash, WriteRole: max(Role(k.Board.GetWriteRole()), Member)}
	case *weftv1.Operation_Invite:
		f.act, f.says = actInvite, k.Invite
	case *weftv1.Operation_Uninvite:
		f.act, f.says = actUninvite, &uninviteSays{id32[board.Hash](k.Uninvite.GetInvite()), ParseCut(k.Uninvite.GetCut())}
	case *weftv1.Operation_Admit:
		a := k.Admit
		f.act = actAdmit
		f.says = &admitSays{id32[board.Hash](a.GetInvite()), id32[board.UserID](a.GetUser()), id32[board.Hash](a.GetUserCharter())}
	case *weftv1.Operation_Request:
		f.act, f.says = actRequest, &requestSays{k.Request.GetNote(), o.Key}
	case *weftv1.Operation_Present:
		p := &presentSays{charters: o.charters, accepted: o.accepted, parents: ids[board.Hash](k.Present.GetParents())}
		for _, d := range k.Present.GetCuts() {
			p.cuts = append(p.cuts, deviceCut{id32[[32]byte](d.GetDevice()), ParseCut(d.GetCut())})
		}
		f.act, f.says = actPresent, p
	case *weftv1.Operation_Floor:
		f.act, f.says = actFloor, newFloorSays(o.Hash, k.Floor)
	case *weftv1.Operation_Fork:
		if o.fork != nil {
			f.act, f.says = actFork, newForkSays(o.Hash, o.fork)
		}
	}
	return f
}

func newCharter(o *Object) *charterSays {
	m := o.Charter
	c := &charterSays{
		ver: m.Ver, prev: id32[board.Hash](m.Prev), owners: ids[board.UserID](m.Owners), admins: ids[board.UserID](m.Admins), m: m, by: o.Key,
	}
	for _, p := range m.Cuts {
		c.cuts = append(c.cuts, powerCut{id32[board.UserID](p.GetUser()), ParseCut(p.GetCut()), Role(p.GetKeepAs()), ids[board.Hash](p.GetParents())})
	}
	return c
}

func newFloorSays(op board.Hash, m *weftv1.Floor) *Floor {
	f := &Floor{Op: op}
	f.Position, _ = positionOf(m.GetPosition())
	for _, d := range m.GetDevices() {
		f.Devices = append(f.Devices, DeviceFloor{id32[board.DeviceID](d.GetDevice()), d.GetDevEpoch(), d.GetDevSeq()})
	}
	return f
}

func newForkSays(op board.Hash, p *board.Fork) *forkSays {
	r := &p.A.Record
	f := &forkSays{Fork: Fork{Node: r.Node, Board: r.Board, Epoch: r.Epoch, Seq: r.Seq, Op: op}, below: &Cut{}}
	for _, l := range []board.Link{p.A.Record.Prev, p.B.Record.Prev} {
		if l != (board.Link{}) {
			f.below.at = append(f.below.at, board.Position{Board: r.Board, Node: r.Node, Epoch: l.Epoch, Seq: l.Seq, Hash: l.Hash})
		}
	}
	slices.SortFunc(f.below.at, comparePositions)
	f.below.at = slices.Compact(f.below.at)
	return f
}

// id32 copies an id; one of another length, which no parsed object has, is zero.
func id32[T ~[32]byte](b []byte) (x T) {
	if len(b) == 32 {
		x = T(b)
	}
	return x
}

func ids[T ~[32]byte](l [][]byte) []T {
	if len(l) == 0 {
		return nil
	}
	out := make([]T, len(l))
	for i, b := range l {
		out[i] = id32[T](b)
	}
	return out
}

func (c *charterSays) power(u board.UserID) Role {
	switch {
	case slices.Contains(c.owners, u):
		return Owner
	case slices.Contains(c.admins, u):
		return Admin
	}
	return None
}

// cutOf is what the charter says of someone without power in it; nil if it says nothing.
func (c *charterSays) cutOf(u board.UserID) *powerCut {
	for i := range c.cuts {
		if c.cuts[i].user == u {
			return &c.cuts[i]
		}
	}
	return nil
}
