package store

import (
	"slices"

	"weft/board"
)

// write writes what was planned.
func (t *ingestTask) write(g *group, b *boardState, p plan) error {
	var d *logDelta
	switch {
	case p.log != nil:
		d = g.delta(p.log)
	case len(p.backward) > 0: // a sealed epoch, from its end: it begins above its last record and grows down
		var err error
		last := p.backward[len(p.backward)-1]
		d, err = g.create(b, t.in.r.Origin, board.Link{Epoch: t.in.r.Epoch, Seq: t.seq(last), Hash: t.in.hashes[last]}, t.seq(last)+1)
		if err != nil {
			return err
		}
		d.st.HiHash = t.in.hashes[last]
	default:
		var err error
		if d, err = g.create(b, t.in.r.Origin, p.loPrev, t.seq(p.forward[0])); err != nil {
			return err
		}
		if b.governance && t.in.state != nil && !t.in.state.IsNode(t.in.r.Node) && len(b.byNode[t.in.r.Node]) == 0 {
			g.published = append(g.published, func() { b.team.strangers++ })
		}
	}
	for _, i := range p.forward {
		if err := t.forward(g, d, i); err != nil {
			return err
		}
	}
	for _, i := range p.backward { // upwards, so that each finds the device's entry before it
		if err := t.record(g, d, i); err != nil {
			return err
		}
	}
	if len(p.backward) > 0 {
		t.lower(g, d, p.backward[0])
	}
	return nil
}

// forward writes an item above what is held, or over a damaged record.
func (t *ingestTask) forward(g *group, d *logDelta, i int) error {
	seq, it := t.seq(i), t.in.r.Items[i]
	if seq <= d.st.Hi {
		return t.mend(g, d, i)
	}
	if err := t.record(g, d, i); err != nil {
		return err
	}
	d.st.Hi, d.st.HiHash, d.grown = seq, t.in.hashes[i], true
	if len(it.HeadSig) == 64 && t.in.headsFit[i] {
		d.headSeq, d.headSig = seq, it.HeadSig
	}
	return nil
}

// lower notes that what is held begins with an item now.
func (t *ingestTask) lower(g *group, d *logDelta, i int) {
	seq := t.seq(i)
	d.st.Lo, d.st.LoPrev, d.grown = seq, t.prev(i), true
	if seq == 1 { // now it seals what it names
		if parent := g.find(d.log.board, board.Origin{Node: d.log.origin.Node, Epoch: d.st.LoPrev.Epoch}); parent != nil {
			pd := g.delta(parent)
			pd.children = append(slices.Clip(pd.children), d.log)
		}
	}
}

func (t *ingestTask) incoming(i int) incoming {
	it := t.in.r.Items[i]
	in := incoming{entry: it.Entry, received: it.Received, hash: t.in.hashes[i], void: t.in.voids[i]}
	if len(it.HeadSig) == 64 && t.in.headsFit[i] {
		in.headSig = it.HeadSig
	}
	if t.seq(i) == 1 {
		in.link = t.in.r.Prev
	}
	return in
}

// record writes an item with all that follows from it.
func (t *ingestTask) record(g *group, d *logDelta, i int) error {
	in := t.incoming(i)
	if due := d.headDue(t.seq(i), in.entry); in.headSig != nil && (due || d.unheaded >= headBytes/8) {
		d.unheaded = 0
	} else {
		in.headSig = nil
	}
	if err := t.rejudge(g, d, i, &in); err != nil {
		return err
	}
	g.s.touch(postKey{t.in.board, in.entry.Header.PostID()})
	if board.Ahead(in.entry.Header.HLC, g.s.opts.Now()) {
		g.s.metrics.future.Inc()
	} else if in.void == "" {
		g.s.observe(in.entry.Header.HLC)
	}
	if in.void != "" {
		g.s.metrics.voids.Inc()
	}
	if err := g.record(d, t.seq(i), in); err != nil {
		return err
	}
	if t.in.governance {
		return g.govern(d.log, t.in.objects[i], t.in.position(i), t.prev(i))
	}
	return nil
}

// rejudge asks the rules again if the team's state changed since the entry was judged, or if a cut decides.
func (t *ingestTask) rejudge(g *group, d *logDelta, i int, in *incoming) error {
	if t.in.governance || in.entry.Header.Kind.Governance() || !t.in.cuts[i] && d.log.board.team.state.Load() == t.in.state {
		return nil
	}
	return g.judgeNew(d, t.seq(i), in)
}

// mend writes a record over a damaged one and settles its post anew.
func (t *ingestTask) mend(g *group, d *logDelta, i int) error {
	in, seq := t.incoming(i), t.seq(i)
	if err := t.rejudge(g, d, i, &in); err != nil {
		return err
	}
	p := pos{d.log.num, seq}
	g.records++
	if order, err := g.checkOrder(d.log.board, in.entry); err != nil {
		return err
	} else if in.void == "" {
		in.void = order
	}
	if err := g.writeRecord(p, &in); err != nil {
		return err
	}
	if err := g.rejudgeOne(d.log, seq); err != nil {
		return err
	}
	if t.in.governance {
		if err := g.govern(d.log, t.in.objects[i], t.in.position(i), t.prev(i)); err != nil {
			return err
		}
	} else if err := g.showAgain(d, p, in.entry); err != nil {
		return err
	}
	d.damaged, d.mended = cutRow(d.damaged, seq), true
	g.s.metrics.mended.Inc()
	if t.in.governance {
		if err := g.governOn(d, t.in.position(i)); err != nil {
			return err
		}
	}
	if len(d.damaged) == 0 {
		return g.remove(logKey(tDamaged, d.log.num))
	}
	return g.put(logKey(tDamaged, d.log.num), appendRows(nil, d.damaged))
}

// showAgain tells clients of a mended entry, which a reader may have had to leave out.
func (g *group) showAgain(d *logDelta, p pos, e *board.Entry) error {
	list, err := g.postList(postKey{d.log.board.id, e.Header.PostID()})
	if err == nil && list.shown >= 0 && list.recs[list.shown] == p {
		g.changeShown(p, false)
	}
	return err
}
