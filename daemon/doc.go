// Package daemon makes a node out of the parts: it reads the configuration, makes the node's identity on the first
// start, opens the store, the mesh and the API in this order, and stops them in the opposite one.
//
// Config is the reference of all settings; flags, environment variables, the file DIR/weft.toml and `weft run -h` are
// made from it. Start gives a running node to programs and tests; Run is Start and then waiting for the end.
//
// What it keeps in the data folder:
//
//	DIR/weft.toml     settings, written by a person
//	DIR/keys/         node.key, device.key, recovery.key (until it was shown), charter.pb; 0600 in a 0700 folder
//	DIR/store/        the boards (package store)
//	DIR/run/          weft.sock, lock; 0700
package daemon
