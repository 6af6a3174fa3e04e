package store

import (
	"errors"

	"weft/board"
)

// incoming is a record on its way in.
type incoming struct {
	entry    *board.Entry
	received board.HLC
	headSig  []byte
	hash     board.Hash
	link     board.Link // at seq 1
	void     string     // why the entry does not count, as far as the team's rules say
	fresh    bool       // nothing of this post is held
}

// record writes one record and all that follows from it. The stretch itself is the caller's.
func (g *group) record(d *logDelta, seq uint64, in incoming) error {
	l, e := d.log, in.entry
	p := pos{l.num, seq}
	g.records++
	if err := g.lookForTwin(l.board, e); err != nil {
		return err
	}
	order, err := g.checkOrder(l.board, e)
	if err != nil {
		return err
	}
	if in.void == "" {
		in.void = order
	}
	g.voided = in.void
	if !l.board.governance {
		if err := g.noteAuthor(d, &e.Header); err != nil {
			return err
		}
	}
	if err := g.writeRecord(p, &in); err != nil {
		return err
	}
	g.grew(l.board, e)
	if own := g.s.isUser(e.Header.Author); own && e.Header.Kind.Counts() {
		d.own = append(d.own, ownEdit{e.Header.Author, seq})
	}
	key := postKey{l.board.id, e.Header.PostID()}
	list := postList{shown: -1}
	if !in.fresh {
		if list, err = g.postList(key); err != nil {
			return err
		}
	}
	if len(list.recs) > 0 || in.void != "" || !l.counts(d.limit, seq) {
		err = g.extend(l.board, key, list, p)
	} else {
		err = g.firstShown(d, key, p, e)
	}
	if err != nil {
		return err
	}
	if n := g.newShown[l.board]; n != nil && n.Entry == e {
		n.Received = in.received
	}
	return g.resolveWaiting(l.board, e)
}

// writeRecord writes the record itself.
func (g *group) writeRecord(p pos, in *incoming) error {
	r := stored{received: in.received, void: in.void, headSig: in.headSig, entry: in.entry, link: in.link}
	if p.seq%board.HeadEvery == 0 {
		r.hash = in.hash
	}
	return g.put(appendRecordKey(g.s.keys.take(13), p.log, p.seq), r.append(g.s.keys.take(r.size()), p.seq))
}

// firstShown is the plain case of a new post that counts and shows.
func (g *group) firstShown(d *logDelta, key postKey, p pos, e *board.Entry) error {
	list := postList{shown: 0, recs: []pos{p}}
	if err := g.put(appendPostKey(g.s.keys.take(33), key), list.append(g.s.keys.take(20))); err != nil {
		return err
	}
	if err := g.writeEntryIndex(e.ID, p); err != nil {
		return err
	}
	return g.show(d, p, e.Order(), &e.Header, e)
}

func (g *group) writeEntryIndex(id board.Hash, p pos) error {
	return g.put(appendEntryKey(g.s.keys.take(17), id), appendPosition(g.s.keys.take(19), p))
}

// show makes an entry visible, with the record at p standing for it.
func (g *group) show(d *logDelta, p pos, k board.OrderKey, h *board.Header, e *board.Entry) error {
	b := d.log.board
	if err := g.put(appendDisplayKey(g.s.keys.take(displayKeySize), b.id, k), appendPosition(g.s.keys.take(19), p)); err != nil {
		return err
	}
	d.shown++
	if h.Kind.Counts() {
		g.setBit(d, p.seq, true)
	}
	late := false
	if !b.governance {
		dev, err := g.device(deviceKey{b.id, h.Device})
		if err != nil {
			return err
		}
		late = h.HLC < dev.latest
		dev.latest = max(dev.latest, h.HLC)
		g.changeShown(p, late)
	}
	if e != nil {
		if n := g.newShown[b]; n == nil || n.Entry.Order().Compare(k) < 0 {
			g.newShown[b] = &Shown{Entry: e, Origin: d.log.origin, Seq: p.seq}
		}
	} else {
		g.lost[b] = true
	}
	return nil
}

// postList reads what is known of a post. A damaged list counts as empty: Check and repair make it again.
func (g *group) postList(key postKey) (postList, error) {
	k := appendPostKey(make([]byte, 0, 33), key)
	c, err := g.get(k)
	if errors.Is(err, errDecode) {
		g.s.noteValue("post", k)
		return postList{shown: -1}, nil
	}
	if err != nil || c == nil {
		return postList{shown: -1}, err
	}
	list, err := parsePostList(c)
	if err != nil {
		g.s.noteValue("post", k)
		return postList{shown: -1}, nil
	}
	return list, nil
}

// load reads a record as this group sees it.
func (g *group) load(p pos) (stored, error) {
	k := recordKey(p)
	c, err := g.get(k)
	if err != nil {
		return stored{}, err
	}
	if c == nil {
		return stored{}, errDecode
	}
	return parseStored(c)
}
