// Package team decides who may write and who may receive, without a server: it evaluates a team's governance objects
// (charters, operations) into one State that is a pure function of the set of objects held, in whatever order and however
// often they arrived.
//
// The way of an object: ParseObject reads and bounds it and checks the signatures inside it; Evaluator.Add takes it, with
// the log positions that carry it; Evaluator.State gives an immutable snapshot that anyone may read at the same time.
// Builders (NewUser, NewTeam, NewBoard, NewInvite, NewPresent, NewAdmit) make objects that pass these same rules.
//
// Evaluated here: the genesis charter, people's own charters as presented in the team, boards, invites, admissions with
// exact quotas, homes. Charters after the genesis, acks and the operations set, node, uninvite, request, floor and fork
// are read, bounded and kept, and are Unevaluated.
//
// The package is pure: no I/O, no goroutines, no clock, no dependence on map order. Time and randomness are arguments.
// An object's bytes are hashed as they were received and never encoded again. Layouts: docs/PROTOCOL.md.
package team
