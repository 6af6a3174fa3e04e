package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
)

// Error is an error of the API. docs/API.md lists the reasons.
type Error struct {
	Code       connect.Code
	Reason     string // NOT_FOUND, NOT_MEMBER, QUOTA, …; NO_NODE where nobody answers on the socket
	Message    string
	Hint       string               // what the person can do
	RetryAfter time.Duration        // of QUOTA; zero where the node named no time
	ServerHLC  uint64               // of CLOCK_AHEAD
	Cursor     string               // of BAD_CURSOR: where to go on after a recovery by pages
	Results    []*weftv1.PostResult // of a post that is stored but not replicated in time, or recorded as void
	Rule       string               // of the team, where one decided: muted, after-removal, …; see docs/TRUST.md
	ObjectID   string               // the governance object that decided, if it was one

	cause error
}

// Error is the message, with the hint if there is one.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return fmt.Sprintf("%s (%s)", e.Message, e.Hint)
}

// Unwrap gives the *connect.Error, so that connect.CodeOf works.
func (e *Error) Unwrap() error { return e.cause }

// ReasonOf is the reason of an *Error in err's chain, "" if there is none.
func ReasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// explain turns an error of connect into an *Error.
func explain(err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	e := &Error{Code: connect.CodeOf(err), Message: err.Error(), cause: err}
	var c *connect.Error
	if !errors.As(err, &c) {
		return e
	}
	e.Message = c.Message()
	for _, d := range c.Details() {
		v, detailErr := d.Value()
		if detailErr != nil {
			continue
		}
		if detail, ok := v.(*weftv1.ErrorDetail); ok {
			e.Reason, e.Hint, e.ServerHLC, e.Cursor = detail.Reason, detail.Hint, detail.ServerHlc, detail.Cursor
			e.RetryAfter = time.Duration(detail.RetryAfterMs) * time.Millisecond
			e.Results, e.Rule, e.ObjectID = detail.Results, detail.Rule, detail.ObjectId
		}
	}
	if e.Reason == "" {
		e.explainTransport(err)
	}
	return e
}

// explainTransport is for errors that no node sent.
func (e *Error) explainTransport(err error) {
	switch {
	case !connect.IsWireError(err) && strings.Contains(e.Message, "invalid UTF-8"):
		e.Code, e.Reason = connect.CodeInvalidArgument, "NOT_UTF8"
		e.Message, e.Hint = "couldn't send the request: text in it is not UTF-8", "convert it first, for example with iconv"
	case errors.Is(err, context.Canceled):
		e.Reason = "CANCELED"
	case errors.Is(err, context.DeadlineExceeded):
		e.Reason = "DEADLINE"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		e.Reason, e.Hint = "NO_NODE", "start the node with: weft run"
	case errors.Is(err, fs.ErrPermission):
		e.Reason, e.Hint = "NO_NODE", "the socket belongs to another user; use the account that runs the node"
	}
}

// passing says whether the same request may succeed a little later. Only for requests that are safe to repeat.
func passing(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch {
	case e.Reason == "CANCELED", e.Reason == "DEADLINE":
		return false
	case e.Code == connect.CodeUnavailable:
		return true
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return true // the node was killed; connect calls it canceled
	}
	// The connection broke while the answer was read.
	return !connect.IsWireError(err) && (e.Code == connect.CodeUnknown || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
}

// exhausted is how long the node asks to wait, if waiting helps.
func exhausted(err error) (time.Duration, bool) {
	var e *Error
	if !errors.As(err, &e) || e.Code != connect.CodeResourceExhausted || e.Reason == "STORAGE_FULL" || e.Reason == "TOO_LARGE" {
		return 0, false
	}
	if e.RetryAfter > 0 {
		return e.RetryAfter, true
	}
	return time.Second, true
}

// explainer gives every call's error its reason and hint.
type explainer struct{}

func (explainer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		res, err := next(ctx, req)
		if err != nil {
			return nil, explain(err)
		}
		return res, nil
	}
}

func (explainer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		return next(ctx, spec)
	}
}

func (explainer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
