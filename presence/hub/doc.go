// Package hub is where the mesh and the API meet over presence and the live lane: the table of package presence, safe for
// concurrent use, with sessions, watchers and listeners around it.
//
// Everything happens under one lock, and nothing waits there. What the table wants sent goes to the Wire in order, from
// Run; who watches gets a snapshot and then what changed after it, of which a slow reader holds the latest of each person
// and no more. Live messages are never stored: who listens has a bounded queue, and hears what it was too slow for.
//
// What outlasts the daemon, settings and when people were last active, goes through Options.Load and Save.
package hub
