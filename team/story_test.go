package team

import (
	"fmt"
	"strings"
	"time"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

func (s *story) op(author []byte) *weftv1.Operation {
	s.n++
	nonce := nonceOf(s.arg("nonce", fmt.Sprint(s.n)))
	team := s.team
	if s.d.HasArg("team") {
		team = board.TeamID(seedOf("elsewhere"))
	}
	charter := board.Hash(team)
	if c := s.arg("charter", ""); c != "" {
		charter = s.object(c).Hash
	}
	return &weftv1.Operation{Team: team[:], Author: author, Charter: charter[:], Nonce: nonce[:]}
}

func (s *story) make() (*Object, error) {
	name := s.words()[0]
	if s.d.Cmd == "present" {
		return NewPresent(s.team, s.who(name))
	}
	if s.d.Cmd == "admit" {
		return s.admit(name)
	}
	by := s.who(s.arg("by", "ana"))
	key := by.Device
	if d := s.arg("device", ""); d != "" {
		key = s.who(d).Device
	}
	op := s.op(by.User[:])
	switch s.d.Cmd {
	case "board":
		op.Kind = &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: name, WriteRole: uint32(s.number("write", 0))}}
	case "invite":
		role := weftv1.Role_ROLE_MEMBER
		if s.arg("role", "") == "reader" {
			role = weftv1.Role_ROLE_READER
		}
		op.Kind = &weftv1.Operation_Invite{Invite: &weftv1.Invite{
			Key: public(keyOf("invite " + name)), Role: role, Admitter: public(keyOf(s.arg("admitter", "n-ana"))),
			Quota: uint32(s.number("quota", 1)), ExpiresMs: s.number("expires-day", 0) * 86_400_000,
		}}
	case "set":
		u := s.who(name).User
		op.Kind = &weftv1.Operation_Set{Set: &weftv1.SetRole{User: u[:], Role: weftv1.Role(s.number("role", 0))}}
	case "charter":
		return build(board.KindCharter, key, &weftv1.TeamCharter{
			Team: s.team[:], Ver: 2, Prev: s.team[:], Rules: uint32(s.number("rules", 1)), Owners: [][]byte{by.User[:]}, Nonce: make([]byte, 16), Name: "crew",
		})
	default:
		s.t.Fatalf("%s: no such command: %s", s.d.Pos, s.d.Cmd)
	}
	return build(board.KindOperation, key, op)
}

func (s *story) admit(name string) (*Object, error) {
	id := s.who(name)
	link := s.arg("via", "")
	inv := s.object(link)
	node := keyOf(s.arg("by", "n-ana"))
	op := s.op(public(node))
	proof := inviteHash(board.TeamID(op.Team), id.User, board.Hash(id.User), board.NodeID(node.Public()))
	sig := keyOf("invite "+s.arg("key", link)).SignHash(board.SignInvite, proof)
	op.Kind = &weftv1.Operation_Admit{Admit: &weftv1.Admit{
		Invite: inv.Hash[:], User: id.User[:], UserCharter: id.User[:], InviteSignature: sig[:],
	}}
	return build(board.KindOperation, node, op)
}

// position reads node/epoch/seq.
func (s *story) position(text string) board.Position {
	part := strings.Split(text, "/")
	p := board.Position{Board: board.GovernanceID(s.team), Node: nodeOf(part[0]), Epoch: board.Epoch{R: 7}}
	if _, err := fmt.Sscan(part[1]+" "+part[2], &p.Epoch.N, &p.Seq); err != nil {
		s.t.Fatal(err)
	}
	p.Hash = board.Hash(seedOf(text))
	return p
}

func (s *story) deliver() string {
	out := ""
	for _, w := range s.words() {
		o := *s.object(w)
		if at := s.arg("at", ""); at != "" {
			o.Records = []board.Position{s.position(at)}
		}
		changed, err := s.ev.Add(&o)
		if err != nil {
			return err.Error()
		}
		v, _ := s.ev.State().Verdict(o.Hash)
		out += fmt.Sprintf("%s: %s (changed: %v)\n", w, v, changed)
	}
	return out
}

func (s *story) link() string {
	inv := s.object(s.arg("of", ""))
	l, err := NewLink(s.ev.State(), s.who("ana"), inv, seedOf("invite "+s.arg("of", "")), []string{"/ip4/192.0.2.1/tcp/4001"})
	if err != nil {
		return err.Error()
	}
	s.links[s.words()[0]] = l
	return "ok"
}

func (s *story) knock() string {
	id := s.who(s.words()[0])
	link, at := s.links[s.arg("link", "")], keyOf(s.arg("at", "n-ana"))
	k, err := NewKnock(link, 0, id)
	if err != nil {
		return err.Error()
	}
	a, err := s.ev.State().CheckKnock(k, board.NodeID(at.Public()), time.UnixMilli(int64(s.number("day", 1))*86_400_000))
	if err != nil {
		return err.Error()
	}
	if a.Already {
		return fmt.Sprintf("already %s by %s", a.Role, s.nameOf(a.Cred))
	}
	s.n++
	o, err := NewAdmit(at, s.ev.State(), k, nonceOf(fmt.Sprint(s.n)))
	if err != nil {
		return err.Error()
	}
	if a.Present != nil {
		if _, err := s.ev.Add(a.Present); err != nil {
			return err.Error()
		}
	}
	if _, err := s.ev.Add(o); err != nil {
		return err.Error()
	}
	if as := s.arg("as", ""); as != "" {
		s.objects[as] = o
	}
	return "admitted as " + s.ev.State().Role(id.User).String()
}

func (s *story) post() string {
	id := s.who(s.words()[0])
	st := s.ev.State()
	h := &board.Header{Team: s.team, Author: id.User, Device: board.DeviceID(id.Device.Public()), Kind: board.KindPost}
	if d := s.arg("device", ""); d != "" {
		h.Device = board.DeviceID(s.who(d).Device.Public())
	}
	if s.d.HasArg("team") {
		h.Team = board.TeamID(seedOf("elsewhere"))
	}
	h.Board = board.GeneralID(s.team)
	if b := s.arg("on", ""); b != "" {
		h.Board = board.OperationBoardID(s.object(b).Raw)
	}
	h.Cred, _ = st.Cred(id.User)
	if c := s.arg("cred", ""); c != "" {
		h.Cred = s.object(c).Hash
	}
	v := st.CheckEntry(h, nil)
	out := v.String()
	if !v.Missing.IsZero() {
		out += "\nmissing: " + s.nameOf(v.Missing)
	}
	return out
}

// nameOf says in words what a hash is.
func (s *story) nameOf(h board.Hash) string {
	best := ""
	for name, o := range s.objects {
		if o.Hash == h && (best == "" || name < best) {
			best = name
		}
		if id := board.OperationBoardID(o.Raw); string(h[:16]) == string(id[:]) && h != o.Hash {
			best = "board " + name
		}
	}
	for name, id := range s.people {
		if board.Hash(id.User) == h {
			best = name
		}
	}
	if best == "" {
		return "something unknown"
	}
	return best
}

func (s *story) state() string {
	st := s.ev.State()
	var b strings.Builder
	if !st.Known() {
		return "not known"
	}
	fmt.Fprintf(&b, "team %s, rules %d", st.Name(), st.Rules())
	if st.UpgradeNeeded() {
		b.WriteString(", upgrade needed")
	}
	b.WriteString("\n")
	for _, p := range st.Members() {
		fmt.Fprintf(&b, "%s: %s by %s, %d homes, %d devices\n", s.nameOf(board.Hash(p.User)), p.Role, s.nameOf(p.Cred), len(p.Homes), len(p.Devices))
	}
	for _, bd := range st.Boards() {
		fmt.Fprintf(&b, "board %s, written by %ss\n", bd.Name, bd.WriteRole)
	}
	for _, i := range st.Invites() {
		fmt.Fprintf(&b, "invite %s: %s, %d of %d used\n", s.nameOf(i.Op), i.Role, i.Used, i.Quota)
	}
	seen := map[string]bool{}
	for _, n := range s.nodes {
		if st.IsNode(nodeOf(n)) && !seen[n] {
			seen[n] = true
			fmt.Fprintf(&b, "node %s\n", n)
		}
	}
	return b.String()
}
