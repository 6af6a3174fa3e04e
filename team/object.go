package team

import (
	"crypto/sha256"
	"fmt"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// Object is one governance object with one signature of it. It is immutable once made, except that its owner may set
// Records before it hands it to an Evaluator.
type Object struct {
	Kind board.Kind // KindCharter, KindAck or KindOperation
	Hash board.Hash // sha256(Raw): the object's id
	Raw  []byte     // the object's bytes as signed
	Body []byte     // the weft.v1.Signed that carries it: the body of its entry on the governance board
	Key  [32]byte   // who signed this copy

	Records []board.Position // positions on the governance board that carry it, as far as known

	Charter *weftv1.TeamCharter // of a charter, else nil
	Ack     *weftv1.Ack         // of an ack, else nil
	Op      *weftv1.Operation   // of an operation, else nil

	charters []*userCharter // of a present, oldest first
	accepted []board.NodeID // of a present: homes that signed
	fork     *board.Fork    // of a fork
}

// sizes is the most bytes an object of each kind may have.
var sizes = map[board.Kind]int{board.KindCharter: MaxCharter, board.KindAck: MaxAck, board.KindOperation: MaxOperation}

// labels are the kinds of signatures by kind of object.
var labels = map[board.Kind]string{board.KindCharter: board.SignCharter, board.KindAck: board.SignAck, board.KindOperation: board.SignOperation}

// ParseObject reads the body of a governance entry: sizes, form, counts and every signature in it. It keeps body's bytes.
// Errors wrap board.ErrMalformed, board.ErrTooLarge or board.ErrBadSignature.
func ParseObject(kind board.Kind, body []byte) (*Object, error) {
	if !kind.Governance() {
		return nil, malformed(kind.String(), "not a kind of the governance board")
	}
	var s weftv1.Signed
	if err := decode(kind.String(), body, board.MaxBody, &s); err != nil {
		return nil, err
	}
	o := &Object{Kind: kind, Hash: sha256.Sum256(s.Object), Raw: s.Object, Body: body}
	if len(s.Key) != copy(o.Key[:], s.Key) || len(s.Key) != 32 || len(s.Signature) != 64 {
		return nil, malformed(kind.String(), "no key or signature")
	}
	var sigs signatures
	sigs.add(o.Key, labels[kind], o.Hash, s.Signature)
	if err := o.decode(&sigs); err != nil {
		return nil, err
	}
	if !sigs.fit() {
		return nil, fmt.Errorf("couldn't accept %s %s: %w", kind, o.Hash, board.ErrBadSignature)
	}
	return o, nil
}

// decode reads o.Raw and adds the signatures inside it to sigs.
func (o *Object) decode(sigs *signatures) (err error) {
	what := o.Kind.String()
	switch o.Kind {
	case board.KindCharter:
		o.Charter = new(weftv1.TeamCharter)
		if err = decode(what, o.Raw, sizes[o.Kind], o.Charter); err == nil {
			err = checkCharter(o.Charter)
		}
	case board.KindAck:
		o.Ack = new(weftv1.Ack)
		if err = decode(what, o.Raw, sizes[o.Kind], o.Ack); err == nil {
			var c checker
			c.size(o.Ack.Charter, 32, "the charter's hash")
			c.size(o.Ack.User, 32, "the user's id")
			err = c.err(what)
		}
	case board.KindOperation:
		o.Op = new(weftv1.Operation)
		if err = decode(what, o.Raw, sizes[o.Kind], o.Op); err == nil {
			err = o.checkOperation(sigs)
		}
	}
	return err
}

// EntryObject reads the object that an entry of a governance board carries, and checks that the header is the one that
// such an entry has (see ObjectHeader). Errors as those of ParseObject.
func EntryObject(e *board.Entry) (*Object, error) {
	h := &e.Header
	switch {
	case h.Board != board.GovernanceID(h.Team):
		return nil, malformed("governance entry", "it is on another board")
	case h.Author != board.UserID{} || !h.Cred.IsZero() || h.KeyID != 0:
		return nil, malformed("governance entry", "it names an author, a right or a key")
	case e.BodyGone:
		return nil, malformed("governance entry", "its body is gone, which governance never allows")
	}
	o, err := ParseObject(h.Kind, e.Body)
	if err != nil {
		return nil, err
	}
	if h.ClientMsgID != string(o.Hash[:]) {
		return nil, malformed("governance entry", "its client_msg_id is not the hash of its object")
	}
	return o, nil
}

// ObjectHeader is the header under which a node records o on the governance board of t; Device, DevEpoch, DevSeq, DevPrev
// and HLC are the node's to fill in.
func ObjectHeader(t board.TeamID, o *Object) board.Header {
	return board.Header{
		Team: t, Board: board.GovernanceID(t), Kind: o.Kind, ClientMsgID: string(o.Hash[:]),
		BodyLen: uint32(len(o.Body)), BodyHash: sha256.Sum256(o.Body),
	}
}

// signatures are checked together, once an object's form is known to be good: they are the dear part.
type signatures struct{ batch board.Batch }

func (s *signatures) add(key [32]byte, label string, h board.Hash, sig []byte) {
	s.batch.Add(key, label, h, sig)
}

func (s *signatures) fit() bool { return len(s.batch.Verify()) == 0 }
