package rpc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

// Limits of posts.
const (
	maxPosts       = 1000
	defaultRepWait = 30 * time.Second
	maxRepWait     = 10 * time.Minute
)

// States of a post.
const (
	stateStored     = "stored"
	stateReplicated = "replicated"
	stateVoid       = "void" // it is recorded, and does not count
)

type boardService struct{ *service }

func validUTF8(s string) bool { return utf8.ValidString(s) }

func (s *boardService) Post(ctx context.Context, req *connect.Request[weftv1.PostRequest]) (*connect.Response[weftv1.PostResponse], error) {
	m := req.Msg
	p, err := s.findBoard(m.Team, m.Board)
	if err != nil {
		return nil, err
	}
	if err := s.mayRecord(p.state); err != nil {
		return nil, err
	}
	replicas, err := s.checkWait(m, p)
	if err != nil {
		return nil, err
	}
	drafts, err := s.drafts(ctx, p, m.Posts)
	if err != nil {
		return nil, err
	}
	receipts, err := s.Store.Append(ctx, drafts)
	if err != nil {
		return nil, s.explainAppend(p, s.Identity.User, err)
	}
	res := &weftv1.PostResponse{Results: s.results(p, receipts), Vector: vectorOf(receipts).Token()}
	if replicas > 0 {
		if err := s.awaitReplicas(ctx, m, p, receipts, replicas, res.Results); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(res), nil
}

// checkWait reads what a request waits for, before anything is stored: on how many other nodes, 0 for stored.
func (s *boardService) checkWait(m *weftv1.PostRequest, p place) (int, error) {
	switch m.Wait {
	case "", stateStored:
		return 0, nil
	case stateReplicated:
	case "delivered", "read":
		return 0, refuse(reasonUnimplemented, "couldn't wait for %q: weft has no receipts of delivery and reading yet", m.Wait).
			hint("wait for stored or replicated")
	default:
		return 0, refuse(reasonUnknownOption, "couldn't wait for %q: wait can be stored or replicated", shorten(m.Wait))
	}
	want := max(int(m.WaitNodes), 1)
	if others := s.otherNodes(p); want > others {
		return 0, refuse(reasonTooFewNodes, "couldn't wait for %d copies: team %s has %d other nodes (nothing was stored)", want, p.state.Name(), others)
	}
	return want, nil
}

func (s *service) otherNodes(p place) int {
	n := len(p.state.Nodes())
	if p.state.IsNode(s.Node) {
		n--
	}
	return n
}

// drafts checks posts and makes them ready to be signed. What is wrong with one is said with its number.
func (s *boardService) drafts(ctx context.Context, p place, posts []*weftv1.NewPost) ([]store.Draft, error) {
	switch {
	case len(posts) == 0:
		return nil, refuse(reasonEmpty, "couldn't post: posts is empty")
	case len(posts) > maxPosts:
		return nil, refuse(reasonTooMany, "couldn't post %d entries in one call: at most %d", len(posts), maxPosts).hint("send them in several calls")
	}
	if err := distinct(posts); err != nil {
		return nil, err
	}
	drafts := make([]store.Draft, len(posts))
	for i, n := range posts {
		d, err := s.draft(ctx, p, n)
		if err != nil {
			if r := (*refusal)(nil); errors.As(err, &r) && len(posts) > 1 {
				r.message = fmt.Sprintf("%s (post %d of %d; nothing was stored)", r.message, i+1, len(posts))
			}
			return nil, err
		}
		drafts[i] = d
	}
	return drafts, nil
}

// distinct refuses a batch in which one client_msg_id stands for two different posts: one of them would vanish.
func distinct(posts []*weftv1.NewPost) error {
	if len(posts) < 2 {
		return nil
	}
	first := make(map[string]int, len(posts))
	for i, n := range posts {
		id := n.GetClientMsgId()
		if id == "" {
			continue
		}
		if j, again := first[id]; again && (posts[j].Text != n.Text || posts[j].Kind != n.Kind || posts[j].ReplyTo != n.ReplyTo) {
			return refuse(reasonMalformed, "couldn't post: posts %d and %d have the same client_msg_id but differ (nothing was stored)", j+1, i+1).
				hint("give each post a client_msg_id of its own")
		}
		first[id] = i
	}
	return nil
}

func (s *boardService) draft(ctx context.Context, p place, n *weftv1.NewPost) (d store.Draft, err error) {
	d = store.Draft{
		Team: p.state.ID(), Board: p.id, Author: s.Identity.User, Device: s.Identity.Device,
		Kind: board.KindPost, ClientMsgID: n.GetClientMsgId(),
	}
	words := n.GetText()
	switch {
	case words == "":
		return d, refuse(reasonEmpty, "couldn't post: the text is empty").hint("give text of 1 to %d bytes", board.MaxBody)
	case len(words) > board.MaxBody:
		return d, refuse(reasonTooLarge, "couldn't post: the text has %d bytes, at most %d are possible", len(words), board.MaxBody).
			hint("split it into several posts")
	case !validUTF8(words):
		return d, refuse(reasonNotUTF8, "couldn't post: the text is not UTF-8")
	case len(d.ClientMsgID) > board.MaxClientMsgID:
		return d, refuse(reasonTooLarge, "couldn't post: client_msg_id has %d bytes, at most %d are possible", len(d.ClientMsgID), board.MaxClientMsgID).
			hint("use a shorter client_msg_id, for example 26 random letters")
	}
	if d.ClientMsgID == "" {
		d.ClientMsgID = rand.Text()
	}
	switch kind := n.GetKind(); {
	case kind == "reply", kind == "" && n.ReplyTo != "":
		d.Kind = board.KindReply
		d.Body, err = s.replyBody(ctx, p, n)
		return d, err
	case kind == "edit", kind == "reaction", kind == "redaction":
		return d, refuse(reasonUnimplemented, "couldn't post: this weft can't write entries of kind %s yet", kind).hint("use kind post or reply")
	case kind != "" && kind != "post":
		return d, refuse(reasonUnknownOption, "couldn't post: kind %q is neither post nor reply", shorten(kind))
	case n.ReplyTo != "":
		return d, refuse(reasonUnknownOption, "couldn't post: reply_to goes with kind reply")
	}
	d.Body = []byte(words)
	return d, nil
}

// replyBody is the body of an answer to an entry that is held here.
func (s *boardService) replyBody(ctx context.Context, p place, n *weftv1.NewPost) ([]byte, error) {
	if n.ReplyTo == "" {
		return nil, refuse(reasonEmpty, "couldn't post a reply: reply_to is empty").hint("give the entry id of what you answer")
	}
	id, err := board.ParseHash(n.ReplyTo)
	if err != nil {
		return nil, err
	}
	target, err := s.Store.EntryByID(ctx, p.id, id)
	if err != nil {
		return nil, fmt.Errorf("couldn't find entry %s, to which this is a reply: %w", n.ReplyTo, err)
	}
	h := &target.Entry.Header
	body, err := proto.Marshal(&weftv1.Reference{Entry: id[:], Author: h.Author[:], ClientMsgId: []byte(h.ClientMsgID), Text: n.Text})
	if err != nil {
		return nil, fmt.Errorf("couldn't encode the reply: %w", err)
	}
	if len(body) > board.MaxBody {
		return nil, refuse(reasonTooLarge, "couldn't post: with what it refers to, the reply has %d bytes, at most %d are possible", len(body), board.MaxBody).
			hint("split it into several posts")
	}
	return body, nil
}

// results tells what became of posts, in their order, with a receipt on the last of each origin.
func (s *service) results(p place, receipts []store.Receipt) []*weftv1.PostResult {
	out := make([]*weftv1.PostResult, len(receipts))
	others := uint32(s.otherNodes(p))
	var origin board.Origin
	var originText string
	last := map[board.Origin]int{}
	for i, r := range receipts {
		if o := r.Position.Origin(); o != origin || i == 0 {
			origin, originText = o, originName(o)
		}
		last[origin] = i
		out[i] = &weftv1.PostResult{
			EntryId: r.Entry.String(), Origin: originText, Seq: r.Position.Seq, State: stateStored,
			Nodes: others, Duplicate: r.Duplicate, Hlc: uint64(r.HLC),
		}
	}
	for o, i := range last {
		out[i].Receipt = s.receipt(p.id, o, receipts[i].Position.Seq)
	}
	return out
}

// originName is "NODE/EPOCH" of a record's origin; the epoch's counter and random bits in hexadecimal digits.
func originName(o board.Origin) string {
	return fmt.Sprintf("%s/%x-%016x", nodeText(o.Node), o.Epoch.N, o.Epoch.R)
}

// receipt is a signed head that covers the record, or nothing if none is here.
func (s *service) receipt(b board.ID, o board.Origin, seq uint64) []byte {
	return s.receipts.of(b, o, seq, func() (board.Position, []byte, bool) { return s.Store.SignedHead(b, o) })
}

// vectorOf covers the records of receipts: a read that carries it sees these entries.
func vectorOf(receipts []store.Receipt) board.Vector {
	var v board.Vector
	for _, r := range receipts {
		v = cover(v, r.Position)
	}
	return v
}

// cover adds a position to a vector with one leaf for each origin.
func cover(v board.Vector, p board.Position) board.Vector {
	for i := range v {
		if v[i].Node == p.Node && v[i].Epoch == p.Epoch {
			if v[i].Seq < p.Seq {
				v[i] = leaf(p)
			}
			return v
		}
	}
	return append(v, leaf(p))
}

// explainAppend adds to the store's refusal what this node knows.
func (s *service) explainAppend(p place, author board.UserID, err error) error {
	if errors.Is(err, board.ErrClockAhead) {
		r := refuse(reasonClockAhead, "%w", err)
		r.detail.ServerHlc = uint64(board.HLCAt(s.Now()))
		return r
	}
	if now, ok := s.Store.Team(p.state.ID()); ok {
		p.state = now
	}
	who := "its author is"
	if author == s.Identity.User {
		who = "you are"
	}
	switch {
	case errors.Is(err, team.ErrReadOnly):
		return refuse(reasonReadOnly, "couldn't write to %s: %s in team %s as %s, who may read only", p, who, p.state.Name(), roleNames[p.state.Role(author)]).
			because(err).hint("ask %s for the right to write", anyOf(s.powerful(p.state)))
	case errors.Is(err, team.ErrTeamClosed):
		return refuse(reasonTeamClosed, "couldn't write to %s: %w", p, team.ErrTeamClosed).because(err)
	case errors.Is(err, team.ErrRemoved):
		r, _ := p.state.Removal(author)
		words := roleNames[p.state.Role(author)] + " from"
		if r.Left {
			words = "not in"
		}
		by := ""
		if _, name := s.whoRemoved(p.state, r); name != "" {
			by = " by " + name
		}
		return refuse(reasonRemoved, "couldn't write to %s: %s %s team %s%s", p, who, words, p.state.Name(), by).because(err)
	case errors.Is(err, board.ErrNotMember):
		return refuse(reasonNotMember, "couldn't write to %s: %w", p, err)
	}
	return err
}

func (s *boardService) PostSigned(ctx context.Context, req *connect.Request[weftv1.PostSignedRequest]) (*connect.Response[weftv1.PostSignedResponse], error) {
	m := req.Msg
	if len(m.Header) == 0 {
		return nil, refuse(reasonEmpty, "couldn't take the entry: it has no header")
	}
	e, err := board.ParseEntry(m.Header, m.Signature, m.Body, false)
	if err != nil {
		return nil, err
	}
	if len(m.Body) == 0 {
		return nil, refuse(reasonEmpty, "couldn't take the entry: its body is empty")
	}
	if e.Header.Kind.Governance() {
		return nil, refuse(reasonForbidden, "couldn't take the entry: objects of the governance board come by TeamService")
	}
	p, err := s.findBoard(e.Header.Team.String(), e.Header.Board.String())
	if err != nil {
		return nil, err
	}
	if err := s.mayRecord(p.state); err != nil {
		return nil, err
	}
	r, err := s.Store.AppendSigned(ctx, e)
	receipts := []store.Receipt{r}
	if err != nil {
		err = s.explainAppend(p, e.Header.Author, err)
		// It stands in the log as void: the device goes on from there, with the next number.
		if told := (*refusal)(nil); r.Position.Seq > 0 && errors.As(err, &told) {
			told.detail.Results = s.results(p, receipts)
			told.detail.Results[0].State = stateVoid
		}
		return nil, err
	}
	return connect.NewResponse(&weftv1.PostSignedResponse{
		Result: s.results(p, receipts)[0], Vector: vectorOf(receipts).Token(),
	}), nil
}
