package client

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
)

// Post is one entry to write.
type Post struct {
	Team  string // id, name, or TEAM/BOARD
	Board string // id or name; empty: general
	Text  string // UTF-8, 1..65,536 bytes
	// ClientMsgID makes a retry harmless, across clients and nodes too; empty: a random one. 1..64 bytes.
	ClientMsgID string
	ReplyTo     string // entry id
	Wait        string // stored (default) or replicated
	WaitNodes   uint32 // with replicated: on how many other nodes; 0: one
}

// Post writes one entry and returns when it is on disk at the node (or replicated, with Wait). While the node can't be
// reached it tries again with the same bytes, which doubles nothing. Errors are *Error.
func (c *Client) Post(ctx context.Context, p Post) (*weftv1.PostResult, error) {
	if p.ClientMsgID == "" {
		p.ClientMsgID = NewMsgID()
	}
	team, board := SplitPlace(p.Team, p.Board)
	if err := checkText(p.Text); err != nil {
		return nil, err
	}
	req := &weftv1.PostRequest{
		Team: team, Board: board, Wait: p.Wait, WaitNodes: p.WaitNodes,
		Posts: []*weftv1.NewPost{{Text: p.Text, ClientMsgId: p.ClientMsgID, ReplyTo: p.ReplyTo}},
	}
	res, err := c.post(ctx, req, false)
	if err != nil {
		return nil, err
	}
	return res.Results[0], nil
}

// post sends a request whose posts all have a client_msg_id until it is acknowledged.
func (c *Client) post(ctx context.Context, req *weftv1.PostRequest, patient bool) (res *weftv1.PostResponse, err error) {
	err = c.retry(ctx, patient, func() error {
		answer, err := c.Boards.Post(ctx, connect.NewRequest(req))
		if err != nil {
			return err
		}
		res = answer.Msg
		if len(res.Results) != len(req.Posts) {
			return fmt.Errorf("couldn't post: the node answered %d posts with %d results", len(req.Posts), len(res.Results))
		}
		return nil
	})
	return res, err
}

// checkText refuses what protobuf can't carry before it is sent.
func checkText(text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	return &Error{
		Code: connect.CodeInvalidArgument, Reason: "NOT_UTF8",
		Message: "couldn't post: the text is not UTF-8", Hint: "convert it first, for example with iconv",
	}
}

var msgID = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewMsgID is a random client_msg_id of 26 characters.
func NewMsgID() string {
	var b [16]byte
	rand.Read(b[:])
	return msgID.EncodeToString(b[:])
}

// SplitPlace splits TEAM/BOARD where no board is given apart.
func SplitPlace(team, board string) (string, string) {
	if board != "" {
		return team, board
	}
	before, after, ok := strings.Cut(team, "/")
	if !ok {
		return team, ""
	}
	return before, after
}
