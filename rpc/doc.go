// Package rpc is a node's API (weft.v1, see docs/API.md): Connect handlers over the store, the team rules and the mesh,
// served on a Unix socket to the person whose node it is. One handler answers gRPC, gRPC-Web, Connect and plain JSON.
//
// A request's way: ListenUnix checks who connects, Serve runs the HTTP server, observer (observe.go) counts, recovers
// and gives each error its ErrorDetail (errors.go), and a service method does the work with store.Append, Page, Changes
// and so on. Nothing is queued per reader: a Sync stream is nudged and then reads what stands after its own cursor
// (sync.go), so a reader that stops reading costs one batch of memory and delays nobody.
//
// rpc never imports p2p; what it needs of the mesh is the interface Mesh.
package rpc
