package team

import "errors"

// The kinds of refusal of this package; each maps onto one reason of the API. Others wrap board's: ErrMalformed,
// ErrTooLarge, ErrBadSignature, ErrNotFound, ErrNotMember.
var (
	ErrNoPower       = errors.New("only owners and admins of the team may do this")
	ErrUpgradeNeeded = errors.New("the team needs a newer version of weft: upgrade this node")
	ErrBadName       = errors.New("not a usable name")
	ErrExists        = errors.New("exists already")
	ErrLimit         = errors.New("over a limit of the team")
	ErrBadRequest    = errors.New("not possible")
	ErrNotAdmitter   = errors.New("this node does not answer for the invite: ask the node that it names")
	ErrExpired       = errors.New("the invite has expired: ask for a new one")
	ErrQuota         = errors.New("the invite is used up: ask for a new one")
	ErrLinkPrefix    = errors.New("not a weft link; those begin with weft and a colon")
	ErrLinkTruncated = errors.New("the end of the link is missing: copy all of it")
	ErrLinkDamaged   = errors.New("the link is damaged: copy it again")
	ErrLinkTooLong   = errors.New("the link is too long")
)
