package rpc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

// detailOf is the one ErrorDetail of an error of this API.
func detailOf(t *testing.T, err error) *weftv1.ErrorDetail {
	t.Helper()
	var c *connect.Error
	if !errors.As(err, &c) || len(c.Details()) != 1 {
		t.Fatalf("%v has no ErrorDetail", err)
	}
	v, valueErr := c.Details()[0].Value()
	if valueErr != nil {
		t.Fatal(valueErr)
	}
	return v.(*weftv1.ErrorDetail)
}

func TestEachKindOfErrorHasItsReasonAndCode(t *testing.T) {
	rows := []struct {
		err    error
		reason reason
		code   connect.Code
	}{
		{store.ErrQuota{RetryAfter: 1500 * time.Millisecond}, reasonQuota, connect.CodeResourceExhausted},
		{store.ErrBusy, reasonQuota, connect.CodeResourceExhausted},
		{store.ErrStorageFull, reasonStorageFull, connect.CodeResourceExhausted},
		{store.ErrOutcomeUnknown, reasonOutcomeUnknown, connect.CodeUnavailable},
		{store.ErrClosed, reasonStopping, connect.CodeUnavailable},
		{store.ErrBadCursor, reasonBadCursor, connect.CodeOutOfRange},
		{store.ErrLimit, reasonLimit, connect.CodeResourceExhausted},
		{store.ErrUnknownTeam, reasonNotFound, connect.CodeNotFound},
		{team.ErrNoPower, reasonForbidden, connect.CodePermissionDenied},
		{ErrLinkNeeded, reasonLinkNeeded, connect.CodePermissionDenied},
		{team.ErrTeamClosed, reasonTeamClosed, connect.CodeFailedPrecondition},
		{team.ErrUnchanged, reasonUnchanged, connect.CodeAlreadyExists},
		{team.ErrJoinClosed, reasonJoinClosed, connect.CodePermissionDenied},
		{team.ErrApproval, reasonApproval, connect.CodeFailedPrecondition},
		{team.ErrReadOnly, reasonReadOnly, connect.CodePermissionDenied},
		{team.ErrRemoved, reasonRemoved, connect.CodePermissionDenied},
		{team.ErrHasPower, reasonHasPower, connect.CodeFailedPrecondition},
		{team.ErrOwnerLeaves, reasonOwnerLeaves, connect.CodeFailedPrecondition},
		{team.ErrAdminLeaves, reasonAdminLeaves, connect.CodeFailedPrecondition},
		{team.ErrLastOwner, reasonLastOwner, connect.CodeFailedPrecondition},
		{team.ErrAcked, reasonAgreedToOther, connect.CodeFailedPrecondition},
		{team.ErrUpgradeNeeded, reasonUpgradeNeeded, connect.CodeFailedPrecondition},
		{team.ErrBadName, reasonBadName, connect.CodeInvalidArgument},
		{team.ErrExists, reasonNameTaken, connect.CodeAlreadyExists},
		{team.ErrLimit, reasonLimit, connect.CodeResourceExhausted},
		{team.ErrBadRequest, reasonMalformed, connect.CodeInvalidArgument},
		{team.ErrNotAdmitter, reasonNotFound, connect.CodeNotFound},
		{team.ErrExpired, reasonExpired, connect.CodeFailedPrecondition},
		{team.ErrQuota, reasonExhausted, connect.CodeFailedPrecondition},
		{team.ErrLinkPrefix, reasonBadLink, connect.CodeInvalidArgument},
		{team.ErrLinkTruncated, reasonBadLink, connect.CodeInvalidArgument},
		{team.ErrLinkDamaged, reasonBadLink, connect.CodeInvalidArgument},
		{team.ErrLinkTooLong, reasonBadLink, connect.CodeInvalidArgument},
		{board.ErrMalformed, reasonMalformed, connect.CodeInvalidArgument},
		{board.ErrTooLarge, reasonTooLarge, connect.CodeInvalidArgument},
		{board.ErrBadSignature, reasonBadSignature, connect.CodeInvalidArgument},
		{board.ErrGap, reasonGap, connect.CodeFailedPrecondition},
		{board.ErrClockAhead, reasonClockAhead, connect.CodeFailedPrecondition},
		{board.ErrPending, reasonPending, connect.CodeUnavailable},
		{board.ErrNotMember, reasonNotMember, connect.CodePermissionDenied},
		{board.ErrNotFound, reasonNotFound, connect.CodeNotFound},
		{board.ErrNotHeld, reasonNotHeld, connect.CodeNotFound},
		{board.ErrDamaged, reasonDamaged, connect.CodeDataLoss},
		{board.ErrOutOfOrder, reasonOutOfOrder, connect.CodeFailedPrecondition},
		{ErrGone, reasonGone, connect.CodeFailedPrecondition},
		{ErrOffline, reasonOffline, connect.CodeUnavailable},
		{errStopping, reasonStopping, connect.CodeUnavailable},
		{context.DeadlineExceeded, reasonDeadline, connect.CodeDeadlineExceeded},
		{context.Canceled, reasonCanceled, connect.CodeCanceled},
		{connect.NewError(connect.CodeInvalidArgument, errors.New("x")), reasonMalformed, connect.CodeInvalidArgument},
		{connect.NewError(connect.CodeResourceExhausted, errors.New("x")), reasonTooLarge, connect.CodeInvalidArgument},
		{errors.New("anything else"), reasonInternal, connect.CodeInternal},
	}
	tested := map[error]bool{}
	for _, row := range rows {
		got := wireError(fmt.Errorf("couldn't do it: %w", row.err))
		d := detailOf(t, got)
		if got.Code() != row.code || d.Reason != string(row.reason) {
			t.Errorf("%v: %v %s, want %v %s", row.err, got.Code(), d.Reason, row.code, row.reason)
		}
		if d.Hint == "" {
			t.Errorf("%v has no hint", row.err)
		}
		if !strings.Contains(got.Message(), row.err.Error()) && connect.CodeOf(row.err) == connect.CodeUnknown {
			t.Errorf("%v: message %q does not say it", row.err, got.Message())
		}
		tested[row.err] = true
	}
	for _, k := range kinds {
		if !tested[k.err] {
			t.Errorf("no row of this test for %v", k.err)
		}
	}
}

func TestQuotaSaysWhenToTryAgain(t *testing.T) {
	d := detailOf(t, wireError(fmt.Errorf("couldn't post: %w", store.ErrQuota{RetryAfter: 1500 * time.Millisecond})))
	if d.RetryAfterMs != 1500 {
		t.Errorf("retry_after_ms is %d", d.RetryAfterMs)
	}
	if d := detailOf(t, wireError(store.ErrQuota{RetryAfter: time.Microsecond})); d.RetryAfterMs == 0 {
		t.Error("retry_after_ms is 0, which says nothing")
	}
}

func TestEveryReasonIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	for r, m := range reasons {
		if m.hint == "" || m.code == 0 {
			t.Errorf("%s has no hint or code", r)
		}
		if !strings.Contains(string(doc), fmt.Sprintf("| `%s` | `%s` |", r, strings.ToUpper(m.code.String()))) {
			t.Errorf("docs/API.md does not list %s with its code %s", r, strings.ToUpper(m.code.String()))
		}
	}
}

func TestAnErrorKeepsItsOwnDetail(t *testing.T) {
	first := wireError(refuse(reasonEmpty, "couldn't do it").hint("try %d", 7))
	again := wireError(fmt.Errorf("couldn't do more: %w", first))
	if d := detailOf(t, again); d.Hint != "try 7" || d.Reason != "EMPTY" {
		t.Errorf("detail became %v", d)
	}
}
