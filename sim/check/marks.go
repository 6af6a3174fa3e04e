package check

// Unread tells the unread count that a node gives a user for a board, beside the board's whole list with Own, Read and
// Counts set for this user.
func (c *Checker) Unread(node, user, board string, got uint64, entries []Seen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	var want uint64
	now := map[string]bool{}
	for _, s := range entries {
		if s.Read {
			now[s.Entry] = true
		}
		if s.Counts && !s.Own && !s.Read {
			want++
		}
	}
	if got != want {
		c.violate("I7", "node %s says that %s has %d unread in %s; counted one by one they are %d", node, short(user), got, board, want)
	}
	k := mark{node, user, board}
	for e := range c.read[k] {
		if p := c.byEntry[board+"/"+e]; !now[e] && (p == nil || !c.mayVanish(p)) {
			c.violate("I7", "the mark of %s in %s at node %s went back: entry %s was read and is unread again", short(user), board, node, short(e))
		}
	}
	c.read[k] = now
}
