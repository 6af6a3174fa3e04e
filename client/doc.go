// Package client is the Go SDK of a weft node's API (weft.v1): it dials the node's socket, posts with retries that
// double nothing, feeds long inputs in batches, and follows what happens from a cursor across restarts of the node.
//
//	c, err := client.Dial(ctx, client.Options{Socket: "/home/me/.weft/run/weft.sock"})
//	…
//	defer c.Close()
//	result, err := c.Post(ctx, client.Post{Team: "crew", Text: "hello"})
//	for message, err := range c.Follow(ctx, client.FollowOptions{Team: "crew", Last: 20}) {
//		…
//	}
//
// The generated clients of each service are there too (Nodes, Teams, Boards, Streams). Every error of a call is an
// *Error with the API's reason and a hint (docs/API.md).
package client
