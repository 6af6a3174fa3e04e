// Package attack is a modified node that lies in every way the protocol allows, and the measure of what that does to an
// honest one. It is test code: cmd/weftlab drives it and tests run it; no part of weft imports it.
//
// The way of an attack: Run joins the target's team by an invite link, as often as there are attacks that need a member of
// their own (a node that is caught is banned, and the next attack must not be hidden by that). Each attack then connects with
// its own keys, sends what no honest node sends, and looks at what comes back. Beside it stands an honest member, the witness, who
// asks the target for a sign of life after each attack; an Observer reads the target's counters and what it shows. An attack
// has failed (the target held) if the target is alive and has not panicked, has shown nothing forged, has sent a stranger no
// byte of the team, and the counter of the rule that stops the attack has risen.
//
// It speaks the wire format by itself, from docs/PROTOCOL.md, and uses nothing of package p2p. Texts of posts that must
// never be shown begin with Forged.
package attack
