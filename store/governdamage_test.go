package store

import (
	"context"
	"errors"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// spoil puts something else in the place of a record's value.
func (f *fixture) spoil(p pos) {
	f.t.Helper()
	f.write(p.log, map[uint64][]byte{p.seq: []byte("damaged")})
}

// charter has f's user, who alone owns the team, change its charter.
func (f *fixture) charter(ch team.Change, cuts map[board.UserID]*weftv1.Cut) {
	f.t.Helper()
	f.n++
	c, err := team.NewCharter(f.state(), f.who.id, ch, cuts, team.Member, [16]byte{202, byte(f.n)})
	if err != nil {
		f.t.Fatal(err)
	}
	f.object(c)
	a, err := team.NewAck(f.state(), f.who.id, c.Hash)
	if err != nil {
		f.t.Fatal(err)
	}
	f.object(a)
}

// TestGovernanceAboveADamagedRecordCountsUnderCutsOnceItIsMended: an admin's work stays when the admin's power ends, by
// the cut of the charter that ends it. With a record below damaged it hangs on nothing and stands under no cut; when a
// peer has brought the record, it does again, without a restart.
func TestGovernanceAboveADamagedRecordCountsUnderCutsOnceItIsMended(t *testing.T) {
	f := newTeamNode(t, 1, nil)
	g := f.join(2)
	f.charter(team.Change{AddAdmins: []board.UserID{g.who.id.User}}, nil)
	g.pull(f)
	const n = board.HeadEvery + 10 // above the first record whose hash is kept, too
	var done []*team.Object
	for i := range n {
		o, err := team.NewInvite(g.state(), g.who.id, team.Member, board.NodeID(g.who.node.Public()), 1, 0, [16]byte{203, byte(i)}, seed(byte(i), 203))
		if err != nil {
			t.Fatal(err)
		}
		g.object(o)
		done = append(done, o)
	}
	f.pull(g)
	cut, err := f.s.CutUser(f.team, g.who.id.User)
	if err != nil {
		t.Fatal(err)
	}
	f.charter(team.Change{RemoveAdmins: []board.UserID{g.who.id.User}}, map[board.UserID]*weftv1.Cut{g.who.id.User: cut})
	valid := func() (n int) {
		for _, o := range done {
			if v, _ := f.state().Verdict(o.Hash); v.Status == team.Valid {
				n++
			}
		}
		return n
	}
	if got := valid(); got != n {
		t.Fatalf("%d of %d operations count, and all were accepted", got, n)
	}
	l := f.s.memory().teams[f.team].governance.byNode[board.NodeID(g.who.node.Public())][0]
	for _, seq := range []uint64{3, 20} {
		f.spoil(pos{l.num, seq})
	}
	f.reopen()
	if got := valid(); got != 2 {
		t.Fatalf("%d operations count with a damaged record below the third", got)
	}
	rs, err := f.s.GovernanceRecords(context.Background(), f.team)
	if err != nil {
		t.Fatal(err)
	}
	unknown := 0
	for _, r := range rs {
		switch p := r.Position; {
		case p.Hash.IsZero():
			unknown++
		case !f.holds(p):
			t.Errorf("record %d of node %s: not the hash that it has", p.Seq, p.Node)
		}
	}
	if want := board.HeadEvery - 3 - 2; unknown != want { // up to the one whose hash is kept, without another damaged one
		t.Errorf("the hashes of %d records are unknown instead of %d", unknown, want)
	}
	if err := f.s.SetKV(context.Background(), "x", nil); err != nil { // the committer has noted what is damaged
		t.Fatal(err)
	}
	f.repull(g)
	if got := valid(); got != n {
		t.Errorf("%d operations count after a peer has brought what was damaged", got)
	}
	f.reopen()
	if got := valid(); got != n {
		t.Errorf("%d operations count after a start", got)
	}
}

// holds says whether the record that a position names is held, as far as can be told with damaged ones below it.
func (f *fixture) holds(p board.Position) bool {
	is := true
	err := f.s.view(func(m *memory, txn *badger.Txn) (err error) {
		b := m.boards[p.Board]
		b.mu.Lock()
		l := b.logOf(p.Origin())
		st := l.st
		b.mu.Unlock()
		h, _, err := chainHash(txn, l, st, p.Seq)
		if errors.Is(err, errDecode) {
			return nil
		}
		is = h == p.Hash
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return is
}
