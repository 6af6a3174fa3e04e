package team

import "errors"

// The kinds of refusal of this package; each maps onto one reason of the API. Others wrap board's: ErrMalformed,
// ErrTooLarge, ErrBadSignature, ErrNotFound, ErrNotMember.
var (
	ErrNoPower       = errors.New("only owners and admins of the team may do this")
	ErrUpgradeNeeded = errors.New("the team needs a newer version of weft: upgrade this node")
	ErrTeamClosed    = errors.New("the team was disbanded: its history can be read, nothing can be added")
	ErrBadName       = errors.New("not a usable name")
	ErrExists        = errors.New("exists already")
	ErrLimit         = errors.New("over a limit of the team")
	ErrBadRequest    = errors.New("not possible")
	ErrUnchanged     = errors.New("nothing would change")

	ErrNotAdmitter = errors.New("this node does not answer for the invite: ask the node that it names")
	ErrExpired     = errors.New("the invite has expired: ask for a new one")
	ErrQuota       = errors.New("the invite is used up: ask for a new one")
	ErrJoinClosed  = errors.New("the team takes nobody in at present: ask its admins")
	ErrApproval    = errors.New("the team's admins decide who joins: leave a request")

	ErrReadOnly    = errors.New("you may read here, but not write: ask an admin of the team")
	ErrRemoved     = errors.New("removed from the team: only its admins can take that back")
	ErrHasPower    = errors.New("owners and admins are changed by the charter: take the role of owner or admin away first")
	ErrOwnerLeaves = errors.New("an owner can't simply leave: hand the team over to another owner, or disband it")
	ErrAdminLeaves = errors.New("an admin can't simply leave: ask an owner to take the role of admin away first")
	ErrLastOwner   = errors.New("a team needs an owner: name another one first, or disband the team")
	ErrAcked       = errors.New("you have agreed to another charter in its place, and nobody agrees to two")

	ErrLinkPrefix    = errors.New("not a weft link; those begin with weft and a colon")
	ErrLinkTruncated = errors.New("the end of the link is missing: copy all of it")
	ErrLinkDamaged   = errors.New("the link is damaged: copy it again")
	ErrLinkTooLong   = errors.New("the link is too long")
)
