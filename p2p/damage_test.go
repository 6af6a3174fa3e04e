package p2p

import (
	"bytes"
	"crypto/rand"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"weft/board"
	"weft/store"
)

// large appends posts of 60 KB, which stand in the value log.
func (n *testNode) large(id board.TeamID, b board.ID, count int) {
	n.t.Helper()
	for range count / 10 {
		var drafts []store.Draft
		for range 10 {
			body := bytes.Repeat([]byte(rand.Text()), 60_000/26)
			drafts = append(drafts, store.Draft{Team: id, Board: b, Author: n.id.User, Device: n.id.Device, Kind: board.KindPost, Body: body, ClientMsgID: rand.Text()})
		}
		if _, err := n.store.Append(testContext(n.t), drafts); err != nil {
			n.t.Fatal(err)
		}
	}
}

// What a part of the value log took with it comes back from a teammate, whatever happened to the file, and until then
// nobody is told that all is there.
func TestALostValueLogComesBack(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob", func(n *testNode) { n.newest = 500 })
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b)
	for range 3 {
		a.large(id, general, 240)
		a.post(id, general, 500)
	}
	const all = 3 * 740
	eventually(t, "bob has all", func() bool { return b.entries(general) == all && same(id, a, b) }, a, b)
	want, n, err := a.store.Hash(testContext(t), general)
	if err != nil || n != all {
		t.Fatal(n, err)
	}
	rnd := mrand.New(mrand.NewPCG(3, 4))
	for name, damage := range map[string]func(t *testing.T, file string){
		"removed": func(t *testing.T, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		},
		"cut": func(t *testing.T, file string) {
			if err := os.Truncate(file, 1_000_000); err != nil {
				t.Fatal(err)
			}
		},
		"flipped": func(t *testing.T, file string) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for range 60 {
				raw[rnd.IntN(len(raw))] ^= 0x55
			}
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b.stop()
			files, err := filepath.Glob(filepath.Join(b.dir, "*.vlog"))
			if err != nil || len(files) < 2 {
				t.Fatal(files, err)
			}
			damage(t, files[0])
			b.start()
			if name == "flipped" { // that can't be seen but by reading
				if _, err := b.store.Check(testContext(t), nil); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "all is back", func() bool {
				for _, s := range b.mesh.SyncStatus(id) {
					if s.Board == general && s.UpToDate() {
						h, _, err := b.store.Hash(testContext(t), general)
						if err != nil || h != want {
							t.Fatalf("up to date, it says, and yet: %v", err)
						}
						return true
					}
				}
				return false
			}, a, b)
			for _, x := range []string{"offences_total/answer_gap", "offences_total/empty_answer", "refused_total/same_range"} {
				if v := b.counters()[x] + a.counters()[x]; v > 0 {
					t.Errorf("%s: %v", x, v)
				}
			}
		})
	}
}
