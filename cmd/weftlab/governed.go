package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weft/board"
	"weft/sim/words"
	"weft/store"
	"weft/team"
)

// governed is a store with a team whose posts come from a member who has a past: the right that the older half of the
// posts names was taken, with a cut that decides each of them, and given back. Around that stand removals, bans, mended
// cuts, a denied node and charters. A plain one has the same posts by a member who was never anything else.
type governed struct {
	*fixture
	member team.Identity
}

func (b *teamBench) makeTeam(ctx context.Context, dir string, plain bool) (*governed, error) {
	f, err := emptyFixture(ctx, dir, "ann")
	if err != nil {
		return nil, err
	}
	f.store.Close()
	id, err := team.NewUser("member", madeKey("recovery", 1), madeKey("device", 1), f.node, [16]byte{1})
	if err != nil {
		return nil, err
	}
	if f, err = emptyFixture(ctx, dir, "ann", id.User); err != nil {
		return nil, err
	}
	g := &governed{f, id}
	if err := b.govern(ctx, g, plain); err != nil {
		f.store.Close()
		return nil, err
	}
	return g, nil
}

func (b *teamBench) govern(ctx context.Context, g *governed, plain bool) (err error) {
	if g.team, err = g.found(ctx, "crew"); err != nil {
		return err
	}
	g.board = board.GeneralID(g.team)
	p, err := team.NewPresent(g.team, g.member)
	if err = g.append(ctx, p, err); err != nil {
		return err
	}
	if err := g.set(ctx, g.member.User, team.Member); err != nil {
		return err
	}
	if !plain {
		if err := g.troubles(ctx); err != nil {
			return err
		}
	}
	if err := g.write(ctx, 0, b.entries/2); err != nil {
		return err
	}
	if !plain {
		for _, r := range []team.Role{team.Removed, team.Member} {
			if err := g.set(ctx, g.member.User, r); err != nil {
				return err
			}
		}
	}
	return g.write(ctx, b.entries/2, b.entries)
}

func (g *governed) state() *team.State {
	st, _ := g.store.Team(g.team)
	return st
}

// append takes what a builder returns.
func (g *governed) append(ctx context.Context, o *team.Object, err error) error {
	if err != nil {
		return err
	}
	_, err = g.store.AppendObject(ctx, g.team, o)
	return err
}

func freshNonce() (n [16]byte) {
	rand.Read(n[:])
	return n
}

func (g *governed) set(ctx context.Context, u board.UserID, r team.Role) error {
	cut, err := g.store.CutUser(g.team, u)
	if err != nil {
		return err
	}
	o, err := team.NewSet(g.state(), g.id, u, r, cut, "as agreed", freshNonce())
	return g.append(ctx, o, err)
}

// troubles of a team that has seen some: 200 people, half of them removed, banned or muted, some of that mended.
func (g *governed) troubles(ctx context.Context) error {
	var admins []board.UserID
	for i := 2; i < 202; i++ {
		_, id, err := someone(i)
		if err != nil {
			return err
		}
		p, err := team.NewPresent(g.team, id)
		if err = g.append(ctx, p, err); err != nil {
			return err
		}
		roles := [][]team.Role{{team.Member}, {team.Member, team.Removed}, {team.Member, team.Muted, team.Member}, {team.Member, team.Banned}}[i%4]
		for _, r := range roles {
			if err := g.set(ctx, id.User, r); err != nil {
				return err
			}
		}
		if i%8 == 1 {
			cut, err := g.store.CutUser(g.team, id.User)
			if err != nil {
				return err
			}
			o, err := team.NewRecut(g.state(), g.id, id.User, cut, "too low", freshNonce())
			if err = g.append(ctx, o, err); err != nil {
				return err
			}
		}
		if i%40 == 0 {
			admins = append(admins, id.User)
		}
	}
	for _, u := range admins {
		c, err := team.NewCharter(g.state(), g.id, team.Change{AddAdmins: []board.UserID{u}}, nil, team.Removed, freshNonce())
		if err = g.append(ctx, c, err); err != nil {
			return err
		}
		a, err := team.NewAck(g.state(), g.id, c.Hash)
		if err = g.append(ctx, a, err); err != nil {
			return err
		}
	}
	bad := board.NodeID(madeKey("home", 2).Public())
	cut, err := g.store.CutNode(g.team, bad)
	if err != nil {
		return err
	}
	o, err := team.NewNode(g.state(), g.id, bad, false, cut, freshNonce())
	return g.append(ctx, o, err)
}

func (g *governed) memberDraft(id, text string) store.Draft {
	d := g.draft(id, text)
	d.Author, d.Device = g.member.User, g.member.Device
	return d
}

func (g *governed) post(ctx context.Context, id, text string) error {
	_, err := g.store.Append(ctx, []store.Draft{g.memberDraft(id, text)})
	return err
}

func (g *governed) write(ctx context.Context, from, to int) error {
	for from < to {
		var drafts []store.Draft
		for ; from < to && len(drafts) < 1000; from++ {
			drafts = append(drafts, g.memberDraft(fmt.Sprint("fill-", from), words.Text(1, uint64(from), textSize)))
		}
		if _, err := g.store.Append(ctx, drafts); err != nil {
			return err
		}
	}
	return nil
}

// rates of appending and taking in, in a team with a past and in a plain one, by turns.
func (b *teamBench) rates(ctx context.Context, l *lab) error {
	dir, err := l.tempDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	names := []string{"plain", "governed"}
	texts := texts()
	taken, posted := map[string][]float64{}, map[string][]float64{}
	teams := map[string]*governed{}
	for _, name := range names {
		g, err := b.makeTeam(ctx, filepath.Join(dir, name), name == "plain")
		if err != nil {
			return err
		}
		defer g.store.Close()
		teams[name] = g
		if info, _ := g.store.Board(g.board); info.Entries != uint64(b.entries) {
			return fmt.Errorf("couldn't make the team: %d of %d entries are shown", info.Entries, b.entries)
		}
	}
	for turn, name := range []string{"plain", "governed", "governed", "plain", "plain", "governed"} {
		rate, err := teams[name].takeIn(ctx, filepath.Join(dir, fmt.Sprint("into-", turn)), b.entries)
		if err != nil {
			return err
		}
		taken[name] = append(taken[name], rate)
	}
	for _, name := range []string{"plain", "governed", "governed", "plain", "plain", "governed"} {
		r, err := flatOut(ctx, 32, time.Duration(b.seconds)*time.Second, texts, teams[name].post)
		if err != nil {
			return err
		}
		posted[name] = append(posted[name], r.rate())
	}
	for _, x := range []struct {
		what  string
		rates map[string][]float64
	}{{"taking in", taken}, {"posting", posted}} {
		for _, name := range names {
			l.out.add(x.what+", "+name+" team", median(x.rates[name]), "entries/s", bar{})
		}
		l.out.add(x.what+": governed / plain", median(x.rates["governed"])/median(x.rates["plain"]), "", atLeast(0.9))
	}
	return nil
}

// takeIn copies governance and then the board into a store that has nothing, every signature checked, and says how fast
// the board came.
func (g *governed) takeIn(ctx context.Context, dir string, entries int) (perSecond float64, err error) {
	to, err := emptyFixture(ctx, dir, "bob")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	defer to.store.Close()
	if err := to.store.AdoptTeam(ctx, g.team, g.state().Genesis()); err != nil {
		return 0, err
	}
	if err := g.pour(ctx, to, board.GovernanceID(g.team)); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := g.pour(ctx, to, g.board); err != nil {
		return 0, err
	}
	took := time.Since(start)
	if info, _ := to.store.Board(g.board); info.Entries < uint64(entries) {
		return 0, fmt.Errorf("couldn't take in: %d of %d entries are shown", info.Entries, entries)
	}
	return float64(entries) / took.Seconds(), nil
}

// pour copies a board in runs as they travel.
func (g *governed) pour(ctx context.Context, to *fixture, b board.ID) error {
	for _, leaf := range g.store.Vector(b) {
		for first := uint64(1); first <= leaf.Seq; {
			r, err := g.store.Run(ctx, b, board.Origin{Node: leaf.Node, Epoch: leaf.Epoch}, first, leaf.Seq, 256<<10)
			if err != nil {
				return err
			}
			if _, err := to.store.Ingest(ctx, g.team, r, false); err != nil {
				return err
			}
			first = r.LastSeq() + 1
		}
	}
	return nil
}
