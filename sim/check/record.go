package check

// Record is one record of a node's log as some node holds it.
type Record struct {
	Seq   uint64
	Hash  string
	Prev  string // hash of the record before; of Seq 1 the seal, which is not looked at
	Entry string
}

// Records tells what a node holds of one origin (node and epoch) of a board, in the order of seq. lo is the first seq
// that it claims to hold, hi the last.
func (c *Checker) Records(node, board, origin string, lo, hi uint64, records []Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	if n := hi - lo + 1; uint64(len(records)) != n {
		c.violate("I2", "node %s claims records %d to %d of %s in %s and shows %d", node, lo, hi, short(origin), board, len(records))
	}
	for i, r := range records {
		if i > 0 && r.Seq != records[i-1].Seq+1 {
			c.violate("I2", "node %s has a hole in %s of %s: %d follows %d", node, short(origin), board, r.Seq, records[i-1].Seq)
		} else if i > 0 && r.Prev != records[i-1].Hash {
			c.violate("I11", "node %s: record %d of %s in %s does not link to the record before it", node, r.Seq, short(origin), board)
		}
		k := recordKey{board, origin, r.Seq}
		c.record(k, "hash:"+r.Hash, "node "+node)
		if r.Entry != "" {
			c.record(k, "ack:"+r.Entry, "node "+node)
		}
	}
}

// record notes one content (a record hash, or the entry) of a place in a log. Called with mu held.
func (c *Checker) record(k recordKey, content, who string) {
	kind := content[:4]
	k.origin = kind + k.origin
	have, ok := c.records[k]
	if !ok {
		c.records[k], c.recordAt[k] = content, who
		return
	}
	if have != content {
		c.violate("I11", "number %d of %s in %s has two contents: one shown by %s, another by %s", k.seq, short(k.origin[4:]), k.board, c.recordAt[k], who)
	}
}
