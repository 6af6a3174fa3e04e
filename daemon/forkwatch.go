package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"weft/store"
	"weft/team"
)

// A node that finds a contradiction waits so long, at random, before it tells: whoever tells first saves the others it.
const (
	forkWaitLeast = time.Second
	forkWaitMost  = 5 * time.Second
)

// forkWatch tells teams of nodes that contradict themselves.
type forkWatch struct {
	due map[string]time.Time // by the key of the contradiction: when to tell
}

// look tells of what is due, and says how long it is until the next one; 0: none waits.
func (w *forkWatch) look(ctx context.Context, d *Daemon) (wait time.Duration, err error) {
	if w.due == nil {
		w.due = map[string]time.Time{}
	}
	now := d.cfg.Now()
	for _, f := range d.store.Forks() {
		st, ok := d.store.Team(f.Team)
		if !ok || !st.Known() || st.UpgradeNeeded() || proven(st, f) {
			continue
		}
		key := forkKey(f)
		if told, err := d.store.GetKV(key); err != nil || told != nil {
			continue
		}
		at, waiting := w.due[key]
		if !waiting {
			at = now.Add(forkWaitLeast + rand.N(forkWaitMost-forkWaitLeast))
			w.due[key] = at
		}
		if left := at.Sub(now); left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		if err := d.tellFork(ctx, f, key); err != nil {
			return wait, err
		}
		delete(w.due, key)
	}
	return wait, nil
}

// proven says whether the team knows already, of this place in the log or an earlier one of the same epoch.
func proven(st *team.State, f store.Fork) bool {
	at := f.Proof.A.Record
	return slices.ContainsFunc(st.ForkProofs(), func(p team.Fork) bool {
		return p.Node == at.Node && p.Board == at.Board && p.Epoch == at.Epoch && p.Seq <= at.Seq
	})
}

// tellFork records the proof, once: a node that was let in again is not thrown out for the same.
func (d *Daemon) tellFork(ctx context.Context, f store.Fork, key string) error {
	o, err := team.NewFork(f.Team, d.id.Node, f.Proof, random16())
	if err != nil {
		return err
	}
	if _, err := d.store.AppendObject(ctx, f.Team, o); err != nil {
		return err
	}
	at := f.Proof.A.Record
	d.log.Warn("a node contradicts itself; its team was told", "team", f.Team.String(), "node", at.Node.String(), "board", at.Board.String(), "seq", at.Seq)
	return d.store.SetKV(ctx, key, []byte{1})
}

// forkKey names a contradiction: the place in the log.
func forkKey(f store.Fork) string {
	at := f.Proof.A.Record
	h := sha256.Sum256(fmt.Appendf(nil, "%x %x %x %x.%x %x", f.Team, at.Board, at.Node, at.Epoch.N, at.Epoch.R, at.Seq))
	return "forktold/" + hex.EncodeToString(h[:16])
}
