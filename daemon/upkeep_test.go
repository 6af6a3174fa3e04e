package daemon

import (
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

func keyOf(name string) board.Key { return board.NewKey(sha256.Sum256([]byte(name))) }

// eventually waits for something that a node does by itself.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// founding is a team that bob founded elsewhere, with this node's user as an admin.
type founding struct {
	t   *testing.T
	d   *Daemon
	bob team.Identity
	id  board.TeamID
}

func found(t *testing.T, d *Daemon) *founding {
	t.Helper()
	bob, err := team.NewUser("bob", keyOf("recovery"), keyOf("device"), keyOf("bob's node"), [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	id, objects, err := team.NewTeam(bob, "crew", []board.UserID{d.id.User.User}, [16]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.store.AdoptTeam(t.Context(), id, objects[0]); err != nil {
		t.Fatal(err)
	}
	f := &founding{t, d, bob, id}
	for _, o := range objects {
		f.record(o)
	}
	present, err := team.NewPresent(id, d.id.User)
	if err != nil {
		t.Fatal(err)
	}
	f.record(present)
	return f
}

func (f *founding) record(o *team.Object) {
	f.t.Helper()
	if _, err := f.d.store.AppendObject(f.t.Context(), f.id, o); err != nil {
		f.t.Fatal(err)
	}
}

func (f *founding) state() *team.State {
	st, _ := f.d.store.Team(f.id)
	return st
}

// charter records a charter of bob's, with or without his agreement.
func (f *founding) charter(ch team.Change, agreed bool) board.Hash {
	f.t.Helper()
	c, err := team.NewCharter(f.state(), f.bob, ch, nil, team.Member, [16]byte{3})
	if err != nil {
		f.t.Fatal(err)
	}
	f.record(c)
	if agreed {
		ack, err := team.NewAck(f.state(), f.bob, c.Hash)
		if err != nil {
			f.t.Fatal(err)
		}
		f.record(ack)
	}
	return c.Hash
}

// acks counts what this node's user has agreed to.
func (f *founding) acks() (n int) {
	for _, e := range f.state().Log() {
		if e.Kind == board.KindAck && e.Author == f.d.id.User.User {
			n++
		}
	}
	return n
}

func TestANodeAgreesByItselfToTheFirstCharterThatCounts(t *testing.T) {
	d := start(t, testConfig(t, "Ada", io.Discard))
	f := found(t, d)
	f.charter(team.Change{Name: "no owner agrees"}, false)
	f.charter(team.Change{Name: "night crew"}, true)
	eventually(t, "the ack", func() bool { return f.acks() == 1 })
	if f.state().Name() != "night crew" || len(f.state().WantsAck(d.id.User)) != 0 {
		t.Errorf("team %q, still wanted: %v", f.state().Name(), f.state().WantsAck(d.id.User))
	}
}

func TestANodeTellsItsTeamOnceOfANodeThatContradictsItself(t *testing.T) {
	d := start(t, testConfig(t, "Ada", io.Discard))
	f := found(t, d)
	bad := keyOf("bob's node")
	at := board.GeneralID(f.id)
	log := func(texts ...string) *board.Run {
		r := &board.Run{Board: at, Origin: board.Origin{Node: bad.Public(), Epoch: board.Epoch{N: 7, R: 7}}, First: 1}
		for i, words := range texts {
			e := board.NewEntry(board.Header{
				Team: f.id, Board: at, Author: f.bob.User, Device: board.DeviceID(f.bob.Device.Public()), DevEpoch: uint64(len(words)), DevSeq: 1,
				Cred: board.Hash(f.id), ClientMsgID: words, HLC: board.HLCAt(time.Now()) + board.HLC(i), Kind: board.KindPost,
			}, []byte(words))
			e.Sign(f.bob.Device)
			r.Items = append(r.Items, board.Item{Entry: e, Received: 5})
		}
		hashes := r.Hashes()
		sig := board.SignHead(bad, board.Position{Board: at, Node: r.Node, Epoch: r.Epoch, Seq: r.LastSeq(), Hash: hashes[len(hashes)-1]})
		r.Items[len(texts)-1].HeadSig = sig[:]
		return r
	}
	if _, err := d.store.Ingest(t.Context(), f.id, log("one thing"), false); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Ingest(t.Context(), f.id, log("another one"), false); !errors.Is(err, board.ErrFork) {
		t.Fatalf("the other content: %v", err)
	}
	eventually(t, "the proof", func() bool { return len(f.state().ForkProofs()) == 1 })
	if f.state().IsNode(bad.Public()) {
		t.Error("the node is still of the team")
	}
	// Let in again, it stays: the same proof is not told a second time.
	allow, err := team.NewNode(f.state(), d.id.User, bad.Public(), true, nil, [16]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	f.record(allow)
	var w forkWatch
	if wait, err := w.look(t.Context(), d); wait != 0 || err != nil || len(w.due) != 0 {
		t.Errorf("told again in %s: %v", wait, err)
	}
	if !f.state().IsNode(bad.Public()) {
		t.Error("the node was let in again, and is out")
	}
}

func TestAnOpenTeamGetsANewInviteWhenTheLastIsUsedUp(t *testing.T) {
	d := start(t, testConfig(t, "Ada", io.Discard))
	f := found(t, d)
	self := d.id.Node.Public()
	f.charter(team.Change{Policy: &team.Policy{Join: weftv1.JoinMode_JOIN_MODE_OPEN, Admitters: []board.NodeID{self}}}, true)
	seed := team.OpenSeed(f.id, self)
	invite, err := team.NewInvite(f.state(), d.id.User, team.Member, self, 1, 0, [16]byte{4}, seed)
	if err != nil {
		t.Fatal(err)
	}
	f.record(invite)
	cyd, err := team.NewUser("cyd", keyOf("cyd's recovery"), keyOf("cyd's device"), keyOf("cyd's node"), [16]byte{5})
	if err != nil {
		t.Fatal(err)
	}
	link, err := team.NewLink(f.state(), d.id.User, invite, seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	knock, err := team.NewKnock(link, 0, cyd)
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.state().CheckKnock(knock, self, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.record(a.Present)
	admit, err := team.NewAdmit(d.id.Node, f.state(), knock, [16]byte{6})
	if err != nil {
		t.Fatal(err)
	}
	f.record(admit)
	eventually(t, "the next invite", func() bool { return len(f.state().Invites()) == 2 })
}

func TestBoundsOfWhatIsKeptAreLookedAtAsOftenAsTheyNeed(t *testing.T) {
	for want, keep := range map[time.Duration]team.Retention{
		time.Hour:        {MaxAge: 90 * 24 * time.Hour},
		10 * time.Second: {MaxAge: time.Minute},
		time.Minute:      {MaxAge: 90 * 24 * time.Hour, MaxEntries: 5},
		45 * time.Second: {MaxAge: 24 * time.Minute, MaxBytes: 5},
	} {
		if got := retainEvery(keep); got != want {
			t.Errorf("%+v is looked at every %s, want %s", keep, got, want)
		}
	}
}
