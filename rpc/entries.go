package rpc

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

// wireEntry is an entry of st's team as the caller wants it. The signed form shares the store's bytes: they go out as
// the author signed them and are never encoded again.
func (s *service) wireEntry(st *team.State, sh *store.Shown, view weftv1.EntryView) *weftv1.Entry {
	e := sh.Entry
	out := &weftv1.Entry{EntryId: e.ID.String()}
	h := &e.Header
	out.AuthorName, out.Void = st.UserName(h.Author), sh.Void
	if view == weftv1.EntryView_ENTRY_VIEW_SIGNED {
		out.Header, out.Signature, out.Body = e.Raw, e.Signature, e.Body
		return out
	}
	out.Author = h.Author.String()
	out.Hlc, out.TimeMs = uint64(h.HLC), uint64(h.HLC)>>16
	out.Kind, out.BoardId, out.Device = h.Kind.String(), h.Board.String(), h.Device.String()
	out.ClientMsgId = text(h.ClientMsgID)
	out.Own = h.Author == s.Identity.User
	out.Read = out.Own || s.Store.Read(s.Identity.User, h.Board, sh.Origin, sh.Seq)
	out.Text, out.ReplyTo = textOf(e)
	return out
}

// textOf is what an entry says and what it refers to, as far as this version knows its kind.
func textOf(e *board.Entry) (words, refers string) {
	if e.BodyGone || e.Header.KeyID != 0 {
		return "", ""
	}
	switch e.Header.Kind {
	case board.KindPost:
		return text(string(e.Body)), ""
	case board.KindReply, board.KindEdit, board.KindReaction, board.KindRedaction:
		var ref weftv1.Reference
		if proto.Unmarshal(e.Body, &ref) != nil || len(ref.Entry) != 32 {
			return "", ""
		}
		return ref.Text, board.Hash(ref.Entry).String()
	default:
		return "", ""
	}
}

// text is s if a protobuf string can carry it; other bytes are quoted.
func text(s string) string {
	if validUTF8(s) {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// wireBoard describes a board of the node's user, with its newest entry if wanted.
func (s *service) wireBoard(p place, withLast bool) *weftv1.Board {
	out := &weftv1.Board{
		BoardId: p.id.String(), TeamId: p.state.ID().String(), Team: p.state.Name(), Name: p.name,
		Vector: s.Store.Vector(p.id).Token(),
	}
	if info, ok := s.Store.Board(p.id); ok {
		out.Entries = info.Entries
		if withLast && info.Last != nil {
			out.Last = s.wireEntry(p.state, info.Last, weftv1.EntryView_ENTRY_VIEW_FIELDS)
		}
	}
	if n, err := s.Store.Unread(s.Identity.User, p.id); err == nil {
		out.Unread = n
	}
	return out
}
