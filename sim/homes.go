package sim

import (
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// EnrolWith takes one further person into a team by founder's word, who lives at several nodes, with a device of their own at each:
// the identity that they have there, in the order of homes.
func (w *World) EnrolWith(t board.TeamID, founder *Node, homes ...*Node) (at []team.Identity) {
	w.T.Helper()
	w.settled++
	name := fmt.Sprintf("settled-%d", w.settled)
	first := w.key("device", name)
	id, err := team.NewUser(name, w.key("recovery", name), first, homes[0].key, [16]byte{1})
	if err != nil {
		w.T.Fatal(err)
	}
	was := new(weftv1.UserCharter)
	if err := proto.Unmarshal(id.Charters[0].Object, was); err != nil {
		w.T.Fatal(err)
	}
	prev, nonce := sha256.Sum256(id.Charters[0].Object), w.nonce()
	charter := &weftv1.UserCharter{User: id.User[:], Ver: 2, Prev: prev[:], Keys: was.Keys, Homes: was.Homes, Profile: was.Profile, Nonce: nonce[:]}
	at = append(at, id)
	for i, home := range homes[1:] {
		device := w.key("device", fmt.Sprint(name, "/", i+2))
		id.Device = device
		at = append(at, id)
		key, node := device.Public(), home.Key()
		charter.Keys, charter.Homes = append(charter.Keys, key[:]), append(charter.Homes, node[:])
		id.Acceptances = append(id.Acceptances, w.signed(home.key, board.SignHome, &weftv1.HomeAcceptance{User: id.User[:], Node: node[:]}))
	}
	id.Charters = append(id.Charters, w.signed(first, board.SignUserCharter, charter))
	for i := range at {
		at[i].Charters, at[i].Acceptances = id.Charters, id.Acceptances
	}
	founder.takeIn(t, at[0])
	return at
}

func (w *World) signed(k board.Key, label string, m proto.Message) *weftv1.Signed {
	w.T.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		w.T.Fatal(err)
	}
	key, sig := k.Public(), k.Sign(label, raw)
	return &weftv1.Signed{Object: raw, Key: key[:], Signature: sig[:]}
}
