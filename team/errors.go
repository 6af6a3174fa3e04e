package team

import "errors"

// The kinds of refusal of this package; each maps onto one reason of the API.
var (
	ErrNoPower       = errors.New("only owners and admins of the team may do this")
	ErrUpgradeNeeded = errors.New("the team needs a newer version of weft")
	ErrBadName       = errors.New("not a usable name")
	ErrExists        = errors.New("exists already")
	ErrLimit         = errors.New("over a limit of the team")
	ErrBadRequest    = errors.New("not possible")
	ErrNotAdmitter   = errors.New("this node does not answer for the invite")
	ErrExpired       = errors.New("the invite has expired")
	ErrQuota         = errors.New("the invite is used up")
	ErrLinkPrefix    = errors.New("not a weft link")
	ErrLinkTruncated = errors.New("the end of the link is missing")
	ErrLinkDamaged   = errors.New("the link is damaged")
	ErrLinkTooLong   = errors.New("the link is too long")
)
