package team

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// version makes a user charter; keys are names of keys.
func version(t failer, parent *userCharter, signer string, name string, keys ...string) *userCharter {
	t.Helper()
	m := &weftv1.UserCharter{Ver: 1, Profile: &weftv1.Profile{Name: name}, Nonce: make([]byte, 16)}
	if parent != nil {
		m.Ver, m.User, m.Prev = parent.ver+1, parent.user[:], parent.hash[:]
	}
	for _, k := range keys {
		m.Keys = append(m.Keys, public(keyOf(k)))
	}
	s, err := seal(keyOf(signer), board.SignUserCharter, m)
	if err != nil {
		t.Fatal(err)
	}
	var sigs signatures
	u, err := parseUserCharter(s, &sigs)
	if err != nil {
		t.Fatal(err)
	}
	if !sigs.fit() {
		t.Fatal("a signature does not fit")
	}
	return u
}

// chosen is the name in the charter that counts of these.
func chosen(genesis *userCharter, versions ...*userCharter) *identity {
	u := &identity{id: genesis.user}
	u.show(&presentSays{charters: append([]*userCharter{genesis}, versions...)})
	u.choose()
	return u
}

// signs is what a key's signature is worth.
func signs(u *identity, key string) Verdict {
	return u.counts(&signed{key: keyOf(key).Public()}).verdict()
}

func TestSeniorityOfKeys(t *testing.T) {
	g := version(t, nil, "r", "genesis", "r", "laptop", "phone")
	mine := version(t, g, "laptop", "laptop's", "r", "laptop")             // the laptop removes a stolen phone
	stolen := version(t, g, "phone", "thief's", "r", "laptop", "phone")    // the phone renames
	evict := version(t, g, "phone", "evicted", "r", "phone")               // it may not remove a senior
	moved := version(t, g, "phone", "moved", "r", "phone", "laptop")       // nor move before it
	back := version(t, mine, "laptop", "back", "r", "laptop", "phone")     // a removed key never returns
	jump := version(t, stolen, "r", "deep", "r", "laptop", "phone", "new") // the recovery key signs below the thief's
	undo := version(t, g, "r", "undone", "r", "new")                       // the recovery key undoes anything
	far := version(t, g, "laptop", "far", "r", "laptop")
	far.ver = 3 // a version left out
	outsider := version(t, g, "x", "outsider's", "r", "laptop", "phone")
	for _, c := range []struct {
		of   []*userCharter
		want string
	}{
		{nil, "genesis"},
		{[]*userCharter{stolen}, "thief's"},
		{[]*userCharter{stolen, mine}, "laptop's"},
		{[]*userCharter{evict}, "genesis"},
		{[]*userCharter{moved}, "genesis"},
		{[]*userCharter{mine, back}, "laptop's"},
		{[]*userCharter{mine, stolen, jump}, "deep"},
		{[]*userCharter{mine, stolen, undo}, "undone"},
		{[]*userCharter{far}, "genesis"},
		{[]*userCharter{outsider}, "genesis"},
		{[]*userCharter{jump}, "genesis"}, // its parent is not here
	} {
		var names []string
		for _, v := range c.of {
			names = append(names, v.name)
		}
		if got := chosen(g, c.of...).head().name; got != c.want {
			t.Errorf("of %q counts %q, want %q", names, got, c.want)
		}
	}
	u := chosen(g, mine)
	wantStatus(t, "the laptop", signs(u, "laptop"), Valid)
	wantStatus(t, "the recovery key", signs(u, "r"), Valid)
	wantStatus(t, "the removed phone", signs(u, "phone"), Void)
	wantStatus(t, "a key never heard of", signs(u, "new"), Pending)
}

// TestCoSigning: who adds a signature to someone else's charter raises it no further than a charter of the own would be.
func TestCoSigning(t *testing.T) {
	g := version(t, nil, "r", "genesis", "r", "laptop", "phone")
	a := version(t, g, "laptop", "laptop's", "r", "laptop")
	b := version(t, g, "phone", "thief's", "r", "laptop", "phone")
	co := *b
	co.signers = [][32]byte{keyOf("x").Public()}
	if got := chosen(g, a, b, &co).head().name; got != "laptop's" {
		t.Error("an outsider's signature raised a charter:", got)
	}
	co.signers = [][32]byte{keyOf("r").Public()}
	if got := chosen(g, a, b, &co).head().name; got != "thief's" {
		t.Error("the recovery key's signature did not:", got)
	}
	// The phone was removed in a's subtree: it cannot raise what stands there.
	below := version(t, a, "laptop", "below", "r", "laptop")
	signed := *below
	signed.signers = [][32]byte{keyOf("phone").Public()}
	c := version(t, g, "laptop", "another", "r", "laptop", "phone", "tv")
	first := below.name
	if string(c.hash[:]) < string(a.hash[:]) {
		first = c.name
	}
	if got := chosen(g, a, c, below, &signed).head().name; got != first {
		t.Errorf("a tie of seniority: %q counts, want %q by lowest hash", got, first)
	}
}

// TestChainIsAFunctionOfTheSet: whatever charters there are, and in whatever order they came.
func TestChainIsAFunctionOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"r", "a", "b", "c"}
		all := []*userCharter{version(t, nil, "r", "genesis", "r", "a", "b")}
		for i := range rapid.IntRange(1, 12).Draw(t, "n") {
			p := all[rapid.IntRange(0, len(all)-1).Draw(t, "parent")]
			keys := rapid.Permutation(names).Draw(t, "keys")[:rapid.IntRange(1, 4).Draw(t, "of")]
			if rapid.Bool().Draw(t, "sensible") {
				keys = slices.Clone(names[:rapid.IntRange(1, 4).Draw(t, "first")])
			}
			signer := rapid.SampledFrom(names).Draw(t, "signer")
			all = append(all, version(t, p, signer, fmt.Sprint("v", i), keys...))
		}
		want := chosen(all[0], all[1:]...)
		got := chosen(all[0], rapid.Permutation(all[1:]).Draw(t, "order")...)
		if got.head().hash != want.head().hash {
			t.Fatalf("%s counts, or %s", got.head().name, want.head().name)
		}
		if len(got.ever) != len(want.ever) {
			t.Fatal("other keys were ever known")
		}
		if best := plainChain(all[0], all, nil); best[len(best)-1].hash != want.head().hash {
			t.Fatalf("%s counts, by the rules %s", want.head().name, best[len(best)-1].name)
		}
	})
}

// plainChain reads trust §4 literally: one signer each, subtrees searched again for each step.
func plainChain(p *userCharter, all []*userCharter, gone [][32]byte) []*userCharter {
	valid := func(p, c *userCharter, gone [][32]byte) bool {
		i := slices.Index(p.keys, c.signers[0])
		ok := c.prev == p.hash && i >= 0 && len(c.keys) > i && slices.Equal(c.keys[:i+1], p.keys[:i+1])
		for _, k := range c.keys {
			ok = ok && !slices.Contains(gone, k)
		}
		return ok
	}
	lost := func(p, c *userCharter, gone [][32]byte) (out [][32]byte) {
		out = slices.Clone(gone)
		for _, k := range p.keys {
			if !slices.Contains(c.keys, k) {
				out = append(out, k)
			}
		}
		return out
	}
	var signers func(c *userCharter, gone [][32]byte) [][32]byte
	signers = func(c *userCharter, gone [][32]byte) [][32]byte {
		out := [][32]byte{c.signers[0]}
		for _, d := range all {
			if valid(c, d, gone) {
				out = append(out, signers(d, lost(c, d, gone))...)
			}
		}
		return out
	}
	var best *userCharter
	rank := len(p.keys)
	for _, c := range all {
		if !valid(p, c, gone) {
			continue
		}
		for _, s := range signers(c, lost(p, c, gone)) {
			i := slices.Index(p.keys, s)
			if i >= 0 && (i < rank || i == rank && string(c.hash[:]) < string(best.hash[:])) {
				best, rank = c, i
			}
		}
	}
	if best == nil {
		return []*userCharter{p}
	}
	return append([]*userCharter{p}, plainChain(best, all, lost(p, best, gone))...)
}
