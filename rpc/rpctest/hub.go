package rpctest

import (
	"context"
	"errors"
	"sync"

	"weft/board"
	"weft/presence/hub"
	"weft/team"
)

// startHub makes a hub over the store, with the node's own session in it, and tells it of teams as a mesh would.
func (r *Rig) startHub() (stop func()) {
	r.t.Helper()
	h, err := hub.New(hub.Options{
		Self: r.Node.Public(), Boot: [16]byte{1}, Now: r.Now, Clock: r.Store.Stamp, Log: r.Log, Registerer: r.Registry, Limits: r.Live,
		Load: r.Store.GetKV,
		Save: func(key string, value []byte) error {
			if value == nil {
				return r.Store.DeleteKV(context.Background(), key)
			}
			return r.Store.SetKV(context.Background(), key, value)
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Hub = h
	r.TellTeams()
	if _, err := h.AttachOwn(r.Identity.User, r.Identity.Device.Public(), "test"); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	nudge, unsubscribe := r.Store.Subscribe()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-nudge:
				r.TellTeams()
			case <-ctx.Done():
				return
			}
		}
	})
	wg.Go(func() {
		if err := h.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			r.t.Error(err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
		unsubscribe()
	}
}

// TellTeams tells the hub of the store's teams as they are now.
func (r *Rig) TellTeams() {
	r.telling.Lock() // an older state must not come after a newer one
	defer r.telling.Unlock()
	teams := map[board.TeamID]*team.State{}
	for _, id := range r.Store.Teams() {
		st, ok := r.Store.Team(id)
		if !ok || !st.Known() {
			continue
		}
		if _, denied := st.Denial(r.Node.Public()); !denied { // the mesh has nothing to do for those that keep the node out
			teams[id] = st
		}
	}
	r.Hub.SetTeams(teams)
}
