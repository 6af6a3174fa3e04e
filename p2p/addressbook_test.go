package p2p

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weft/board"
)

// TestTeamsAreFoundAgainAfterTheStoreLostEverything removes every table of a stopped node. The witness names its teams; the
// address book says where the teammates are.
func TestTeamsAreFoundAgainAfterTheStoreLostEverything(t *testing.T) {
	a := newNode(t, "ada")
	b := newNode(t, "ben", func(n *testNode) { n.book = filepath.Join(t.TempDir(), "peers.json") })
	id := a.found("crew")
	a.letIn(id, b)
	general := boardsOf(a, id)[0]
	a.post(id, general, 20)
	b.post(id, general, 20)
	eventually(t, "both hold everything", func() bool { return same(id, a, b) && a.entries(general) == 40 }, a, b)
	ports := b.mesh.Addrs()
	eventually(t, "the book names the team's other node", func() bool { return slices.Contains(b.mesh.book.nodes(id), a.mesh.self) }, b)
	b.stop()
	tables, err := filepath.Glob(filepath.Join(b.dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no tables", err)
	}
	for _, name := range tables {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	b.start()
	if b.team(id).Known() {
		t.Fatal("nothing was lost")
	}
	eventually(t, "ben is back in the team", func() bool {
		return b.team(id).IsNode(b.mesh.self) && b.entries(general) == 40 && same(id, a, b)
	}, a, b)
	if got := b.mesh.Addrs(); !slices.Equal(got, ports) {
		t.Errorf("listens on %v, was %v", got, ports)
	}
	b.post(id, general, 1)
	eventually(t, "ben is heard", func() bool { return a.entries(general) == 41 }, a, b)
}

// TestADamagedAddressBookIsNoReasonToStop starts with files that can't be read or name nonsense.
func TestADamagedAddressBookIsNoReasonToStop(t *testing.T) {
	for _, content := range []string{"", "{", `{"teams":{"x":["y"]},"settings":{"port":"AA==","other":"AA=="}}`, "null"} {
		path := filepath.Join(t.TempDir(), "peers.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		n := newNode(t, "ada", func(n *testNode) { n.book = path })
		if got := n.mesh.book.nodes(board.TeamID{}); len(got) > 0 {
			t.Errorf("%q: %v", content, got)
		}
		if _, ok := n.mesh.kv.get("other"); ok {
			t.Errorf("%q: took a setting that isn't an address", content)
		}
		n.found("crew")
		n.stop()
	}
}
