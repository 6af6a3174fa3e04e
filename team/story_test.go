package team

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/datadriven"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

var rolesByName = map[string]Role{"banned": Banned, "removed": Removed, "reader": Reader, "muted": Muted, "member": Member, "admin": Admin, "owner": Owner}

func (s *story) op(author []byte) *weftv1.Operation {
	s.n++
	nonce := nonceOf(s.arg("nonce", fmt.Sprint(s.n)))
	team := s.team
	if s.d.HasArg("team") {
		team = board.TeamID(seedOf("elsewhere"))
	}
	charter := board.Hash(team)
	if team == s.team {
		charter = s.object(s.arg("under", s.head)).Hash
	}
	return &weftv1.Operation{Team: team[:], Author: author, Charter: charter[:], Nonce: nonce[:]}
}

// over are the objects that one replaces.
func (s *story) over() (out [][]byte) {
	for _, name := range s.list("over") {
		h := s.object(name).Hash
		out = append(out, h[:])
	}
	return out
}

// cut of somebody, as of the mark that the command names.
func (s *story) cut(id [32]byte) *weftv1.Cut {
	if !s.d.HasArg("cut") {
		return nil
	}
	return s.ledger.cut(s.upTo("cut", "now"), s.ledger.of(id))
}

func (s *story) make() (*Object, error) {
	name := s.words()[0]
	switch s.d.Cmd {
	case "admit":
		return s.admit(name)
	case "charter":
		return s.charter(name)
	case "present":
		return s.present(name)
	}
	by := s.who(s.arg("by", "ana"))
	if slices.Contains([]string{"leave", "request"}, s.d.Cmd) {
		by = s.who(name)
	}
	key := by.Device
	if d := s.arg("device", ""); d != "" {
		key = s.key(d)
	}
	if s.d.Cmd == "ack" {
		h := s.object(name).Hash
		return build(board.KindAck, key, &weftv1.Ack{Charter: h[:], User: by.User[:]})
	}
	op := s.op(by.User[:])
	switch s.d.Cmd {
	case "board":
		op.Kind = &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: name, WriteRole: uint32(s.number("write", 0))}}
	case "invite":
		op.Kind = &weftv1.Operation_Invite{Invite: &weftv1.Invite{
			Key: public(keyOf("invite " + name)), Role: weftv1.Role(rolesByName[s.arg("role", "member")]), Admitter: public(keyOf(s.arg("admitter", s.nodes[0]))),
			Quota: uint32(s.number("quota", 1)), ExpiresMs: s.number("expires-day", 0) * 86_400_000,
		}}
	case "uninvite":
		h := s.object(name).Hash
		op.Kind = &weftv1.Operation_Uninvite{Uninvite: &weftv1.Uninvite{Invite: h[:], Cut: s.cut(h)}}
	case "set":
		u := s.who(name).User
		op.Kind = &weftv1.Operation_Set{Set: &weftv1.SetRole{
			User: u[:], Role: weftv1.Role(rolesByName[s.arg("role", "banned")]), Parents: s.over(), Cut: s.cut(u), Recut: s.d.HasArg("recut"), Reason: s.arg("reason", ""),
		}}
	case "leave":
		op.Kind = &weftv1.Operation_Set{Set: &weftv1.SetRole{User: by.User[:], Role: weftv1.Role_ROLE_REMOVED, Parents: s.over(), Cut: s.cut(by.User)}}
	case "node":
		n := nodeOf(name)
		op.Kind = &weftv1.Operation_Node{Node: &weftv1.SetNode{Node: n[:], Allowed: s.arg("to", "denied") == "allowed", Parents: s.over(), Cut: s.cut(n)}}
	case "request":
		op.Kind = &weftv1.Operation_Request{Request: &weftv1.JoinRequest{Note: s.arg("note", "")}}
	case "fork":
		key = keyOf(s.nodes[0])
		op.Author = public(key)
		both := s.list("of")
		op.Kind = &weftv1.Operation_Fork{Fork: proofOf(keyOf(name), s.line(both[0], name), s.line(both[1], name)).Wire()}
	case "floor":
		key = keyOf(s.arg("key", name))
		op.Author = public(key)
		if s.d.HasArg("by") {
			key, op.Author = by.Device, by.User[:]
		}
		x := s.line(s.arg("of", ""), name)
		op.Kind = &weftv1.Operation_Floor{Floor: &weftv1.Floor{Position: wirePosition(x.Record.Position())}}
	default:
		s.t.Fatalf("%s: no such command: %s", s.d.Pos, s.d.Cmd)
	}
	return build(board.KindOperation, key, op)
}

// line is the last record of something in a node's log.
func (s *story) line(item, node string) *line {
	for _, x := range slices.Backward(s.ledger.lines) {
		if x.Node == nodeOf(node) && (x.object != nil && x.object == s.objects[item] || x.entry != nil && x.entry == s.entries[item]) {
			return x
		}
	}
	s.t.Fatalf("%s: %s has no record of %s", s.d.Pos, node, item)
	return nil
}

func (s *story) present(name string) (*Object, error) {
	id := s.who(name)
	p := &weftv1.Present{Charters: id.Charters, Acceptances: id.Acceptances, Parents: s.over()}
	if v := s.list("to"); v != nil {
		p.Charters = nil
		for _, x := range v {
			p.Charters = append(p.Charters, s.versions[x])
		}
	}
	for _, k := range s.list("without") {
		d := s.key(name + "/" + k).Public()
		p.Cuts = append(p.Cuts, &weftv1.DeviceCut{Device: d[:], Cut: s.cut(id.User)})
	}
	op := s.op(id.User[:])
	op.Charter = s.team[:]
	op.Kind = &weftv1.Operation_Present{Present: p}
	return build(board.KindOperation, s.key(s.arg("device", name)), op)
}

func (s *story) charter(name string) (*Object, error) {
	p := s.object(s.arg("after", s.head))
	m := &weftv1.TeamCharter{
		Team: s.team[:], Ver: s.number("ver", p.Charter.Ver+1), Prev: p.Hash[:], Rules: uint32(s.number("rules", 1)), Owners: p.Charter.Owners, Admins: p.Charter.Admins,
		Relays: p.Charter.Relays, Nonce: make([]byte, 16), Name: p.Charter.Name,
	}
	m.Nonce[0] = byte(s.number("nonce", 0))
	people := func(key string, to *[][]byte) {
		if !s.d.HasArg(key) {
			return
		}
		*to = nil
		for _, w := range s.list(key) {
			u := s.who(w).User
			*to = append(*to, u[:])
		}
	}
	people("owners", &m.Owners)
	people("admins", &m.Admins)
	for _, n := range s.list("relays") {
		m.Relays = append(m.Relays, public(keyOf(n)))
	}
	if s.d.HasArg("close") {
		m.Successor = make([]byte, 32)
	}
	for _, u := range slices.Concat(p.Charter.Owners, p.Charter.Admins) {
		if id := board.UserID(u); !holds(m.Owners, id) && !holds(m.Admins, id) && s.arg("cut", "now") != "missing" {
			m.Cuts = append(m.Cuts, &weftv1.PowerCut{User: u, Cut: s.cut(id), KeepAs: weftv1.Role(rolesByName[s.arg("keep", "removed")]), Parents: s.over()})
		}
	}
	o, err := build(board.KindCharter, s.key(s.arg("by", "ana")), m)
	if err == nil && s.d.HasArg("ack") { // in one go
		s.objects[name] = o
		if _, err := s.write(o, s.arg("at", s.nodes[0])); err != nil {
			return nil, err
		}
		for _, w := range s.list("ack") {
			a, err := build(board.KindAck, s.key(w), &weftv1.Ack{Charter: o.Hash[:], User: s.userOf(w)})
			if err != nil {
				return nil, err
			}
			if _, err := s.write(a, s.arg("at", s.nodes[0])); err != nil {
				return nil, err
			}
		}
		s.head = name
	}
	return o, err
}

func (s *story) userOf(key string) []byte {
	name, _, _ := strings.Cut(key, "/")
	u := s.who(name).User
	return u[:]
}

func (s *story) admit(name string) (*Object, error) {
	id := s.who(name)
	link := s.arg("via", "")
	inv := s.object(link)
	node := keyOf(s.arg("by", s.nodes[0]))
	op := s.op(public(node))
	proof := inviteHash(board.TeamID(op.Team), id.User, board.Hash(id.User), board.NodeID(node.Public()))
	sig := keyOf("invite "+s.arg("key", link)).SignHash(board.SignInvite, proof)
	op.Kind = &weftv1.Operation_Admit{Admit: &weftv1.Admit{
		Invite: inv.Hash[:], User: id.User[:], UserCharter: id.User[:], InviteSignature: sig[:],
	}}
	return build(board.KindOperation, node, op)
}

func (s *story) found() string {
	name := s.words()[0]
	id := s.who(name)
	m := &weftv1.TeamCharter{Ver: 1, Rules: uint32(s.number("rules", 1)), Owners: [][]byte{id.User[:]}, Nonce: make([]byte, 16), Name: "crew"}
	for _, a := range s.list("owners") {
		u := s.who(a).User
		m.Owners = append(m.Owners, u[:])
	}
	for _, a := range s.list("admins") {
		u := s.who(a).User
		m.Admins = append(m.Admins, u[:])
	}
	for _, n := range s.list("relays") {
		m.Relays = append(m.Relays, public(keyOf(n)))
		s.nodes = append(s.nodes, n)
	}
	o, err := build(board.KindCharter, id.Device, m)
	if err != nil {
		return err.Error()
	}
	s.team = board.TeamID(o.Hash)
	s.ev, s.ledger = NewEvaluator(s.team), newLedger(s.team)
	s.d.CmdArgs = append(s.d.CmdArgs, datadriven.CmdArg{Key: "as", Vals: []string{s.arg("as", "genesis")}})
	s.head = s.arg("as", "genesis")
	return s.made(o, nil)
}

// write records an object in a node's log and tells the evaluator.
func (s *story) write(o *Object, node string) (changed bool, err error) {
	return s.ledger.write(nodeOf(node), line{object: o}).feed(s.ev)
}

// made names a new object, records and adds it.
func (s *story) made(o *Object, err error) string {
	if err != nil {
		return err.Error()
	}
	name := s.words()[0]
	if slices.Contains([]string{"ack", "uninvite", "set", "leave", "node", "request", "fork", "floor"}, s.d.Cmd) {
		name = s.d.Cmd + "-" + name
	}
	s.objects[s.arg("as", name)] = o
	if s.d.HasArg("later") {
		return "made"
	}
	if s.d.Cmd != "charter" || !s.d.HasArg("ack") {
		if _, err := s.write(o, s.arg("at", s.nodes[0])); err != nil {
			return err.Error()
		}
	}
	v, _ := s.ev.State().Verdict(o.Hash)
	return v.String()
}

// record writes objects or entries into a log, again.
func (s *story) record() string {
	out := ""
	for _, w := range s.words() {
		x := line{object: s.objects[w], entry: s.entries[w]}
		if x.object == nil && x.entry == nil {
			s.t.Fatalf("%s: no such thing: %q", s.d.Pos, w)
		}
		l := s.ledger.write(nodeOf(s.arg("at", s.nodes[0])), x)
		if s.d.HasArg("later") {
			s.late[w] = l
			out += w + ": on its way\n"
			continue
		}
		out += s.arrive(w, l)
	}
	return out
}

// arrive tells the evaluator of a record of something.
func (s *story) arrive(what string, x *line) string {
	if x == nil {
		s.t.Fatalf("%s: not on its way: %q", s.d.Pos, what)
	}
	changed, err := x.feed(s.ev)
	if err != nil {
		return err.Error()
	}
	if x.entry != nil {
		return fmt.Sprintf("%s: %s\n", what, s.judge(what))
	}
	v, _ := s.ev.State().Verdict(x.object.Hash)
	return fmt.Sprintf("%s: %s (changed: %v)\n", what, v, changed)
}

// twin writes something where the last record of a node's log stands.
func (s *story) twin() string {
	n, item := nodeOf(s.arg("at", "")), s.words()[0]
	b := board.GovernanceID(s.team)
	if h := s.entries[item]; h != nil {
		b = h.Board
	}
	name := logName{b, n}
	s.ledger.tips[name] = s.ledger.by[s.ledger.tips[name].Hash].Prev
	return s.record()
}

// judge says what CheckEntry says of a recorded entry.
func (s *story) judge(name string) Verdict {
	h := s.entries[name]
	return s.ev.State().CheckEntry(h, s.ledger.under(entryID(h)))
}

func (s *story) post() string {
	id := s.who(s.words()[0])
	st := s.ev.State()
	s.n++
	h := &board.Header{
		Team: s.team, Author: id.User, Device: board.DeviceID(s.key(s.arg("device", s.words()[0])).Public()), Kind: board.KindPost,
		DevSeq: uint64(s.n), HLC: board.HLC(s.n), ClientMsgID: "m",
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
	if name := s.arg("as", ""); name != "" {
		s.entries[name], s.named = h, append(s.named, name)
		s.ledger.write(nodeOf(s.arg("at", s.nodes[0])), line{entry: h})
		return s.judge(name).String()
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
		if id := board.OperationBoardID(o.Raw); bytes.Equal(h[:16], id[:]) && h != o.Hash {
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
