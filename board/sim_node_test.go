package board

import (
	"maps"
	"slices"
	"time"
)

// asked begins to answer a want, as p2p does.
func (n *simNode) asked(from NodeID, e Want) {
	k := simServe{from, e.Governance, e.ID}
	if !slices.Contains(n.known, from) && !(e.Governance && slices.Contains(n.via, from)) {
		n.answer(k, AnswerNotMember, nil, true)
		return
	}
	rows, joined := n.store.holding(e.Board).Path(e.Node, e.Have, e.Toward)
	if len(rows) == 0 && !joined || !joined && !e.Backward {
		n.answer(k, AnswerNotHeld, nil, true)
		return
	}
	n.serving[k] = &simAnswer{want: e, rows: rows, joined: joined}
	n.credited(k, e.Credit)
}

func (n *simNode) credited(k simServe, bytes int) {
	a := n.serving[k]
	if a == nil {
		return
	}
	a.credit += bytes
	for a.credit > 0 && len(a.rows) > 0 {
		if n.pipe[k.peer] > simPipe { // as in p2p, a run is read when the stream has room for it
			if !a.waits {
				a.waits = true
				n.w.after(100*time.Millisecond, func() {
					if n.serving[k] == a {
						a.waits = false
						n.credited(k, 0)
					}
				})
			}
			return
		}
		const piece = 16
		i := 0
		if a.want.Backward {
			i = len(a.rows) - 1
		}
		row := &a.rows[i]
		o := Origin{a.want.Node, row.Epoch}
		first, last := row.First, min(row.Last, row.First+piece-1)
		if a.want.Backward {
			first, last = max(row.First, row.Last-min(row.Last, piece-1)), row.Last
		}
		end := last
		if a.want.Backward && !a.begun { // the first one ends with a signature
			end = n.store.signed(a.want.Board, o, last)
		}
		run := n.store.run(a.want.Board, o, first, end, a.want.Backward)
		if run == nil {
			if !n.damaged {
				n.w.failf("node %d named records that it has not", n.index)
			}
			n.answer(k, AnswerDamaged, nil, true)
			delete(n.serving, k)
			return
		}
		a.begun = true
		if a.want.Backward {
			row.Last = first - 1
		} else {
			row.First = run.LastSeq() + 1
		}
		if row.First > row.Last {
			a.rows = slices.Delete(a.rows, i, i+1)
		}
		a.credit -= run.Size()
		n.answer(k, AnswerOK, run, false)
	}
	if len(a.rows) == 0 {
		n.answer(k, AnswerOK, nil, true)
		delete(n.serving, k)
	}
}

func (n *simNode) answer(k simServe, st AnswerStatus, run *Run, done bool) {
	size := 40
	if run != nil {
		size += run.Size()
		if n.liar && n.w.rnd.IntN(3) == 0 {
			return // says nothing more of it
		}
	}
	n.send(k.peer, "answer", size, func(m *simNode) { m.step(Answered{n.id, k.governance, k.id, st, run, done}) })
}

// lie adds claims that nobody can fulfil.
func (n *simNode) lie(e SendVector) SendVector {
	e.Boards = slices.Clone(e.Boards)
	for i := range e.Boards {
		v := slices.Clone(e.Boards[i].Vector)
		for j := range v {
			switch n.w.rnd.IntN(4) {
			case 0:
				v[j].Seq += uint64(1 + n.w.rnd.IntN(5))
			case 1:
				v[j].Seq = 1 << 62
			}
		}
		v = append(v, Leaf{Node: simID("nobody"), Epoch: Epoch{1, 1}, Seq: 9})
		sortVector(v)
		e.Boards[i].Vector = v
	}
	return e
}

func (n *simNode) ingest(e Ingest) {
	boot := n.boot
	n.w.after(n.disk, func() {
		if n.boot != boot {
			return
		}
		err := n.store.ingest(e.Run, e.Tail)
		n.w.counts["ingest"]++
		if err == nil {
			n.stored(e.Run.Board, e.Run.Origin)
		} else {
			n.w.counts["ingest_"+err.Error()]++
		}
		n.step(Ingested{e.Token, err})
	})
}

// stored tells what follows from new records.
func (n *simNode) stored(b ID, o Origin) {
	n.step(Held{n.w.team, b, o.Node, n.store.stretch(b, o.Node, o.Epoch)})
	if b == n.w.boards[0] {
		if nodes := n.store.nodes(); !slices.Equal(nodes, n.known) {
			n.known = nodes
			n.step(TeamChanged{Team: n.w.team, Nodes: nodes, Via: n.via, Boards: n.w.boards[1:]})
			n.connectAll()
		}
		n.step(GovernanceAdvanced{n.w.team})
	}
	n.tellOrphans(b)
}

// tellOrphans tells which records have become orphans, and which are none any more.
func (n *simNode) tellOrphans(b ID) {
	var orphans map[Origin][]uint64
	if !n.store.allCount(b) {
		_, orphans = n.store.counting(b)
	}
	for _, o := range slices.SortedFunc(maps.Keys(orphans), Origin.Compare) {
		k := originKey{b, o}
		if n.orphans[k] == nil {
			n.orphans[k] = map[uint64]bool{}
		}
		var fresh []uint64
		for _, seq := range orphans[o] {
			if !n.orphans[k][seq] {
				n.orphans[k][seq] = true
				fresh = append(fresh, seq)
			}
		}
		if len(fresh) > 0 {
			n.step(Orphaned{n.w.team, b, o, fresh})
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(n.orphans), compareOrigins) {
		if k.board != b {
			continue
		}
		var back []uint64
		for _, seq := range slices.Sorted(maps.Keys(n.orphans[k])) {
			if !slices.Contains(orphans[k.origin], seq) {
				delete(n.orphans[k], seq)
				back = append(back, seq)
			}
		}
		if len(back) > 0 {
			n.step(Restored{n.w.team, b, k.origin, back})
		}
	}
}

func (n *simNode) reRecord(e ReRecord) {
	boot := n.boot
	n.w.after(n.disk, func() {
		if n.boot != boot {
			return
		}
		_, orphans := n.store.counting(e.Board)
		for _, seq := range e.Seqs {
			if r := n.store.recs[e.Board][e.Origin.Node][e.Origin.Epoch].at(seq); r != nil && slices.Contains(orphans[e.Origin], seq) {
				n.w.counts["re_recorded"]++
				n.append(e.Board, r.entry)
				_, orphans = n.store.counting(e.Board)
			}
		}
	})
}

// append records an entry here and pushes it to whom gossip reaches.
func (n *simNode) append(b ID, e *Entry) {
	p := n.store.append(b, e)
	o := p.Origin()
	if n.w.made[o] == nil {
		n.w.made[o] = map[ID]map[uint64]Hash{}
	}
	if n.w.made[o][b] == nil {
		n.w.made[o][b] = map[uint64]Hash{}
	}
	if old, ok := n.w.made[o][b][p.Seq]; ok && old != p.Hash {
		n.w.failf("two contents of seq %d in epoch %d of node %d", p.Seq, o.Epoch.N, n.index)
	}
	n.w.made[o][b][p.Seq] = p.Hash
	n.stored(b, o)
	if n.w.rnd.IntN(3) > 0 { // else later, in a batch
		n.push(b, o, p.Seq)
	}
}

func (n *simNode) push(b ID, o Origin, last uint64) {
	w := n.w
	run := n.store.run(b, o, max(n.pushed[b]+1, last-min(last, 60)+1), last, false)
	n.pushed[b] = last
	for _, m := range w.nodes {
		if n.up[m.id] == 0 || !slices.Contains(n.known, m.id) {
			continue
		}
		for range 1 + w.rnd.IntN(6)/5 {
			if w.rnd.Float64() < w.loss {
				continue
			}
			w.sent["push"]++
			boot := m.boot
			w.after(time.Duration(2+w.rnd.IntN(60))*time.Millisecond, func() {
				if m.boot == boot {
					m.step(Pushed{n.id, w.team, run})
				}
			})
		}
	}
}
