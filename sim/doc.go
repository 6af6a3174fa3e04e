// Package sim is weft's test kit: whole nodes on a simulated network in virtual time, for this project and for programs
// that build on it.
//
// Everything runs inside a testing/synctest bubble: an hour of beats, leases and back-offs takes seconds, and nothing
// waits for a real clock. Net carries QUIC packets between hosts (simnet) and can lose, delay, duplicate and reorder
// them, cut links one way or both, and limit bandwidth. World puts store, mesh and board readers on it, breaks what a
// scenario tells it to break, and has package check judge what came out.
//
// The same seed does not give the same packets twice (select, map order and timers differ): scenarios assert properties,
// never traces.
package sim
