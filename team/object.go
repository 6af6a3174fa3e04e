package team

import (
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
}

// ParseObject reads the body of a governance entry: sizes, form, counts and every signature in it. It keeps body's bytes.
// Errors wrap board.ErrMalformed, board.ErrTooLarge or board.ErrBadSignature.
func ParseObject(kind board.Kind, body []byte) (*Object, error) { panic("stub") }

// EntryObject reads the object that an entry of a governance board carries, and checks that the header is the one that
// such an entry has (see ObjectHeader). Errors as those of ParseObject.
func EntryObject(e *board.Entry) (*Object, error) { panic("stub") }

// ObjectHeader is the header under which a node records o on the governance board of t; Device, DevEpoch, DevSeq, DevPrev
// and HLC are the node's to fill in.
func ObjectHeader(t board.TeamID, o *Object) board.Header { panic("stub") }
