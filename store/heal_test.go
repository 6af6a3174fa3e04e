package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weft/board"
	"weft/team"
)

// sync ingests what f lacks of from's team, as far as it can be had now.
func (f *fixture) sync(from *fixture) {
	f.t.Helper()
	ctx := context.Background()
	for _, info := range from.s.Boards(f.team) {
		theirs := from.s.Holding(info.ID)
		for _, n := range theirs.Nodes() {
			for _, leaf := range theirs.Leaves(n) {
				mine := f.s.Holding(info.ID)
				if mine == nil {
					continue
				}
				rows, joined := theirs.Path(n, mine.Have(n), board.Point{Epoch: leaf.Epoch, Seq: leaf.Seq})
				for _, row := range rows {
					for first := row.First; joined && first <= row.Last; {
						r, err := from.s.Run(ctx, info.ID, board.Origin{Node: n, Epoch: row.Epoch}, first, row.Last, 64<<10)
						if err != nil {
							f.t.Fatal(err)
						}
						_, err = f.s.Ingest(ctx, f.team, r, false)
						if errors.Is(err, board.ErrPending) || errors.Is(err, board.ErrUnknownOrigin) || errors.Is(err, board.ErrGap) {
							break
						}
						if err != nil {
							f.t.Fatal(err)
						}
						first = r.LastSeq() + 1
					}
				}
			}
		}
	}
}

// TestPartitionsHealToTheSame: people post, are removed and taken back, nodes are denied and let in again, by an owner and
// an admin who do not hear of each other. Once all have heard of all, every store shows and counts the same.
func TestPartitionsHealToTheSame(t *testing.T) {
	ctx := context.Background()
	base := []*fixture{newTeamNode(t, 1, nil)}
	for n := byte(2); n <= 4; n++ {
		base = append(base, base[0].join(n))
	}
	f := base[0]
	f.charter(team.Change{AddAdmins: []board.UserID{base[1].who.id.User}}, nil)
	for _, x := range base[1:] {
		x.pull(f)
	}
	for _, x := range base {
		x.close()
	}
	voids, removals, denials, floors := 0, 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var all []*fixture
		for _, b := range base {
			x := *b
			x.t, x.dir = t, copyFolder(t, b.dir)
			x.mod = func(o *Options) { o.reviewAtOnce = 7 }
			x.open()
			defer func() { x.s.Close() }()
			all = append(all, &x)
		}
		n := 0
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			x := pick(rt, all)
			switch rapid.IntRange(0, 9).Draw(rt, "op") {
			case 0, 1, 2, 3:
				n++
				x.s.Append(ctx, []Draft{x.draft(fmt.Sprint("post ", n), fmt.Sprint(n))}) // refused if removed
			case 4, 5, 6:
				if y := pick(rt, all); y != x {
					x.sync(y)
				}
			case 7:
				who, target := pick(rt, all[:2]), pick(rt, all[2:])
				role := rapid.SampledFrom([]team.Role{team.Removed, team.Banned, team.Muted, team.Member, team.Member}).Draw(rt, "role")
				n++
				cut, err := who.s.CutUser(f.team, target.who.id.User)
				if err != nil {
					t.Fatal(err)
				}
				if o, err := team.NewSet(who.state(), who.who.id, target.who.id.User, role, cut, "", [16]byte{2, byte(n), byte(n >> 8)}); err == nil {
					who.object(o)
					removals++
				}
			case 8:
				who, target := pick(rt, all[:2]), board.NodeID(pick(rt, all[2:]).who.node.Public())
				_, denied := who.state().Denial(target)
				n++
				cut, err := who.s.CutNode(f.team, target)
				if err != nil {
					t.Fatal(err)
				}
				if o, err := team.NewNode(who.state(), who.who.id, target, denied, cut, [16]byte{3, byte(n), byte(n >> 8)}); err == nil {
					who.object(o)
					denials++
				}
			case 9:
				if rapid.Bool().Draw(rt, "start") {
					x.reopen()
				} else if x.floor(rt) {
					floors++
				}
			}
		}
		exchange := func() {
			for range 3 {
				for _, x := range all {
					for _, y := range all {
						if x != y {
							x.sync(y)
						}
					}
				}
			}
			for _, x := range all {
				x.settle()
			}
		}
		exchange()
		for i, x := range all { // whoever holds what nobody vouches for any more records it again
			if _, denied := x.state().Denial(board.NodeID(x.who.node.Public())); denied {
				continue
			}
			orphans, err := x.s.Orphans(ctx, f.board)
			if err != nil {
				t.Fatal(err)
			}
			for o, seqs := range orphans {
				if err := x.s.ReRecord(ctx, f.team, f.board, o, seqs); err != nil {
					t.Fatalf("%d: %v", i, err)
				}
			}
			exchange()
		}
		for _, x := range all {
			orphans, err := x.s.Orphans(ctx, f.board)
			if err != nil || len(orphans) > 0 {
				rt.Fatalf("left over: %v %v", orphans, err)
			}
		}
		want := all[0].texts()
		wantVoid := all[0].listed(true)
		voids += len(wantVoid) - len(want)
		for i, x := range all[1:] {
			if got := x.texts(); !slices.Equal(got, want) {
				rt.Fatalf("store %d shows %q, the first one %q", i+1, got, want)
			}
			if got := x.listed(true); !slices.Equal(got, wantVoid) {
				rt.Fatalf("store %d lists %q, the first one %q", i+1, got, wantVoid)
			}
			for _, u := range all {
				if err := x.s.AddUser(ctx, u.who.id.User); err != nil {
					t.Fatal(err)
				}
				if err := all[0].s.AddUser(ctx, u.who.id.User); err != nil {
					t.Fatal(err)
				}
				a, err1 := x.s.Unread(u.who.id.User, f.board)
				b, err2 := all[0].s.Unread(u.who.id.User, f.board)
				if a != b || err1 != nil || err2 != nil {
					rt.Fatalf("%d unread of somebody instead of %d", a, b)
				}
			}
		}
	})
	if removals > 50 && (voids == 0 || denials == 0 || floors == 0) {
		t.Errorf("%d void entries, %d removals, %d denials, %d floors", voids, removals, denials, floors)
	}
}

// floor prunes some of f's own log.
func (f *fixture) floor(rt *rapid.T) bool {
	self := board.NodeID(f.who.node.Public())
	sts := f.s.Holding(f.board).Stretches(self)
	if len(sts) == 0 {
		return false
	}
	st := pick(rt, sts)
	last := st.Hi
	if st == sts[len(sts)-1] { // the next epoch has to seal something
		last--
	}
	if last < st.Lo {
		return false
	}
	seq := rapid.Uint64Range(st.Lo, last).Draw(rt, "floor")
	r, err := f.s.RunBack(context.Background(), f.board, board.Origin{Node: self, Epoch: st.Epoch}, seq, 1<<20)
	if err != nil {
		f.t.Fatal(err)
	}
	hs := r.Hashes()
	f.n++
	o, err := team.NewFloor(f.state(), f.who.node, board.Position{Board: f.board, Node: self, Epoch: st.Epoch, Seq: seq, Hash: hs[len(hs)-1]}, nil, [16]byte{9, byte(f.n)})
	if err != nil {
		f.t.Fatal(err)
	}
	f.object(o)
	return true
}

// listed are all texts, with what is void and why.
func (f *fixture) listed(void bool) (out []string) {
	f.t.Helper()
	q := PageQuery{Limit: 1000, After: &board.OrderKey{}, IncludeVoid: void}
	p, err := f.s.Page(context.Background(), f.board, q)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range p.Entries {
		out = append(out, fmt.Sprintf("%s %s", e.Entry.Body, e.Rule))
	}
	return out
}
