package board

import (
	"maps"
	"slices"
	"time"
)

// maxOrphans is how many records of one origin wait to be recorded again at most; the store names the rest again later.
const maxOrphans = 65536

// orphaned has records that do not count recorded again after a while, unless they are restored before.
func (r *Replica) orphaned(e Orphaned) {
	t := r.teams.at(e.Team)
	if t == nil || len(e.Seqs) == 0 {
		return
	}
	k := originKey{e.Board, e.Origin}
	o := t.orphans.at(k)
	if o == nil {
		o = &orphans{seqs: map[uint64]bool{}, due: r.now.Add(r.jitter(r.cfg.ReRecordWait))}
		if e.Origin.Node == r.cfg.Self {
			o.due = r.now.Add(r.jitter(r.cfg.ReRecordWait / 4)) // its own node first, so that others need not
		}
		t.orphans.put(k, o)
	}
	for _, s := range e.Seqs {
		if len(o.seqs) < maxOrphans {
			o.seqs[s] = true
		}
	}
	r.count("orphaned", len(e.Seqs))
	r.at(o.due)
}

func (r *Replica) restored(e Restored) {
	t := r.teams.at(e.Team)
	if t == nil {
		return
	}
	k := originKey{e.Board, e.Origin}
	if o := t.orphans.at(k); o != nil {
		for _, s := range e.Seqs {
			delete(o.seqs, s)
		}
		if len(o.seqs) == 0 {
			t.orphans.drop(k)
		}
	}
}

// reRecord hands over what has waited long enough, at most reRecordRate records of an origin and second.
func (r *Replica) reRecord(t *replTeam) {
	for k, o := range t.orphans.all() {
		if r.isDue(o.due) {
			seqs := slices.Sorted(maps.Keys(o.seqs))
			seqs = seqs[:min(len(seqs), reRecordRate)]
			for _, s := range seqs {
				delete(o.seqs, s)
			}
			r.count("re_record", len(seqs))
			r.do(ReRecord{t.id, k.board, k.origin, seqs})
			o.due = r.now.Add(time.Second)
		}
		if len(o.seqs) == 0 {
			t.orphans.drop(k)
			continue
		}
		r.at(o.due)
	}
}
