// Package board holds what a board is made of and the rules by which boards are kept equal: ids, entries, records,
// heads, vectors, the hybrid logical clock, display order, read marks, and replication as a state machine.
//
// The package is pure: no I/O, no goroutines, no clock, no dependence on map order. Time and randomness are arguments.
// A simulator can therefore run it a million times, and two nodes that hold the same records compute the same answers.
//
// Words: an entry is what a device signs; a record is what a node's log adds to it; an origin is (node, epoch), one
// append-only stretch of a node's log in a board; see docs/terms.md. Wire and disk layouts: docs/PROTOCOL.md.
package board
