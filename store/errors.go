package store

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of refusal of this package, beside those of package board. Each maps onto one reason of the API.
var (
	ErrLocked          = errors.New("the folder is in use by another weft: stop that one, or choose another folder with --dir")
	ErrNewerFormat     = errors.New("the store was written by a newer weft: install that version, or restore a backup made by this one")
	ErrOlderFormat     = errors.New("the store was written by a weft too old for this one, or its MANIFEST is damaged: open it with the version that wrote it, restore a backup, or move the folder away: what teammates hold comes back; nothing was touched")
	ErrManifestMissing = errors.New("the store's MANIFEST is missing while its tables are there: restore the file or the folder from a backup; nothing was touched")
	ErrStorageFull     = errors.New("the disk is nearly full: free some space; reading goes on, posting resumes by itself")
	ErrClosed          = errors.New("the store is closed")
	ErrOutcomeUnknown  = errors.New("the disk failed in the middle of a commit, so it is unknown whether this was stored: try again with the same client_msg_id")
	ErrBadCursor       = errors.New("the cursor does not fit this store: read the boards again and go on from the present cursor")
	ErrUnknownTeam     = errors.New("this node takes no part in the team")
	ErrBusy            = errors.New("too much is waiting to be written: try again in a moment")
	ErrLimit           = errors.New("over a limit of this node")
)

// ErrQuota says that an author posts faster than the node allows. Try again after RetryAfter.
type ErrQuota struct {
	RetryAfter time.Duration
}

func (e ErrQuota) Error() string {
	return fmt.Sprintf("too many posts in a short time: try again in %s", e.RetryAfter.Round(time.Millisecond))
}
