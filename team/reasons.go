package team

// Why something is void or pending, in words for people. They are constants, so that saying why costs nothing.
const (
	reasonNoGenesis     = "the team's charter is not here yet"
	reasonUpgrade       = "the team needs a newer version of weft"
	reasonOtherTeam     = "it belongs to another team"
	reasonNoAuthor      = "it names no author"
	reasonNoCharter     = "the charter that it acts under is not here yet"
	reasonLaterCharter  = "it acts under a charter that this version does not evaluate"
	reasonNotCharter    = "what it acts under is not a charter"
	reasonNoPower       = "its author is neither owner nor admin"
	reasonNoPresent     = "its author has not been presented here yet"
	reasonNoDevice      = "its device is not among its author's known devices yet"
	reasonDeviceRemoved = "its device was removed by its author"
	reasonNoInvite      = "the invite that it uses is not here yet"
	reasonNotInvite     = "what it uses is not an invite"
	reasonInviteVoid    = "the invite that it uses does not count"
	reasonNotAdmitter   = "it is signed by a node that the invite does not name"
	reasonBadProof      = "the invite's key did not sign it"
	reasonQuota         = "the invite was used up"
	reasonLater         = "not evaluated by this version"
	reasonNoBoard       = "its board is not known here yet"
	reasonBoardVoid     = "what made its board does not count"
	reasonWrongKind     = "its kind does not belong on this board"
	reasonNoCred        = "the right that it names is not here yet"
	reasonCredPending   = "the right that it names does not count yet"
	reasonCredOther     = "the right that it names is someone else's"
	reasonCredVoid      = "the right that it names does not count"
	reasonCredNoPower   = "its author is neither owner nor admin in the charter that it names"
	reasonCredRead      = "the right that it names does not allow writing here"
	reasonRestricted    = "its author may only read"
)

var ruleNames = map[string]string{
	reasonNoGenesis:     "no-genesis",
	reasonUpgrade:       "upgrade-needed",
	reasonOtherTeam:     "other-team",
	reasonNoAuthor:      "no-author",
	reasonNoCharter:     "charter-unknown",
	reasonLaterCharter:  "charter-later",
	reasonNotCharter:    "not-a-charter",
	reasonNoPower:       "no-power",
	reasonNoPresent:     "user-unknown",
	reasonNoDevice:      "device-unknown",
	reasonDeviceRemoved: "device-removed",
	reasonNoInvite:      "invite-unknown",
	reasonNotInvite:     "not-an-invite",
	reasonInviteVoid:    "invite-void",
	reasonNotAdmitter:   "not-admitter",
	reasonBadProof:      "bad-proof",
	reasonQuota:         "quota",
	reasonLater:         "later",
	reasonNoBoard:       "board-unknown",
	reasonBoardVoid:     "board-void",
	reasonWrongKind:     "wrong-kind",
	reasonNoCred:        "cred-unknown",
	reasonCredPending:   "cred-pending",
	reasonCredOther:     "cred-other",
	reasonCredVoid:      "cred-void",
	reasonCredNoPower:   "cred-no-power",
	reasonCredRead:      "cred-read",
	reasonRestricted:    "muted",
}
