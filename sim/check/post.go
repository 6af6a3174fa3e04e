package check

import "slices"

// Post is what somebody asked a node to write. (Board, Author, MsgID) names it: a retry at another node is the same Post.
type Post struct {
	Board, Author string
	MsgID         string // the client's message id; where the caller knows none, any name that is unique for the author
	Text          string
	Sender        string // who numbers Seq: a device or a program
	Seq           uint64 // 1, 2, 3, … where the sender sent one after the other; 0: no order is promised
}

// Ack is what the node answered.
type Ack struct {
	Node   string
	Entry  string // entry id
	Origin string // node and epoch of the record; empty: not told
	Seq    uint64 // in the origin
}

type post struct {
	Post
	hash    string
	entries map[string]bool // ids under which it was acknowledged or seen
	acks    map[string]uint64
	ackedAt uint64 // tick of the first acknowledgement; 0: none
	refused bool
	seenBy  map[string]bool // nodes that have shown it
}

// Attempt tells that p is about to be sent. Call it before the request leaves: what comes back from nowhere is a
// forgery to the checker.
func (c *Checker) Attempt(p Post) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	c.post(p)
}

// post is called with mu held.
func (c *Checker) post(p Post) *post {
	k := postKey{p.Board, p.Author, p.MsgID}
	have := c.posts[k]
	if have == nil {
		have = &post{Post: p, hash: textHash(p.Text), entries: map[string]bool{}, acks: map[string]uint64{}, seenBy: map[string]bool{}}
		have.Text = ""
		c.posts[k] = have
		text := p.Board + "/" + have.hash
		if _, taken := c.byText[text]; taken {
			c.byText[text] = nil
		} else {
			c.byText[text] = have
		}
	}
	return have
}

// Acked tells that node a.Node acknowledged p as stored.
func (c *Checker) Acked(p Post, a Ack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	o := c.post(p)
	if o.ackedAt == 0 {
		o.ackedAt = c.tick
	}
	if o.acks[a.Node] == 0 {
		o.acks[a.Node] = c.tick
	}
	c.name(o, a.Entry)
	if a.Origin != "" {
		k := recordKey{p.Board, a.Origin, a.Seq}
		c.record(k, "ack:"+a.Entry, "the acknowledgement of "+a.Node)
	}
}

// Refused tells that a node refused p with a reason, so that p is not written. A later Acked of the same post wins.
func (c *Checker) Refused(p Post, node, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	c.post(p).refused = true
	c.refused[refusal{node, reason}]++
}

// Counter tells how often the node itself says that it refused for this reason. A counter below what callers were told
// is a violation of I10 (Settle).
func (c *Checker) Counter(node, reason string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	c.counted[refusal{node, reason}] = n
}

// RolledBack tells that a node's folder was replaced by a copy of it that was made at tick `at` (see Now), or that the
// node lost what it wrote since. What it acknowledged since may be missing there until others bring it back, and may be
// missing for ever where no other node ever showed it. Its marks may stand lower, too.
func (c *Checker) RolledBack(node string, at uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	c.restored[node] = at
	for _, p := range c.posts {
		if p.acks[node] > at {
			delete(p.acks, node)
		}
	}
	for m := range c.read {
		if m.node == node {
			delete(c.read, m)
		}
	}
	for k := range c.lists {
		if k.node == node {
			delete(c.lists, k)
		}
	}
	for k := range c.hashes {
		if k.node == node {
			delete(c.hashes, k)
		}
	}
}

// name notes an entry id of p. Called with mu held.
func (c *Checker) name(p *post, entry string) {
	if entry == "" || p.entries[entry] {
		return
	}
	p.entries[entry] = true
	c.byEntry[p.Board+"/"+entry] = p
}

// mustSurvive says whether p may not be missing in the end: one of the nodes that are there vouches for it, having
// acknowledged it (and not been rolled back since), or having shown it (and never been rolled back). Without names: any
// node. Called with mu held.
func (c *Checker) mustSurvive(p *post, nodes ...string) bool {
	if p.ackedAt == 0 || c.mayVanish(p) {
		return false
	}
	there := func(n string) bool { return len(nodes) == 0 || slices.Contains(nodes, n) }
	for n := range p.acks {
		if there(n) {
			return true
		}
	}
	for n := range p.seenBy {
		if _, back := c.restored[n]; !back && there(n) {
			return true
		}
	}
	return false
}
