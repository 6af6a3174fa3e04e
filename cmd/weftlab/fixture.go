package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"time"

	"weft/board"
	"weft/daemon"
	"weft/sim/words"
	"weft/store"
	"weft/team"
)

// textSize is how long the posts of all benches are, in bytes of English text.
const textSize = 200

// fixture is the store of a node with one team.
type fixture struct {
	store *store.Store
	node  board.Key
	id    team.Identity
	team  board.TeamID
	board board.ID // general
}

// unlimited lifts the quotas on posting: a benchmark is far above what one person may write.
var unlimited = store.Quotas{AuthorPerSecond: -1, AuthorBurst: -1, Teams: -1, BoardsPerTeam: -1, TeamEntries: -1}

const quotaNote = "quotas of posting are lifted (50 entries/s an author, bursts of 2,000)"

func seed(what string, n byte) (s [32]byte) {
	copy(s[:], "weftlab "+what)
	s[31] = n
	return s
}

// person is the n-th person that needs no folder, and their node.
func person(n byte) (node board.Key, id team.Identity, err error) {
	node = board.NewKey(seed("node", n))
	id, err = team.NewUser(fmt.Sprintf("person %d", n), board.NewKey(seed("recovery", n)), board.NewKey(seed("device", n)), node, [16]byte{n})
	return node, id, err
}

// emptyFixture opens or makes the store and the keys in dir, which is a folder that a daemon can run in.
func emptyFixture(ctx context.Context, dir, name string, users ...board.UserID) (*fixture, error) {
	node, id, err := daemon.LoadIdentity(dir, name)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, store.Options{Dir: filepath.Join(dir, "store"), Node: node, Users: append(users, id.User), Quotas: unlimited})
	if err != nil {
		return nil, err
	}
	return &fixture{store: s, node: node, id: id}, nil
}

// openFixture is emptyFixture with a team, which its person founds if there is none.
func openFixture(ctx context.Context, dir string, users ...board.UserID) (*fixture, error) {
	f, err := emptyFixture(ctx, dir, "ann", users...)
	if err != nil {
		return nil, err
	}
	const key = "weftlab/team" // a run may have left more teams behind
	if id, err := f.store.GetKV(key); err == nil && len(id) == len(f.team) {
		f.team = board.TeamID(id)
		f.board = board.GeneralID(f.team)
		return f, nil
	}
	if f.team, err = f.found(ctx, "crew"); err == nil {
		err = f.store.SetKV(ctx, key, f.team[:])
	}
	if err != nil {
		f.store.Close()
		return nil, err
	}
	f.board = board.GeneralID(f.team)
	return f, nil
}

// found founds a team of the fixture's person.
func (f *fixture) found(ctx context.Context, name string) (board.TeamID, error) {
	var nonce [16]byte
	rand.Read(nonce[:])
	id, objects, err := team.NewTeam(f.id, name, nil, nonce)
	if err != nil {
		return id, err
	}
	if err := f.store.AdoptTeam(ctx, id, objects[0]); err != nil {
		return id, err
	}
	for _, o := range objects {
		if _, err := f.store.AppendObject(ctx, id, o); err != nil {
			return id, err
		}
	}
	return id, nil
}

func (f *fixture) draft(id, text string) store.Draft {
	return store.Draft{
		Team: f.team, Board: f.board, Author: f.id.User, Device: f.id.Device, Kind: board.KindPost,
		Body: []byte(text), ClientMsgID: id,
	}
}

// post writes one entry and returns when it is on disk.
func (f *fixture) post(ctx context.Context, id, text string) error {
	_, err := f.store.Append(ctx, []store.Draft{f.draft(id, text)})
	return err
}

// fill appends entries to the board until it shows n. Text i is words.Text(1, i).
func (f *fixture) fill(ctx context.Context, n uint64, progress func(done uint64)) error {
	const batch = 1000
	info, ok := f.store.Board(f.board)
	if !ok {
		return fmt.Errorf("couldn't fill the board: it is not there")
	}
	last := time.Now()
	for i := info.Entries; i < n; {
		drafts := make([]store.Draft, 0, batch)
		for ; i < n && len(drafts) < batch; i++ {
			drafts = append(drafts, f.draft(fmt.Sprint("fill-", i), words.Text(1, i, textSize)))
		}
		if _, err := f.store.Append(ctx, drafts); err != nil {
			return err
		}
		if progress != nil && time.Since(last) > 2*time.Second {
			progress(i)
			last = time.Now()
		}
	}
	return nil
}

// texts are made ahead, so that making them is not measured.
func texts() []string {
	out := make([]string, 8192)
	for i := range out {
		out[i] = words.Text(2, uint64(i), textSize)
	}
	return out
}
