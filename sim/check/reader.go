package check

// Seen is an entry as a reader or a list showed it.
type Seen struct {
	Entry    string
	Author   string
	MsgID    string // empty: not told (the command line); the entry id or the text then says which post it is
	Text     string
	Device   string // empty: not told
	DevEpoch uint64
	DevSeq   uint64
	HLC      uint64
	Late     bool // the stream says that a later entry of the device was shown before
	Counts   bool // it counts as unread for those who have not read it
	Own      bool // by the user whose unread is asked for
	Read     bool // covered by that user's mark
}

// Reader is one client's stream of one node, from its first cursor on, over all reconnects and restarts. Its methods
// are called by one goroutine at a time.
type Reader struct {
	c          *Checker
	name, node string
	boards     map[string]*view
}

// view is what a reader has been shown of a board.
type view struct {
	shown map[string]bool // entry ids
	posts map[*post]bool
	taken map[string]bool   // entries that were taken back: one that comes again does so out of order
	last  map[sender]uint64 // highest shown
}

type sender struct {
	device string
	epoch  uint64
}

// Reader is a new stream of a node. The name is for messages.
func (c *Checker) Reader(name, node string) *Reader {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &Reader{c: c, name: name, node: node, boards: map[string]*view{}}
	c.readers = append(c.readers, r)
	return r
}

// Saw tells that the stream showed an entry.
func (r *Reader) Saw(board string, s Seen) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	v := r.view(board)
	p := c.resolve(r.name, board, s)
	if v.shown[s.Entry] || p != nil && v.posts[p] {
		c.duplicates++
		c.violate("I2", "%s was shown entry %s of %s twice", r.name, short(s.Entry), board)
		return
	}
	v.shown[s.Entry] = true
	if p != nil {
		v.posts[p] = true
		p.seenBy[r.node] = true
	}
	if s.Late {
		c.late++
	}
	for _, o := range orders(p, s) {
		if last := v.last[o.sender]; o.seq <= last && !s.Late && !v.taken[s.Entry] {
			c.outOfOrder++
			c.violate("I3", "%s was shown number %d of %s in %s after number %d", r.name, o.seq, short(o.device), board, last)
		} else {
			v.last[o.sender] = max(last, o.seq)
		}
	}
}

// Hid tells that the stream took an entry back; it may be shown again.
func (r *Reader) Hid(board, entry string) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	v := r.view(board)
	if v.shown[entry] {
		v.taken[entry] = true
	}
	delete(v.shown, entry)
	if p := c.byEntry[board+"/"+entry]; p != nil {
		delete(v.posts, p)
	}
}

// Complete tells that the reader has been shown all there is of a board, from its beginning: each acknowledged post that
// one of these nodes vouches for (none named: any node) has to be among it.
func (r *Reader) Complete(board string, nodes ...string) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	v := r.view(board)
	for _, p := range c.posts {
		if p.Board == board && c.mustSurvive(p, nodes...) && !v.posts[p] {
			c.missed++
			c.violate("I1", "%s was never shown %q of %s in %s, which was acknowledged", r.name, p.MsgID, p.Author, board)
		}
	}
}

// Has says how many entries of a board the reader has been shown.
func (r *Reader) Has(board string) int {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return len(r.view(board).shown)
}

// view is called with c.mu held.
func (r *Reader) view(board string) *view {
	v := r.boards[board]
	if v == nil {
		v = &view{shown: map[string]bool{}, posts: map[*post]bool{}, taken: map[string]bool{}, last: map[sender]uint64{}}
		r.boards[board] = v
	}
	return v
}

type order struct {
	sender
	seq uint64
}

// orders are the orders in which s stands: that of its device, and that of the program that posted it.
func orders(p *post, s Seen) (out []order) {
	if s.DevSeq > 0 {
		out = append(out, order{sender{s.Device, s.DevEpoch}, s.DevSeq})
	}
	if p != nil && p.Seq > 0 {
		out = append(out, order{sender{"sender " + p.Sender, 0}, p.Seq})
	}
	return out
}

// resolve finds the post that s shows and checks that s is what was posted. It is nil, and a violation, if nobody posted it.
// Called with mu held.
func (c *Checker) resolve(who, board string, s Seen) *post {
	p := c.byEntry[board+"/"+s.Entry]
	if p == nil && s.MsgID != "" {
		p = c.posts[postKey{board, s.Author, s.MsgID}]
	}
	if p == nil && s.MsgID == "" {
		var known bool
		if p, known = c.byText[board+"/"+textHash(s.Text)]; known && p == nil {
			return nil // several were posted with this text: it cannot be told which
		}
	}
	switch {
	case p == nil:
		c.violate("I5", "%s shows entry %s of %s in %s, which nobody posted", who, short(s.Entry), short(s.Author), board)
		return nil
	case p.hash != textHash(s.Text):
		c.violate("I5", "%s shows entry %s in %s with a text that was not posted under %q", who, short(s.Entry), board, p.MsgID)
	case s.Author != "" && s.Author != p.Author:
		c.violate("I5", "%s shows entry %s in %s as by %s, but %s posted it", who, short(s.Entry), board, short(s.Author), short(p.Author))
	}
	c.name(p, s.Entry)
	return p
}
