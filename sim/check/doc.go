// Package check is the one checker of weft: it is told what was posted, acknowledged and refused, and what every reader
// and every node then showed, and it says which promises were broken. Simulations, tests with real processes and
// benchmarks all use it, so a promise means the same thing everywhere.
//
// What it judges (the numbers are those of the invariants in ARCHITECTURE.md):
//
//	I1   an acknowledged post is there, on that node at once and on every node in the end
//	I2   nothing shows twice; origins and devices have no gap
//	I3   no reader sees a sender's messages out of order, except those that the stream itself calls late
//	I4   nodes that hold the same objects show the same order, the same hash and the same unread counts
//	I5   nothing shows that nobody posted, or with another text or author
//	I6   a node that left the team is sent no byte of it any more
//	I7   marks never go back; unread equals a count by brute force
//	I10  posted minus visible is zero, but for what was refused; and what was refused was counted
//	I11  no (board, node, epoch, seq) ever carries two contents
//
// Names of nodes, boards, authors, devices and entries are plain strings, so that what a command line printed can be
// fed in as well as what a store returned. The package does no I/O and knows no clock: order in time is the order of
// calls.
package check
