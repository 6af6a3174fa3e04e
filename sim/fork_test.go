package sim_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/daemon"
	"weft/sim"
	"weft/store"
	"weft/team"
)

// opened is the store of a daemon that is down. Close it before the daemon starts again.
func opened(t *testing.T, d *sim.Daemon) (*store.Store, board.Key, team.Identity) {
	t.Helper()
	node, user, err := daemon.LoadIdentity(d.Dir(), d.Name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(d.Dir(), "store"), Node: node, Users: []board.UserID{user.User}, MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s, node, user
}

// forger writes the log of a node in a board with the node's own key, as a faulty program would. Copy it to go on from
// one place in two ways.
type forger struct {
	team     board.TeamID
	board    board.ID
	node     board.Key
	user     team.Identity
	cred     board.Hash
	epoch    board.Epoch
	next     uint64
	prev     board.Link
	devEpoch uint64
	devSeq   uint64
	devPrev  board.Hash
}

// write appends n posts, in runs of as many records as a node has between two heads.
func (f *forger) write(n int, text string) (out []*board.Run) {
	for n > 0 {
		r := &board.Run{Board: f.board, Origin: board.Origin{Node: f.node.Public(), Epoch: f.epoch}, First: f.next, Prev: f.prev}
		for ; n > 0 && len(r.Items) < board.HeadEvery; n-- {
			f.devSeq++
			now := board.HLCAt(time.Now()) + board.HLC(f.next) + board.HLC(len(r.Items))
			e := board.NewEntry(board.Header{
				Team: f.team, Board: f.board, Author: f.user.User, Device: f.user.Device.Public(), DevEpoch: f.devEpoch, DevSeq: f.devSeq, DevPrev: f.devPrev,
				Cred: f.cred, ClientMsgID: fmt.Sprint(text, f.devSeq), HLC: now, Kind: board.KindPost,
			}, fmt.Appendf(nil, "%s %d", text, f.devSeq))
			e.Sign(f.user.Device)
			f.devPrev = e.ID
			r.Items = append(r.Items, board.Item{Entry: e, Received: now})
		}
		hashes := r.Hashes()
		last := board.Position{Board: f.board, Node: f.node.Public(), Epoch: f.epoch, Seq: r.LastSeq(), Hash: hashes[len(hashes)-1]}
		sig := board.SignHead(f.node, last)
		r.Items[len(r.Items)-1].HeadSig = sig[:]
		f.next, f.prev = last.Seq+1, board.Link{Epoch: f.epoch, Seq: last.Seq, Hash: last.Hash}
		out = append(out, r)
	}
	return out
}

// A node has given two teammates two logs that part deep inside. They find the place, tell their team of it, put the node
// out, and both come to show all that its person has said.
func TestAMeshFindsWhereALogForks(t *testing.T) {
	const trunk, left, right = 200, 150, 90
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 22)
		c.post(0, 20)
		time.Sleep(time.Minute)
		ann, bob, cid := c.daemons[0], c.daemons[1], c.daemons[2]
		for _, d := range c.daemons {
			d.Stop()
		}
		s, node, user := opened(t, cid)
		id := s.Teams()[0]
		st, _ := s.Team(id)
		cred, ok := st.Cred(user.User)
		if err := s.Close(); err != nil || !ok {
			t.Fatal(err, ok)
		}
		f := &forger{
			team: id, board: board.GeneralID(id), node: node, user: user, cred: cred, epoch: board.Epoch{N: 9, R: 9}, next: 1, devEpoch: 1,
		}
		both := f.write(trunk, "to both")
		l, r := *f, *f
		r.devEpoch, r.devSeq, r.devPrev = 2, 0, board.Hash{} // a device may have two rows of posts
		for d, runs := range map[*sim.Daemon][]*board.Run{ann: l.write(left, "to ann"), bob: r.write(right, "to bob")} {
			s, _, _ := opened(t, d)
			for _, r := range append(both[:len(both):len(both)], runs...) {
				if _, err := s.Ingest(t.Context(), id, r, false); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			d.Start()
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		var hashes []*weftv1.BoardHashResponse
		for _, d := range []*sim.Daemon{ann, bob} {
			h, err := d.Nodes.BoardHash(t.Context(), connect.NewRequest(&weftv1.BoardHashRequest{Team: "crew"}))
			if err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, h.Msg)
			d.Stop()
			s, _, _ := opened(t, d)
			st, _ := s.Team(id)
			if got := st.ForkProofs(); len(got) != 1 || got[0].Node != node.Public() || got[0].Seq != trunk+1 || got[0].Epoch != f.epoch {
				t.Errorf("%s knows of %+v", d.Name, got)
			}
			if st.IsNode(node.Public()) {
				t.Errorf("at %s the node is of the team", d.Name)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := hashes[0], hashes[1]; a.Hash != b.Hash || a.Entries != b.Entries || a.Entries != 20+trunk+left+right {
			t.Errorf("ann shows %d entries, bob %d, said were %d", a.Entries, b.Entries, 20+trunk+left+right)
		}
	})
}
