package check

import "slices"

// list is a whole board as a node showed it.
type list struct {
	at      uint64
	entries []string
	posts   map[*post]bool
	texts   []string
}

// List tells what a node shows of a board, oldest first, all of it. since is a point in time (Now) from before the
// list was asked for: whatever this node had acknowledged by then has to be in it.
func (c *Checker) List(node, board string, since uint64, entries []Seen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	l := &list{at: since, posts: map[*post]bool{}}
	seen := map[string]bool{}
	last := map[sender]uint64{}
	for i, s := range entries {
		p := c.resolve("node "+node, board, s)
		if seen[s.Entry] || p != nil && l.posts[p] {
			c.duplicates++
			c.violate("I2", "node %s lists entry %s of %s twice", node, short(s.Entry), board)
			continue
		}
		seen[s.Entry] = true
		if p != nil {
			l.posts[p] = true
			p.seenBy[node] = true
		}
		if i > 0 && entries[i-1].HLC > s.HLC {
			c.violate("I4", "node %s lists entry %s of %s after an entry with a greater stamp", node, short(s.Entry), board)
		}
		for _, o := range orders(p, s) {
			if o.seq <= last[o.sender] {
				c.outOfOrder++
				c.violate("I3", "node %s lists number %d of %s in %s after number %d", node, o.seq, short(o.device), board, last[o.sender])
			}
			last[o.sender] = max(last[o.sender], o.seq)
		}
		l.entries = append(l.entries, s.Entry)
		l.texts = append(l.texts, textHash(s.Text))
	}
	c.gapless(node, board, entries)
	for _, p := range c.posts {
		if at := p.acks[node]; p.Board == board && at > 0 && at < since && !l.posts[p] && !c.mayVanish(p) {
			c.violate("I1", "node %s acknowledged %q of %s in %s and does not show it", node, p.MsgID, short(p.Author), board)
		}
	}
	c.lists[place{node, board}] = l
}

// gapless checks that each device's numbers run 1, 2, 3, … Called with mu held.
func (c *Checker) gapless(node, board string, entries []Seen) {
	devices := map[sender][]uint64{}
	for _, s := range entries {
		if _, void := c.vanishing[s.Author]; s.DevSeq > 0 && !void {
			k := sender{s.Device, s.DevEpoch}
			devices[k] = append(devices[k], s.DevSeq)
		}
	}
	for d, seqs := range devices {
		slices.Sort(seqs)
		seqs = slices.Compact(seqs)
		if n := uint64(len(seqs)); seqs[0] != 1 || seqs[n-1] != n {
			c.violate("I2", "node %s has %d entries of device %s in %s, numbered %d to %d", node, n, short(d.device), board, seqs[0], seqs[n-1])
		}
	}
}

// Hash tells a node's own hash over a board (BoardHash), of the moment of its last List.
func (c *Checker) Hash(node, board, hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	c.hashes[place{node, board}] = hash
}

// sameAs compares the newest lists and hashes of two nodes. Called with mu held.
func (c *Checker) sameAs(a, b place) {
	la, lb := c.lists[a], c.lists[b]
	if la == nil || lb == nil {
		return
	}
	equal := slices.Equal(la.entries, lb.entries)
	if !equal {
		at := 0
		for at < min(len(la.entries), len(lb.entries)) && la.entries[at] == lb.entries[at] {
			at++
		}
		c.violate("I4", "nodes %s and %s show %s differently: %d and %d entries, equal up to the %dth", a.node, b.node, a.board, len(la.entries), len(lb.entries), at)
	} else if !slices.Equal(la.texts, lb.texts) {
		c.violate("I4", "nodes %s and %s show different texts under the same ids in %s", a.node, b.node, a.board)
	}
	ha, hb := c.hashes[a], c.hashes[b]
	if ha != "" && hb != "" && (ha == hb) != equal {
		c.violate("I4", "hashes of %s at nodes %s and %s are %s and %s, but their entries are equal: %v", a.board, a.node, b.node, short(ha), short(hb), equal)
	}
}
