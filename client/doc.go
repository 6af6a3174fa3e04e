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
// Who is there, and what is only for those who are: a session makes the user online while it lasts, a watch keeps a view
// of everybody, and live messages come once and are never stored.
//
//	session, err := c.Attach(ctx, "map/1.2")
//	…
//	defer session.Close()
//	session.SetPayload(ctx, position)
//	var view client.PresenceView
//	for m, err := range c.WatchPresence(ctx, client.PresenceOptions{Teams: []string{"crew"}, Devices: true}) {
//		…
//		view.Apply(m)
//	}
//	c.Say(ctx, "crew", &weftv1.LiveSend{Kind: "typing"})
//	for batch, err := range c.Subscribe(ctx, client.LiveOptions{Kinds: []string{"typing"}}) {
//		…
//	}
//
// The generated clients of each service are there too (Nodes, Teams, Boards, Streams, Presence, Live). Every error of a call is an
// *Error with the API's reason and a hint (docs/API.md).
package client
