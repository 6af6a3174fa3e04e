package p2p

import (
	"crypto/sha256"
	"testing"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

func signed(t testing.TB, k board.Key, label string, m proto.Message) *weftv1.Signed {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	key, sig := k.Public(), k.Sign(label, raw)
	return &weftv1.Signed{Object: raw, Key: key[:], Signature: sig[:]}
}

// movedTo is n's person with other homes: a newer charter that names them, and their acceptances.
func (n *testNode) movedTo(homes ...board.Key) team.Identity {
	n.t.Helper()
	last := n.id.Charters[len(n.id.Charters)-1]
	was := new(weftv1.UserCharter)
	if err := proto.Unmarshal(last.Object, was); err != nil {
		n.t.Fatal(err)
	}
	prev, some := sha256.Sum256(last.Object), nonce()
	c := &weftv1.UserCharter{User: n.id.User[:], Ver: was.Ver + 1, Prev: prev[:], Keys: was.Keys, Profile: was.Profile, Nonce: some[:]}
	id := n.id
	for _, h := range homes {
		key := h.Public()
		c.Homes = append(c.Homes, key[:])
		id.Acceptances = append(id.Acceptances[:len(id.Acceptances):len(id.Acceptances)],
			signed(n.t, h, board.SignHome, &weftv1.HomeAcceptance{User: n.id.User[:], Node: key[:]}))
	}
	id.Charters = append(id.Charters[:len(id.Charters):len(id.Charters)], signed(n.t, n.id.Device, board.SignUserCharter, c))
	return id
}

// presents records who somebody is, at n.
func (n *testNode) presents(t board.TeamID, id team.Identity) {
	n.t.Helper()
	o, err := team.NewPresent(t, id)
	if err == nil {
		_, err = n.store.AppendObject(testContext(n.t), t, o)
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// foundWith makes a team with a policy of n's person's choice.
func (n *testNode) foundWith(name string, p *weftv1.TeamPolicy) board.TeamID {
	n.t.Helper()
	some := nonce()
	s := signed(n.t, n.id.Device, board.SignCharter, &weftv1.TeamCharter{
		Ver: 1, Rules: 1, Owners: [][]byte{n.id.User[:]}, Nonce: some[:], Name: name, Policy: p,
	})
	body, err := proto.Marshal(s)
	if err != nil {
		n.t.Fatal(err)
	}
	o, err := team.ParseObject(board.KindCharter, body)
	if err != nil {
		n.t.Fatal(err)
	}
	id := board.TeamID(o.Hash)
	ctx := testContext(n.t)
	if err := n.store.AdoptTeam(ctx, id, o); err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.store.AppendObject(ctx, id, o); err != nil {
		n.t.Fatal(err)
	}
	n.presents(id, n.id)
	return id
}

// askLink is a link without an invite, to n.
func (n *testNode) askLink(id board.TeamID) *weftv1.InviteLink {
	n.t.Helper()
	l, err := team.NewAskLink(n.team(id), n.id, n.mesh.self, n.mesh.InviteAddrs())
	if err != nil {
		n.t.Fatal(err)
	}
	return l
}
