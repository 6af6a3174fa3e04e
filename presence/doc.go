// Package presence decides how people are shown: one table of who is where, made of what their homes report.
//
// A node vouches for its own people. It says what changed among a team's people on it by beats, numbered in one boot and
// team; each carries a digest of the whole state after it. Who missed a number, or computes another digest, asks for the
// whole. What a node said counts while the node is not known to be dead or gone and its lease runs. A person is shown as
// the best of their devices on all their homes, and what they set last about themselves.
//
// The way of a change: Table.Attach, Detach, Report or Set at the person's home → after a short wait, so that changes
// that come together go together, Tick → effect SendBeat → another node's Table.Receive → effect Changed, at both.
//
// Flapping is damped twice by one rule, at the home before it says anything and at each watcher: the state of a person
// changes at most once in StateEvery. Exempt is what a person sets (a few times), and what becomes of whole nodes: its
// people change together, as one Changed.
//
// The package is pure: no I/O, no goroutine, no clock, no dependence on map order; the time is an argument. Differences
// of time are taken from the monotonic part of it, if it has one; what is told to people (since, last active, until) is
// wall time in Unix milliseconds. Layouts: docs/PROTOCOL.md. Package hub is the table's safe face.
package presence
