// Package team decides who may write and who may receive, without a server: it evaluates a team's governance objects
// (charters, acks, operations) into one State that is a pure function of the set of objects held, in whatever order and however
// often they arrived.
//
// The way of an object: ParseObject reads and bounds it and checks the signatures inside it; Evaluator.Add takes it, and
// Evaluator.AddRecord each record of the governance board; Evaluator.State gives an immutable snapshot that anyone may read
// at the same time. Builders (NewTeam, NewCharter, NewSet, NewInvite, …) make objects that pass these same rules, and
// refuse at the origin, with an error that says what to do, what evaluation would void.
//
// The rules are trust.md's: charters with acks (step.go, chain.go), people's own charters and devices (user.go), cuts over
// the governance logs (logs.go, cut.go), operations (judge.go), registers of people and nodes (register.go,
// noderegister.go), admissions with exact quotas (ticket.go), which records count (counting.go), entries (check.go).
// Package sim/trust has them a second time, in the plainest way, and compares.
//
// The package is pure: no I/O, no goroutines, no clock, no dependence on map order. Time and randomness are arguments.
// An object's bytes are hashed as they were received and never encoded again. Layouts: docs/PROTOCOL.md.
package team
