package team

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// TestTranscripts plays the stories in testdata: commands in, what they mean out. `go test ./team -rewrite` writes the
// answers anew.
//
//	user NAME [homes=(n1,n2)] [accepted=(n1)]   makes a person; nothing is told to the team
//	found NAME [admins=(…)] [rules=N]           founds the team
//	present | board | invite | admit | set | charter … [as=X] [nonce=N] [later]
//	                                            makes an object; it is added unless "later"
//	deliver X… [at=node/epoch/seq]              adds an object (again), with a record that carries it
//	seal node/epoch/seq                         a seal of the node's log on the governance board
//	link NAME of=INVITE, knock WHO link=NAME at=NODE [day=N]   the lobby
//	post WHO [on=BOARD] [cred=X] [device=WHO] [team=elsewhere] what CheckEntry says
//	state | verdict X…
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		s := &story{people: map[string]Identity{}, objects: map[string]*Object{}, links: map[string]*weftv1.InviteLink{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.d = t, d
			out := s.run()
			return strings.TrimSpace(out) + "\n"
		})
	})
}

type story struct {
	t       *testing.T
	d       *datadriven.TestData
	people  map[string]Identity
	objects map[string]*Object
	links   map[string]*weftv1.InviteLink
	team    board.TeamID
	ev      *Evaluator
	n       int
	nodes   []string
}

// arg is the value of key=value, or the fallback.
func (s *story) arg(key, fallback string) string {
	for _, a := range s.d.CmdArgs {
		if a.Key == key && len(a.Vals) > 0 {
			return a.Vals[0]
		}
	}
	return fallback
}

func (s *story) list(key string) []string {
	for _, a := range s.d.CmdArgs {
		if a.Key == key {
			return a.Vals
		}
	}
	return nil
}

// words are the arguments without a value.
func (s *story) words() (out []string) {
	for _, a := range s.d.CmdArgs {
		if len(a.Vals) == 0 && a.Key != "later" {
			out = append(out, a.Key)
		}
	}
	return out
}

func (s *story) number(key string, fallback uint64) (n uint64) {
	n = fallback
	if v := s.arg(key, ""); v != "" {
		if _, err := fmt.Sscan(v, &n); err != nil {
			s.t.Fatal(err)
		}
	}
	return n
}

func (s *story) who(name string) Identity {
	id, ok := s.people[name]
	if !ok {
		s.t.Fatalf("%s: no such person: %q", s.d.Pos, name)
	}
	return id
}

func (s *story) object(name string) *Object {
	o, ok := s.objects[name]
	if !ok {
		s.t.Fatalf("%s: no such object: %q", s.d.Pos, name)
	}
	return o
}

func (s *story) run() string {
	switch s.d.Cmd {
	case "user":
		return s.user()
	case "found":
		return s.found()
	case "deliver":
		return s.deliver()
	case "seal":
		p := s.position(s.words()[0])
		s.ev.AddSeal(p.Node, board.Link{Epoch: p.Epoch, Seq: p.Seq, Hash: p.Hash})
		return "ok"
	case "link":
		return s.link()
	case "knock":
		return s.knock()
	case "post":
		return s.post()
	case "state":
		return s.state()
	case "verdict":
		out := ""
		for _, w := range s.words() {
			v, ok := s.ev.State().Verdict(s.object(w).Hash)
			if !ok {
				out += w + ": not here\n"
				continue
			}
			out += fmt.Sprintf("%s: %s\n", w, v)
		}
		return out
	}
	return s.made(s.make())
}

func (s *story) user() string {
	name := s.words()[0]
	id := person(s.t, name, s.home(name))
	homes, accepted := s.list("homes"), s.list("accepted")
	if homes != nil {
		id = s.household(name, homes, accepted)
	}
	s.people[name] = id
	return "ok"
}

func (s *story) home(name string) string {
	s.nodes = append(s.nodes, "n-"+name)
	return "n-" + name
}

// household is a user with these homes, of whom some have accepted.
func (s *story) household(name string, homes, accepted []string) Identity {
	m := &weftv1.UserCharter{
		Ver: 1, Keys: [][]byte{public(keyOf("recovery of " + name)), public(keyOf("device of " + name))},
		Profile: &weftv1.Profile{Name: name}, Nonce: make([]byte, 16),
	}
	for _, h := range homes {
		s.nodes = append(s.nodes, h)
		m.Homes = append(m.Homes, public(keyOf(h)))
	}
	signed, err := seal(keyOf("recovery of "+name), board.SignUserCharter, m)
	if err != nil {
		s.t.Fatal(err)
	}
	id := Identity{User: board.UserID(hashOf(signed.Object)), Device: keyOf("device of " + name), Charters: []*weftv1.Signed{signed}, Name: name}
	for _, h := range accepted {
		a, err := seal(keyOf(h), board.SignHome, &weftv1.HomeAcceptance{User: id.User[:], Node: public(keyOf(h))})
		if err != nil {
			s.t.Fatal(err)
		}
		id.Acceptances = append(id.Acceptances, a)
	}
	return id
}

func (s *story) found() string {
	id := s.who(s.words()[0])
	m := &weftv1.TeamCharter{Ver: 1, Rules: uint32(s.number("rules", 1)), Owners: [][]byte{id.User[:]}, Nonce: make([]byte, 16), Name: "crew"}
	for _, a := range s.list("admins") {
		u := s.who(a).User
		m.Admins = append(m.Admins, u[:])
	}
	o, err := build(board.KindCharter, id.Device, m)
	if err != nil {
		return err.Error()
	}
	s.team = board.TeamID(o.Hash)
	s.ev = NewEvaluator(s.team)
	s.d.CmdArgs = append(s.d.CmdArgs, datadriven.CmdArg{Key: "as", Vals: []string{s.arg("as", "genesis")}})
	return s.made(o, nil)
}

// made names a new object and adds it.
func (s *story) made(o *Object, err error) string {
	if err != nil {
		return err.Error()
	}
	s.objects[s.arg("as", s.words()[0])] = o
	if s.d.HasArg("later") {
		return "made"
	}
	if _, err := s.ev.Add(o); err != nil {
		return err.Error()
	}
	v, _ := s.ev.State().Verdict(o.Hash)
	return v.String()
}

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
	v := st.CheckEntry(h)
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
