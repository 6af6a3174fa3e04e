package client

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// Message is an entry in clear fields.
type Message struct {
	ID          board.Hash
	Team        board.TeamID
	Board       board.ID
	Author      board.UserID
	AuthorName  string // as the node knows it; empty where only the signed form came
	Device      board.DeviceID
	ClientMsgID string
	HLC         board.HLC
	Time        time.Time
	Kind        board.Kind
	Text        string     // of posts, replies and edits; empty for kinds unknown here and where the body is gone
	ReplyTo     board.Hash // what it refers to; zero: nothing
	BodyGone    bool       // redacted or pruned
	Late        bool       // a later entry of the same device was shown before
	Vector      string     // token for MarkRead, where the event carried one
}

// Decode reads an entry in its signed form (ENTRY_VIEW_SIGNED) and checks the hashes and the device's signature, so that
// not even the node could have changed a word. Whether the device belongs to the author is the team's to say. Errors
// wrap board.ErrMalformed or board.ErrBadSignature. Decode keeps e's bytes.
func Decode(e *weftv1.Entry) (*Message, error) {
	entry, err := board.ParseEntry(e.Header, e.Signature, e.Body, false)
	gone := err != nil && len(e.Body) == 0
	if gone {
		entry, err = board.ParseEntry(e.Header, e.Signature, nil, true)
	}
	if err != nil {
		return nil, fmt.Errorf("couldn't read an entry that the node sent: %w", err)
	}
	if e.EntryId != "" && e.EntryId != entry.ID.String() {
		return nil, fmt.Errorf("couldn't read an entry that the node sent: it is %s, not %s: %w", entry.ID, e.EntryId, board.ErrMalformed)
	}
	if !entry.Verify() {
		return nil, fmt.Errorf("couldn't trust entry %s that the node sent: %w", entry.ID, board.ErrBadSignature)
	}
	h := &entry.Header
	m := &Message{
		ID: entry.ID, Team: h.Team, Board: h.Board, Author: h.Author, AuthorName: e.AuthorName, Device: h.Device,
		ClientMsgID: h.ClientMsgID, HLC: h.HLC, Time: h.HLC.Time(), Kind: h.Kind, BodyGone: gone,
	}
	if !gone && h.KeyID == 0 {
		m.Text, m.ReplyTo = words(h.Kind, entry.Body)
	}
	return m, nil
}

func words(k board.Kind, body []byte) (string, board.Hash) {
	switch k {
	case board.KindPost:
		return string(body), board.Hash{}
	case board.KindReply, board.KindEdit, board.KindReaction, board.KindRedaction:
		var ref weftv1.Reference
		if proto.Unmarshal(body, &ref) == nil && len(ref.Entry) == 32 {
			return ref.Text, board.Hash(ref.Entry)
		}
	}
	return "", board.Hash{}
}
