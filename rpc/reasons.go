package rpc

import "connectrpc.com/connect"

// reason is what an ErrorDetail says, for programs; docs/API.md lists each.
type reason string

const (
	reasonAdminLeaves    reason = "ADMIN_LEAVES"
	reasonAgreedToOther  reason = "AGREED_TO_OTHER"
	reasonAmbiguous      reason = "AMBIGUOUS"
	reasonApproval       reason = "APPROVAL"
	reasonBadCursor      reason = "BAD_CURSOR"
	reasonBadName        reason = "BAD_NAME"
	reasonBadLink        reason = "BAD_LINK"
	reasonBadSignature   reason = "BAD_SIGNATURE"
	reasonBadToken       reason = "BAD_TOKEN"
	reasonBusy           reason = "BUSY"
	reasonCanceled       reason = "CANCELED"
	reasonClockAhead     reason = "CLOCK_AHEAD"
	reasonDamaged        reason = "DAMAGED"
	reasonDeadline       reason = "DEADLINE"
	reasonEmpty          reason = "EMPTY"
	reasonExhausted      reason = "EXHAUSTED"
	reasonExpired        reason = "EXPIRED"
	reasonForbidden      reason = "FORBIDDEN"
	reasonGap            reason = "GAP"
	reasonGone           reason = "GONE"
	reasonHasPower       reason = "HAS_POWER"
	reasonInternal       reason = "INTERNAL"
	reasonJoinClosed     reason = "JOIN_CLOSED"
	reasonLastOwner      reason = "LAST_OWNER"
	reasonLimit          reason = "LIMIT"
	reasonLinkNeeded     reason = "LINK_NEEDED"
	reasonMalformed      reason = "MALFORMED"
	reasonNameTaken      reason = "NAME_TAKEN"
	reasonNodeDenied     reason = "NODE_DENIED"
	reasonNotFound       reason = "NOT_FOUND"
	reasonNotHeld        reason = "NOT_HELD"
	reasonNotMember      reason = "NOT_MEMBER"
	reasonNotUTF8        reason = "NOT_UTF8"
	reasonOffline        reason = "OFFLINE"
	reasonOutOfOrder     reason = "OUT_OF_ORDER"
	reasonOutcomeUnknown reason = "OUTCOME_UNKNOWN"
	reasonOwnerLeaves    reason = "OWNER_LEAVES"
	reasonPending        reason = "PENDING"
	reasonQuota          reason = "QUOTA"
	reasonReadOnly       reason = "READ_ONLY"
	reasonRemoved        reason = "REMOVED"
	reasonStopping       reason = "STOPPING"
	reasonStorageFull    reason = "STORAGE_FULL"
	reasonTeamClosed     reason = "TEAM_CLOSED"
	reasonTooFewNodes    reason = "TOO_FEW_NODES"
	reasonTooLarge       reason = "TOO_LARGE"
	reasonTooMany        reason = "TOO_MANY"
	reasonUnchanged      reason = "UNCHANGED"
	reasonUnknownOption  reason = "UNKNOWN_OPTION"
	reasonUnimplemented  reason = "UNIMPLEMENTED"
	reasonUpgradeNeeded  reason = "UPGRADE_NEEDED"
	reasonVoid           reason = "VOID"
)

// meaning is what a reason stands for: the code that every client library knows, and what the person can do.
type meaning struct {
	code connect.Code
	hint string
}

// reasons is the one table of what this API refuses, and how.
var reasons = map[reason]meaning{
	reasonAdminLeaves:    {connect.CodeFailedPrecondition, "ask an owner to take the role of admin away, with keep_as removed"},
	reasonAgreedToOther:  {connect.CodeFailedPrecondition, "ask the other owners to agree to the one that you agreed to, or to propose it again"},
	reasonApproval:       {connect.CodeFailedPrecondition, "use the team's link, which leaves a request with a note: weft join LINK --note TEXT"},
	reasonAmbiguous:      {connect.CodeFailedPrecondition, "give one of the ids that the message lists"},
	reasonBadCursor:      {connect.CodeOutOfRange, "read the boards again by History, then go on from the cursor in this detail; or begin with an empty cursor"},
	reasonBadName:        {connect.CodeInvalidArgument, "choose a name of 1 to 64 bytes of text, without control or invisible characters and /"},
	reasonLimit:          {connect.CodeResourceExhausted, "docs/limits.md says what is possible; an operator can change the node's own limits"},
	reasonBadLink:        {connect.CodeInvalidArgument, "copy the whole link again, from weft: to its last character"},
	reasonBadSignature:   {connect.CodeInvalidArgument, "sign the header's hash with the device key that the header names"},
	reasonBadToken:       {connect.CodeInvalidArgument, "use tokens as this node's answers gave them; begin without one"},
	reasonBusy:           {connect.CodeResourceExhausted, "close streams that nobody reads, or try again later"},
	reasonCanceled:       {connect.CodeCanceled, "the caller gave up; posts may have been stored, and posting them again with the same client_msg_id is safe"},
	reasonClockAhead:     {connect.CodeFailedPrecondition, "sign again with a stamp not later than server_hlc, and set this machine's clock"},
	reasonDamaged:        {connect.CodeDataLoss, "run weft check: it finds what is damaged and fetches it from other nodes"},
	reasonDeadline:       {connect.CodeDeadlineExceeded, "ask again with more time, or look at weft sync for what is missing"},
	reasonEmpty:          {connect.CodeInvalidArgument, "give what the message says is missing"},
	reasonExhausted:      {connect.CodeFailedPrecondition, "ask for a new invite: this one was used as often as it allows"},
	reasonExpired:        {connect.CodeFailedPrecondition, "ask for a new invite: this one has expired"},
	reasonForbidden:      {connect.CodePermissionDenied, "ask an owner or admin of the team (weft team members TEAM shows who)"},
	reasonGap:            {connect.CodeFailedPrecondition, "send the device's earlier entries first"},
	reasonGone:           {connect.CodeFailedPrecondition, "it was shown before and then erased from this machine; look where it was written down"},
	reasonHasPower:       {connect.CodeFailedPrecondition, "owners take power away by ChangeCharter, whose keep_as says what the person stays"},
	reasonInternal:       {connect.CodeInternal, "this is a fault of weft: the node's log has more; weft doctor may find the cause"},
	reasonJoinClosed:     {connect.CodePermissionDenied, "ask an owner of the team: weft team policy TEAM --join link opens it"},
	reasonLastOwner:      {connect.CodeFailedPrecondition, "add another owner first, hand the team over, or disband it"},
	reasonLinkNeeded:     {connect.CodePermissionDenied, "ask an owner or admin of the team for an invite"},
	reasonMalformed:      {connect.CodeInvalidArgument, "compare the request with docs/API.md"},
	reasonNameTaken:      {connect.CodeAlreadyExists, "choose another name, or use the one that is there"},
	reasonNodeDenied:     {connect.CodePermissionDenied, "write at another node of yours, or ask an owner or admin of the team: weft team node allow"},
	reasonNotFound:       {connect.CodeNotFound, "weft team list and weft board list show what is there"},
	reasonNotHeld:        {connect.CodeNotFound, "this node does not have it (yet); weft sync shows what is missing"},
	reasonNotMember:      {connect.CodePermissionDenied, "ask an owner or admin of the team for an invite, then weft join LINK"},
	reasonNotUTF8:        {connect.CodeInvalidArgument, "send text as UTF-8"},
	reasonOffline:        {connect.CodeUnavailable, "see that this machine and the inviter's node are on line, then try again; the link stays good"},
	reasonOutOfOrder:     {connect.CodeFailedPrecondition, "stamps of a device only grow: sign again with a later one and another client_msg_id"},
	reasonOutcomeUnknown: {connect.CodeUnavailable, "it may or may not be stored: post again with the same client_msg_id, which doubles nothing"},
	reasonOwnerLeaves:    {connect.CodeFailedPrecondition, "hand the team over (weft team owner handover) or end it (weft team disband)"},
	reasonPending:        {connect.CodeUnavailable, "this node does not know yet whether you may write: try again in a moment; weft sync shows what is missing"},
	reasonQuota:          {connect.CodeResourceExhausted, "wait as long as retry_after_ms says, then post again with the same client_msg_id"},
	reasonReadOnly:       {connect.CodePermissionDenied, "owners and admins of the team give the right to write (weft team members TEAM shows who they are)"},
	reasonRemoved:        {connect.CodePermissionDenied, "what was here stays, to read; only owners and admins of the team can take that back (weft team list tells who did it)"},
	reasonStopping:       {connect.CodeUnavailable, "the node is stopping or has stopped: try again when it runs, streams with their last cursor"},
	reasonStorageFull:    {connect.CodeResourceExhausted, "make room on the node's disk; reading goes on meanwhile"},
	reasonTeamClosed:     {connect.CodeFailedPrecondition, "what was written stays readable; weft team list tells whether another team goes on in its place"},
	reasonTooFewNodes:    {connect.CodeFailedPrecondition, "post with wait=stored, or invite somebody whose node will hold a copy"},
	reasonTooLarge:       {connect.CodeInvalidArgument, "split it"},
	reasonTooMany:        {connect.CodeInvalidArgument, "ask for less at a time"},
	reasonUnchanged:      {connect.CodeAlreadyExists, "it is so already"},
	reasonUnknownOption:  {connect.CodeInvalidArgument, "use one of the values that the message names"},
	reasonUnimplemented:  {connect.CodeUnimplemented, "this version of weft does not have it; weft version says which one this is"},
	reasonUpgradeNeeded:  {connect.CodeFailedPrecondition, "the team uses rules of a newer weft: install it; reading goes on meanwhile"},
	reasonVoid:           {connect.CodePermissionDenied, "by the team's rules this may not be written by this device"},
}
