package rpc

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

// busyRetryMs is when to try again where the store's queue is full: it drains in far less.
const busyRetryMs = 100

// kinds maps the kinds of error of the packages below onto reasons. The first row that fits counts.
var kinds = []struct {
	err    error
	reason reason
}{
	{errStopping, reasonStopping},
	{ErrGone, reasonGone},
	{ErrOffline, reasonOffline},
	{store.ErrStorageFull, reasonStorageFull},
	{store.ErrOutcomeUnknown, reasonOutcomeUnknown},
	{store.ErrClosed, reasonStopping},
	{store.ErrBadCursor, reasonBadCursor},
	{store.ErrBusy, reasonQuota},
	{store.ErrLimit, reasonLimit},
	{store.ErrUnknownTeam, reasonNotFound},
	{ErrLinkNeeded, reasonLinkNeeded},
	{team.ErrTeamClosed, reasonTeamClosed},
	{team.ErrUnchanged, reasonUnchanged},
	{team.ErrJoinClosed, reasonJoinClosed},
	{team.ErrApproval, reasonApproval},
	{team.ErrReadOnly, reasonReadOnly},
	{team.ErrRemoved, reasonRemoved},
	{team.ErrHasPower, reasonHasPower},
	{team.ErrOwnerLeaves, reasonOwnerLeaves},
	{team.ErrAdminLeaves, reasonAdminLeaves},
	{team.ErrLastOwner, reasonLastOwner},
	{team.ErrAcked, reasonAgreedToOther},
	{team.ErrNoPower, reasonForbidden},
	{team.ErrUpgradeNeeded, reasonUpgradeNeeded},
	{team.ErrBadName, reasonBadName},
	{team.ErrExists, reasonNameTaken},
	{team.ErrLimit, reasonLimit},
	{team.ErrExpired, reasonExpired},
	{team.ErrQuota, reasonExhausted},
	{team.ErrNotAdmitter, reasonNotFound},
	{team.ErrLinkPrefix, reasonBadLink},
	{team.ErrLinkTruncated, reasonBadLink},
	{team.ErrLinkDamaged, reasonBadLink},
	{team.ErrLinkTooLong, reasonBadLink},
	{team.ErrBadRequest, reasonMalformed},
	{board.ErrTooLarge, reasonTooLarge},
	{board.ErrBadSignature, reasonBadSignature},
	{board.ErrClockAhead, reasonClockAhead},
	{board.ErrOutOfOrder, reasonOutOfOrder},
	{board.ErrPending, reasonPending},
	{board.ErrNotMember, reasonNotMember},
	{board.ErrGap, reasonGap},
	{board.ErrNotHeld, reasonNotHeld},
	{board.ErrNotFound, reasonNotFound},
	{board.ErrDamaged, reasonDamaged},
	{board.ErrMalformed, reasonMalformed},
}

// refusal is an error of this API, made where it is known best what the person can do.
type refusal struct {
	reason  reason
	message string
	cause   error
	detail  *weftv1.ErrorDetail // reason and an empty hint are filled in from the table
}

func (r *refusal) Error() string { return r.message }
func (r *refusal) Unwrap() error { return r.cause }

// refuse makes a refusal; %w works.
func refuse(r reason, format string, args ...any) *refusal {
	err := fmt.Errorf(format, args...)
	return &refusal{reason: r, message: err.Error(), cause: errors.Unwrap(err), detail: &weftv1.ErrorDetail{}}
}

// because keeps what it comes from, where the message says all of it already.
func (r *refusal) because(err error) *refusal {
	r.cause = err
	return r
}

// hint replaces the table's hint.
func (r *refusal) hint(format string, args ...any) *refusal {
	r.detail.Hint = fmt.Sprintf(format, args...)
	return r
}

// reasonOf is the reason that err is told under; none for nil.
func reasonOf(err error) reason {
	if err == nil {
		return ""
	}
	var r *refusal
	if errors.As(err, &r) {
		return r.reason
	}
	if q := (store.ErrQuota{}); errors.As(err, &q) {
		return reasonQuota
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.reason
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return reasonDeadline
	case errors.Is(err, context.Canceled):
		return reasonCanceled
	}
	var c *connect.Error
	if errors.As(err, &c) {
		return reasonOfCode(c.Code())
	}
	return reasonInternal
}

// reasonOfCode is for errors that Connect makes itself.
func reasonOfCode(c connect.Code) reason {
	switch c {
	case connect.CodeInvalidArgument:
		return reasonMalformed
	case connect.CodeResourceExhausted:
		return reasonTooLarge
	case connect.CodeDeadlineExceeded:
		return reasonDeadline
	case connect.CodeCanceled:
		return reasonCanceled
	case connect.CodeUnimplemented:
		return reasonUnimplemented
	default:
		return reasonInternal
	}
}

// wireError is err as callers get it, with an ErrorDetail.
func wireError(err error) *connect.Error {
	if err == nil {
		return nil
	}
	if c := (*connect.Error)(nil); errors.As(err, &c) && len(c.Details()) > 0 {
		return c
	}
	detail := &weftv1.ErrorDetail{}
	if r := (*refusal)(nil); errors.As(err, &r) {
		detail = r.detail
	}
	why := reasonOf(err)
	detail.Reason = string(why)
	if detail.Hint == "" {
		detail.Hint = reasons[why].hint
	}
	fillDetail(detail, err)
	out := connect.NewError(reasons[why].code, errors.New(err.Error()))
	if d, detailErr := connect.NewErrorDetail(detail); detailErr == nil {
		out.AddDetail(d)
	}
	return out
}

// fillDetail adds what an error of the store knows beyond its kind.
func fillDetail(d *weftv1.ErrorDetail, err error) {
	if r := (*store.Refused)(nil); errors.As(err, &r) {
		d.Rule = r.Rule
	}
	if q := (store.ErrQuota{}); errors.As(err, &q) {
		d.RetryAfterMs = max(uint64(q.RetryAfter.Milliseconds()), 1)
	} else if errors.Is(err, store.ErrBusy) {
		d.RetryAfterMs = busyRetryMs
	}
}
