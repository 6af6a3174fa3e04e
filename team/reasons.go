package team

import "weft/board"

// finding is what evaluation says of something: a rule, and what a pending one waits for. Its zero value: not judged yet.
type finding struct {
	rule    rule
	missing board.Hash
}

// rule is an index into rules.
type rule uint8

const (
	unjudged rule = iota
	counts        // valid

	noGenesis
	upgrade
	noCharter
	noPresent
	noDevice
	noInvite
	invitePending
	noBoard
	boardPending
	noCred
	credPending

	otherTeam
	notCharter
	charterLost
	charterOpen
	charterForm
	noPower
	hasPower
	afterLoss
	deviceRemoved
	deviceLost
	notInvite
	inviteVoid
	notAdmitter
	badProof
	usedUp
	withdrawn
	withdrawnByLoss
	denied
	ownFloor
	governanceFloor
	wrongKind
	noAuthor
	boardVoid
	credOther
	credVoid
	credNoPower
	credRead
	closed
	afterRemoval
	afterBan
	muted
	reader

	later
	lateAck // counts, though its device was removed: most of the others agreed
	lastRule
)

// rules says of each rule what follows from it, its short name, which programs may rely on, and its words.
var rules = [lastRule]struct {
	status      Status
	name, words string
}{
	counts: {Valid, "", ""},

	noGenesis:     {Pending, "genesis-unknown", "the team's charter is not here yet"},
	upgrade:       {Pending, "upgrade-needed", "the team needs a newer version of weft"},
	noCharter:     {Pending, "charter-unknown", "the charter that it acts under is not here yet"},
	noPresent:     {Pending, "user-unknown", "its author has not been presented here yet"},
	noDevice:      {Pending, "device-unknown", "its device is not among its author's known devices yet"},
	noInvite:      {Pending, "invite-unknown", "the invite that it uses is not here yet"},
	invitePending: {Pending, "invite-pending", "the invite that it uses does not count yet"},
	noBoard:       {Pending, "board-unknown", "its board is not known here yet"},
	boardPending:  {Pending, "board-pending", "what made its board does not count yet"},
	noCred:        {Pending, "cred-unknown", "the right that it names is not here yet"},
	credPending:   {Pending, "cred-pending", "the right that it names does not count yet"},

	otherTeam:       {Void, "other-team", "it belongs to another team"},
	notCharter:      {Void, "not-a-charter", "what it acts under is not a charter"},
	charterLost:     {Void, "charter-lost", "it acts under a charter that is not the one the team goes by"},
	charterOpen:     {Void, "charter-not-agreed", "not enough owners have agreed to it, or more agreed to another one"},
	charterForm:     {Void, "charter-malformed", "it does not follow its parent, or does not say what was accepted of those who lose power"},
	noPower:         {Void, "no-power", "its author was neither owner nor admin"},
	hasPower:        {Void, "has-power", "owners and admins are changed by the charter only"},
	afterLoss:       {Void, "after-loss", "done after its author had lost the power to do it"},
	deviceRemoved:   {Void, "device-removed", "signed by a device after its owner had removed it"},
	deviceLost:      {Void, "device-disowned", "signed by a device that its owner has disowned"},
	notInvite:       {Void, "not-an-invite", "what it uses is not an invite"},
	inviteVoid:      {Void, "invite-void", "the invite that it uses does not count"},
	notAdmitter:     {Void, "not-admitter", "it is signed by a node that the invite does not name"},
	badProof:        {Void, "bad-proof", "the invite's key did not sign it"},
	usedUp:          {Void, "quota", "the invite was used up"},
	withdrawn:       {Void, "uninvited", "the invite had been withdrawn"},
	withdrawnByLoss: {Void, "inviter-lost-power", "who made the invite had lost the power to invite"},
	denied:          {Void, "node-denied", "the node that did it had been shut out of the team"},
	ownFloor:        {Void, "not-own-log", "it prunes the log of another node"},
	governanceFloor: {Void, "governance-kept", "the governance board is kept for ever"},
	wrongKind:       {Void, "wrong-kind", "its kind does not belong on this board"},
	noAuthor:        {Void, "no-author", "it names no author"},
	boardVoid:       {Void, "board-void", "what made its board does not count"},
	credOther:       {Void, "cred-other", "the right that it names is someone else's"},
	credVoid:        {Void, "cred-void", "the right that it names does not count"},
	credNoPower:     {Void, "cred-no-power", "its author is neither owner nor admin in the charter that it names"},
	credRead:        {Void, "cred-read", "the right that it names does not allow writing here"},
	closed:          {Void, "closed", "the team was disbanded"},
	afterRemoval:    {Void, "after-removal", "sent after its author's removal"},
	afterBan:        {Void, "after-ban", "sent after its author was banned"},
	muted:           {Void, "muted", "its author was muted"},
	reader:          {Void, "reader", "its author could only read"},

	later:   {Unevaluated, "later", "of a kind that this version of weft does not know"},
	lateAck: {Valid, "", ""},
}

// verdict in the form that others see.
func (f finding) verdict() Verdict {
	r := &rules[f.rule]
	return Verdict{Status: r.status, Rule: r.name, Reason: r.words, Missing: f.missing}
}

func (f finding) status() Status { return rules[f.rule].status }

// better of two findings about one object, of which one signature that counts is enough.
func (f finding) better(g finding) finding {
	rank := func(f finding) int {
		switch f.status() {
		case Valid:
			return 3
		case Pending:
			return 2
		case Void:
			return 1
		}
		return 0
	}
	if rank(g) > rank(f) {
		return g
	}
	return f
}

// removedBy is the rule by which an operation that gave this role voids entries.
func removedBy(r Role) rule {
	switch r {
	case Banned:
		return afterBan
	case Reader:
		return reader
	case Muted:
		return muted
	}
	return afterRemoval
}
