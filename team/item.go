package team

import (
	"slices"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// what an item does, as far as evaluation tells kinds apart.
type action uint8

const (
	actLater   action = iota // kept, not evaluated by this version
	actCharter               // the genesis, or a charter after it
	actBoard
	actInvite
	actAdmit
	actPresent
)

// item is an object inside an Evaluator: only what evaluation needs of it.
type item struct {
	hash    board.Hash
	act     action
	team    board.TeamID
	author  [32]byte // user; of an admission the node
	charter board.Hash
	signers [][32]byte
	records []board.Position
	verdict Verdict

	board     *Board
	invite    *weftv1.Invite
	admit     *admit
	presented *presented
}

type presented struct {
	charters []*userCharter
	accepted []board.NodeID
}

// admit is one admission and its place in the order of its invite.
type admit struct {
	invite board.Hash
	user   board.UserID
	shown  board.Hash // the user's charter
	sig    []byte
	proof  proof
	queued bool // among its ticket's fresh

	own bool // a counting record of the admitter's own log carries it; the first one is:
	at  board.Epoch
	seq uint64
}

// proof is whether the invite's key signed; it is looked at once, when the invite is here.
type proof uint8

const (
	unchecked proof = iota
	proven
	disproven
)

func newItem(o *Object) *item {
	it := &item{hash: o.Hash, signers: [][32]byte{o.Key}}
	switch {
	case o.Charter != nil:
		it.act = actCharter
		return it
	case o.Op == nil:
		return it
	}
	it.team, it.author, it.charter = board.TeamID(o.Op.Team), [32]byte(o.Op.Author), board.Hash(o.Op.Charter)
	switch k := o.Op.Kind.(type) {
	case *weftv1.Operation_Board:
		if k.Board.BoardKind != 0 {
			break // a kind of board that this version does not know
		}
		it.act = actBoard
		it.board = &Board{ID: board.OperationBoardID(o.Raw), Name: k.Board.Name, Op: o.Hash, WriteRole: max(Role(k.Board.WriteRole), Member)}
	case *weftv1.Operation_Invite:
		it.act, it.invite = actInvite, k.Invite
	case *weftv1.Operation_Admit:
		a := k.Admit
		it.act = actAdmit
		it.admit = &admit{invite: board.Hash(a.Invite), user: board.UserID(a.User), shown: board.Hash(a.UserCharter), sig: a.InviteSignature}
	case *weftv1.Operation_Present:
		it.act, it.presented = actPresent, &presented{o.charters, o.accepted}
	}
	return it
}

// carry adds positions and says whether one of them is new.
func (it *item) carry(at []board.Position) (added bool) {
	for _, p := range at {
		if !slices.Contains(it.records, p) {
			it.records, added = append(it.records, p), true
		}
	}
	return added
}

// sign adds a signer and says whether it is new.
func (it *item) sign(key [32]byte) bool {
	if slices.Contains(it.signers, key) {
		return false
	}
	it.signers = append(it.signers, key)
	return true
}
