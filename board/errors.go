package board

import "errors"

// The kinds of refusal. Each maps onto one reason of the API (docs/API.md); wrap them with what was being done.
var (
	ErrMalformed     = errors.New("malformed")                           // bytes that no honest program makes
	ErrTooLarge      = errors.New("too large")                           // over a size of docs/limits.md
	ErrBadSignature  = errors.New("signature does not fit")              // forged or damaged
	ErrGap           = errors.New("records before these are missing")    // wait for them or fetch them
	ErrFork          = errors.New("two contents under one seq")          // the node is broken or lies
	ErrClockAhead    = errors.New("stamp is ahead of this node's clock") // CLOCK_AHEAD
	ErrUnknownOrigin = errors.New("node is not known to the team")       // ask for governance
	ErrPending       = errors.New("a right is not known here yet")       // ask for governance
	ErrNotMember     = errors.New("not a member of the team")            // NOT_MEMBER
	ErrNotFound      = errors.New("not found")                           // NOT_FOUND
	ErrNotHeld       = errors.New("not held here")                       // pruned, or never received
	ErrDamaged       = errors.New("stored data is damaged")              // checksum or hole
	ErrOutOfOrder    = errors.New("not later than the entry before it")  // hlc against dev_prev
)
