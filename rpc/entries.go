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
	out := &weftv1.Entry{}
	s.fillEntry(out, &texts{}, st, sh, view)
	return out
}

// fillEntry is wireEntry into memory of the caller's.
func (s *service) fillEntry(out *weftv1.Entry, ids *texts, st *team.State, sh *store.Shown, view weftv1.EntryView) {
	e := sh.Entry
	out.EntryId = e.ID.String()
	h := &e.Header
	out.AuthorName, out.Void = st.UserName(h.Author), sh.Void
	if view == weftv1.EntryView_ENTRY_VIEW_SIGNED {
		out.Header, out.Signature, out.Body = e.Raw, e.Signature, e.Body
		return
	}
	out.Author = ids.author.of(h.Author)
	out.Hlc, out.TimeMs = uint64(h.HLC), uint64(h.HLC)>>16
	out.Kind, out.BoardId, out.Device = h.Kind.String(), ids.board.of(h.Board), ids.device.of(h.Device)
	out.ClientMsgId = text(h.ClientMsgID)
	out.Own = h.Author == s.Identity.User
	out.Read = out.Own || s.Store.Read(s.Identity.User, h.Board, sh.Origin, sh.Seq)
	out.Text, out.ReplyTo = textOf(e)
	if other, flagged := s.Store.Twin(e.ID); flagged {
		out.Twin = "unknown"
		if !other.IsZero() {
			out.Twin = other.String()
		}
	}
}

// texts are the text forms of ids that an answer named last: what stands beside each other in it mostly shares them.
type texts struct {
	team   lastText[board.TeamID]
	board  lastText[board.ID]
	author lastText[board.UserID]
	device lastText[board.DeviceID]
}

type lastText[ID interface {
	comparable
	String() string
}] struct {
	id   ID
	text string
}

func (l *lastText[ID]) of(id ID) string {
	if l.text == "" || l.id != id {
		l.id, l.text = id, id.String()
	}
	return l.text
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
	out := &wiredBoard{}
	s.fillBoard(out, &texts{}, p, withLast)
	return &out.board
}

// wiredBoard is a board with room for its newest entry.
type wiredBoard struct {
	board weftv1.Board
	last  weftv1.Entry
}

// fillBoard is wireBoard into memory of the caller's.
func (s *service) fillBoard(to *wiredBoard, ids *texts, p place, withLast bool) {
	out := &to.board
	out.BoardId, out.TeamId = ids.board.of(p.id), ids.team.of(p.state.ID())
	out.Team, out.Name = p.state.Name(), p.name
	out.Vector = s.Store.Vector(p.id).Token()
	if info, ok := s.Store.Board(p.id); ok {
		out.Entries = info.Entries
		if withLast && info.Last != nil {
			s.fillEntry(&to.last, ids, p.state, info.Last, weftv1.EntryView_ENTRY_VIEW_FIELDS)
			out.Last = &to.last
		}
	}
	if n, err := s.Store.Unread(s.Identity.User, p.id); err == nil {
		out.Unread = n
	}
}
