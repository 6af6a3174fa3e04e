package check

// pair is a node and another one that it sends to.
type pair struct{ by, node string }

// Removed tells that a node knows that another one is none of the team's any more, and how many bytes of the team it
// had sent there by then.
func (c *Checker) Removed(by, node string, sent uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	if _, known := c.removed[pair{by, node}]; !known {
		c.removed[pair{by, node}] = sent
	}
}

// LetIn tells that a node knows that another one is one of the team's again.
func (c *Checker) LetIn(by, node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	delete(c.removed, pair{by, node})
}

// Sent tells how many bytes of the team a node has sent to another one so far.
func (c *Checker) Sent(by, node string, sent uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	if had, gone := c.removed[pair{by, node}]; gone && sent > had {
		c.violate("I6", "node %s sent %d bytes of the team to node %s, which is no node of it any more", by, sent-had, node)
		c.removed[pair{by, node}] = sent
	}
}

// Forgotten tells that a node was brought back to an older state, in which it may not know of a removal.
func (c *Checker) Forgotten(by string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	for p := range c.removed {
		if p.by == by {
			delete(c.removed, p)
		}
	}
}

// MayVanish tells that what an author posted after tick since (see Now) may be void, for good: they lost the right to
// post, or the node that recorded it did, and whoever took it had not seen it. It must be so at all nodes alike.
func (c *Checker) MayVanish(author string, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	if old, known := c.vanishing[author]; !known || since < old {
		c.vanishing[author] = since
	}
}

// mayVanish is called with mu held.
func (c *Checker) mayVanish(p *post) bool {
	since, may := c.vanishing[p.Author]
	return may && p.ackedAt > since
}
