// Package p2p carries boards between nodes: the libp2p host, the teams' topics (push and beats), the sync streams
// (pull), the lobby where invites are taken, and finding and redialling peers.
//
// It decides little. board.Replica, a pure state machine, says what to ask for, accept, hold and give up; the loop of a
// Mesh is the one goroutine that owns it and only carries its effects out, so that no I/O waits in it. store.Append and
// store.Ingest are the only doors through which anything enters the node; a push is a hint, the vector decides.
//
// Path of a record: another node's push (topic) or answer (stream) → size, form, membership → board.Replica → a pool of
// workers → store.Ingest (which checks signatures) → board.Replica again. Path of an own record: store commit → nudge →
// pusher → topic; peers that missed it see its head in a beat and pull.
//
// Who may be there is asked of team.State each time before a byte leaves (docs/PROTOCOL.md, "Who may receive").
package p2p
