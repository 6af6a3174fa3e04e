package trust

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// The stories in testdata: commands in, what they mean out, as both evaluations say. `go test ./sim/trust -rewrite`
// writes the answers anew. A line is [NAME =] VERB words… key=value…; at= is the node that records it; what a node
// accepted of somebody is cut=NODE, all that it says of a cut. The verbs are the methods called in run.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.out = t, &strings.Builder{}
			for line := range strings.Lines(d.Input) {
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					s.parse(line)
					s.run()
				}
			}
			return s.out.String()
		})
	})
}

type script struct {
	t   *testing.T
	out *strings.Builder
	w   *world

	objects  map[string]*team.Object
	entries  map[string]*board.Entry
	records  map[string]*Held
	versions map[string]*version

	line, name, verb string
	words            []string
	values           map[string]string
}

func (s *script) parse(line string) {
	s.line, s.name, s.values, s.words = line, "", map[string]string{}, nil
	fields := strings.Fields(line)
	if len(fields) > 2 && fields[1] == "=" {
		s.name, fields = fields[0], fields[2:]
	}
	s.verb = fields[0]
	for _, f := range fields[1:] {
		if k, v, ok := strings.Cut(f, "="); ok {
			s.values[k] = v
		} else {
			s.words = append(s.words, f)
		}
	}
}

func (s *script) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s: %s", s.line, fmt.Sprintf(format, args...))
}

func (s *script) word(i int) string {
	if i >= len(s.words) {
		s.fail("too few words")
	}
	return s.words[i]
}

func (s *script) value(k, otherwise string) string {
	if v, ok := s.values[k]; ok {
		return v
	}
	return otherwise
}

func (s *script) list(k string) []string {
	return strings.FieldsFunc(s.values[k], func(r rune) bool { return r == ',' })
}

func (s *script) has(word string) bool { return slices.Contains(s.words, word) }

func (s *script) node(name string) *replica {
	for _, r := range s.w.replicas {
		if r.name == name {
			return r
		}
	}
	s.fail("no node %s", name)
	return nil
}

// at is the node at which this happens: the first one unless the line says another.
func (s *script) at() *replica { return s.node(s.value("at", s.w.replicas[0].name)) }

func (s *script) person(name string) *actor {
	for _, a := range s.w.people {
		if a.name == name {
			return a
		}
	}
	s.fail("no person %s", name)
	return nil
}

// hand is the key with= names, as in u/2; else the first device.
func (s *script) hand(a *actor) board.Key {
	k := keyOf(s.value("with", a.name+"/1"))
	a.keys[k.Public()] = k
	return k
}

func (s *script) object(name string) *team.Object {
	if s.objects[name] == nil {
		s.fail("no object %s", name)
	}
	return s.objects[name]
}

// hash of anything with a name; a name that nothing has stands for a hash that nobody holds.
func (s *script) hash(name string) board.Hash {
	switch {
	case s.objects[name] != nil:
		return s.objects[name].Hash
	case s.entries[name] != nil:
		return s.entries[name].ID
	case name == "":
		return board.Hash{}
	}
	return hashOf([]byte(name))
}

func (s *script) hashes(k string) (out [][]byte) {
	for _, n := range s.list(k) {
		h := s.hash(n)
		out = append(out, h[:])
	}
	return out
}

// cut is what the node that cut= names accepted of somebody; cut=none: nothing.
func (s *script) cut(otherwise string, of func(*replica) *weftv1.Cut) *weftv1.Cut {
	n := s.value("cut", otherwise)
	if n == "none" {
		return nil
	}
	return of(s.node(n))
}

// add records an object, unless it is kept.
func (s *script) add(o *team.Object) {
	if o == nil {
		fmt.Fprintf(s.out, "%s: no object\n", s.name)
		return
	}
	if s.name != "" {
		s.objects[s.name] = o
		s.w.names[o.Hash] = s.name
	}
	if !s.has("kept") {
		s.records[s.name] = s.w.put(s.at(), o)
	}
}

// operate signs an operation and adds it.
func (s *script) operate(author []byte, k board.Key, o *weftv1.Operation) {
	if s.value("team", "") == "other" {
		o.Team = make([]byte, 32)
	}
	s.add(s.w.operation(author, s.hash(s.value("under", "genesis")), k, o))
}

func (s *script) run() {
	verbs := map[string]func(){"new": s.new, "set": s.set, "leave": s.leave, "node": s.allow, "board": s.board, "invite": s.invite, "uninvite": s.uninvite,
		"admit": s.admit, "charter": s.charter, "ack": s.ack, "identity": s.identity, "present": s.present, "request": s.request, "post": s.post,
		"double": s.double, "proof": s.proof, "restart": func() { s.w.restart(s.node(s.word(0))) }, "backup": s.backup, "restore": s.restore, "clone": s.clone,
		"sync": s.sync, "again": s.again, "rerecord": s.rerecord, "tip": s.tip, "show": s.show, "roles": s.roles, "nodes": s.nodes, "chain": s.chain,
		"devices": s.devices, "counting": s.counting, "floor": s.floor}
	do := verbs[s.verb]
	if do == nil {
		s.fail("no such verb")
	}
	do()
}

// new team: owners= admins= people= nodes= homes=u:n2,… absent=u (not presented) relays= rules=
func (s *script) new() {
	*s = script{t: s.t, out: s.out, objects: map[string]*team.Object{}, entries: map[string]*board.Entry{}, records: map[string]*Held{}, versions: map[string]*version{},
		line: s.line, words: s.words, values: s.values}
	s.w = &world{rnd: rand.New(rand.NewPCG(1, 1)), groups: map[*replica]int{}, place: map[board.Hash]string{}, names: map[board.Hash]string{}, carried: map[board.Hash]*team.Object{}}
	w := s.w
	for _, n := range strings.Split(s.value("nodes", "n1"), ",") {
		w.newReplica(n, keyOf("node "+n))
	}
	homes := map[string]string{}
	for _, h := range s.list("homes") {
		who, where, _ := strings.Cut(h, ":")
		homes[who] = where
	}
	ids := map[string][]byte{}
	for _, n := range slices.Concat(s.list("owners"), s.list("admins"), s.list("people")) {
		home := w.replicas[0]
		if homes[n] != "" {
			home = s.node(homes[n])
		}
		a := newActor(n, home)
		w.people, ids[n], s.versions[n+"1"] = append(w.people, a), a.id[:], a.newest
	}
	c := &weftv1.TeamCharter{Ver: 1, Rules: 1, Name: "team", Policy: &weftv1.TeamPolicy{}, Nonce: make([]byte, 16)}
	fmt.Sscan(s.value("rules", "1"), &c.Rules)
	for _, n := range s.list("owners") {
		c.Owners = append(c.Owners, ids[n])
	}
	for _, n := range s.list("admins") {
		c.Admins = append(c.Admins, ids[n])
	}
	for _, n := range s.list("relays") {
		c.Relays = append(c.Relays, s.node(n).node[:])
	}
	w.founding = sign(board.KindCharter, board.SignCharter, encode(c), w.people[0].keys[key(w.people[0].newest.Keys[1])])
	w.team = board.TeamID(w.founding.Hash)
	s.name = "genesis"
	s.add(w.founding)
	for _, a := range w.people {
		if slices.Contains(s.list("absent"), a.name) {
			continue
		}
		s.parse(fmt.Sprintf("present-%s = present %s %s1", a.name, a.name, a.name))
		s.present()
	}
	for _, r := range w.replicas {
		w.sync(w.replicas[0], r, nil)
	}
}

var roleNames = map[string]team.Role{"banned": team.Banned, "removed": team.Removed, "reader": team.Reader, "muted": team.Muted, "member": team.Member, "admin": team.Admin, "owner": team.Owner}

// set BY TARGET ROLE [over=…] [cut=NODE|none] [recut] [under=CHARTER] [with=DEVICE] [team=other] [kept]
func (s *script) set() {
	a, target, role := s.person(s.word(0)), s.person(s.word(1)), roleNames[s.word(2)]
	otherwise := "none"
	if role < team.Member {
		otherwise = s.at().name
	}
	m := &weftv1.SetRole{User: target.id[:], Role: weftv1.Role(role), Parents: s.hashes("over"), Recut: s.has("recut"),
		Cut: s.cut(otherwise, func(r *replica) *weftv1.Cut { return r.cutUser(target.id[:]) })}
	s.operate(a.id[:], s.hand(a), &weftv1.Operation{Kind: &weftv1.Operation_Set{Set: m}})
}

// leave WHO [over=…] [recut] [cut=…]
func (s *script) leave() {
	s.words = append([]string{s.word(0), s.word(0), "removed"}, s.words[1:]...)
	s.set()
}

// node BY NODE allowed|denied [over=…] [cut=…]
func (s *script) allow() {
	a, n := s.person(s.word(0)), s.node(s.word(1)).node
	m := &weftv1.SetNode{Node: n[:], Allowed: s.word(2) == "allowed", Parents: s.hashes("over")}
	if !m.Allowed {
		m.Cut = s.cut(s.at().name, func(r *replica) *weftv1.Cut { return r.cutNode(n[:]) })
	}
	s.operate(a.id[:], s.hand(a), &weftv1.Operation{Kind: &weftv1.Operation_Node{Node: m}})
}

// board BY [write=ROLE]
func (s *script) board() {
	a := s.person(s.word(0))
	s.operate(a.id[:], s.hand(a), &weftv1.Operation{Kind: &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: "b", WriteRole: uint32(roleNames[s.value("write", "member")])}}})
}

// invite BY admitter=NODE [quota=N] [role=reader]
func (s *script) invite() {
	a, n := s.person(s.word(0)), s.node(s.value("admitter", s.at().name)).node
	i := &weftv1.Invite{Key: bytesOf(keyOf("invite")), Role: weftv1.Role(roleNames[s.value("role", "member")]), Admitter: n[:], Quota: 1}
	fmt.Sscan(s.value("quota", "1"), &i.Quota)
	s.operate(a.id[:], s.hand(a), &weftv1.Operation{Kind: &weftv1.Operation_Invite{Invite: i}})
}

// uninvite BY INVITE [cut=…]
func (s *script) uninvite() {
	a, i := s.person(s.word(0)), s.object(s.word(1))
	cut := s.cut(s.at().name, func(r *replica) *weftv1.Cut { return r.cutNode(i.Op.GetInvite().Admitter) })
	s.operate(a.id[:], s.hand(a), &weftv1.Operation{Kind: &weftv1.Operation_Uninvite{Uninvite: &weftv1.Uninvite{Invite: i.Hash[:], Cut: cut}}})
}

// admit INVITE WHO [by=NODE] [proof=bad]
func (s *script) admit() {
	invite, u := s.hash(s.word(0)), s.person(s.word(1))
	by := s.node(s.value("by", s.at().name))
	proof := hashOf(slices.Concat(s.w.team[:], u.id[:], u.id[:], by.node[:]))
	sig := keyOf("invite"+s.value("proof", "")).SignHash(board.SignInvite, proof)
	m := &weftv1.Admit{Invite: invite[:], User: u.id[:], UserCharter: u.id[:], InviteSignature: sig[:]}
	s.operate(by.node[:], by.key, &weftv1.Operation{Kind: &weftv1.Operation_Admit{Admit: m}})
}

func (s *script) request() {
	a := s.person(s.word(0))
	s.operate(a.id[:], s.hand(a), &weftv1.Operation{Kind: &weftv1.Operation_Request{Request: &weftv1.JoinRequest{Note: "please"}}})
}

// charter after=CHARTER owners=… admins=… [keep=ROLE] [over=…] [cut=NODE|none] [cuts=none] [ver=N] [rules=N] [grind]
func (s *script) charter() {
	p := s.object(s.value("after", "genesis"))
	c := &weftv1.TeamCharter{Team: s.w.team[:], Ver: p.Charter.Ver + 1, Prev: p.Hash[:], Rules: 1, Name: "team", Policy: &weftv1.TeamPolicy{}}
	fmt.Sscan(s.value("ver", fmt.Sprint(c.Ver)), &c.Ver)
	fmt.Sscan(s.value("rules", "1"), &c.Rules)
	for _, n := range s.list("owners") {
		c.Owners = append(c.Owners, s.person(n).id[:])
	}
	for _, n := range s.list("admins") {
		c.Admins = append(c.Admins, s.person(n).id[:])
	}
	now := &charter{c, board.Hash{}}
	for _, u := range (&charter{p.Charter, p.Hash}).powers() {
		if !now.power(u) && s.value("cuts", "") != "none" {
			cut := s.cut(s.at().name, func(r *replica) *weftv1.Cut { return r.cutUser(u[:]) })
			c.Cuts = append(c.Cuts, &weftv1.PowerCut{User: u[:], KeepAs: weftv1.Role(roleNames[s.value("keep", "removed")]), Parents: s.hashes("over"), Cut: cut})
		}
	}
	by := s.person(s.w.who(p.Charter.Owners[0]))
	var o *team.Object
	for n := 0; o == nil || s.has("grind") && n < 40; n++ { // ground for the lowest hash
		c.Nonce = s.w.fresh()
		if x := sign(board.KindCharter, board.SignCharter, encode(c), s.hand(by)); o == nil || bytes.Compare(x.Hash[:], o.Hash[:]) < 0 {
			o = x
		}
	}
	s.add(o)
}

// ack WHO CHARTER [with=DEVICE]
func (s *script) ack() {
	a, h := s.person(s.word(0)), s.hash(s.word(1))
	s.add(sign(board.KindAck, board.SignAck, encode(&weftv1.Ack{Charter: h[:], User: a.id[:]}), s.hand(a)))
}

// state of what everybody holds, or the node that at= names, as both evaluations say.
func (s *script) state() *State {
	all := s.w.union()
	if s.values["at"] != "" {
		all = s.w.ordered(s.at())
	}
	want := Evaluate(s.w.team, all)
	e := team.NewEvaluator(s.w.team)
	for _, h := range all {
		feed(e, h)
	}
	if d := s.w.compare(want, e.State()); len(d) > 0 {
		s.t.Errorf("%s: the evaluations differ:\n%s", s.line, strings.Join(d, "\n"))
	}
	return want
}

// show NAME…: what each counts for.
func (s *script) show() {
	st := s.state()
	for _, n := range s.words {
		v, ok := st.Objects[s.hash(n)]
		if e := s.entries[n]; e != nil {
			v, ok = st.Shown(e), len(st.e.items[item{hash: e.ID}]) > 0
		}
		if !ok {
			v = Verdict{"not here", ""}
		}
		fmt.Fprintln(s.out, strings.TrimSpace(strings.TrimSuffix(fmt.Sprintf("%s: %s, %s", n, v.Status, v.Rule), ", ")))
	}
}

func (s *script) roles() {
	st := s.state()
	for _, a := range s.w.people {
		role, ok := st.Roles[a.id]
		if len(s.words) == 0 || s.has(a.name) {
			if !ok {
				role = team.None
			}
			fmt.Fprintf(s.out, "%s %s  ", a.name, role)
		}
	}
	fmt.Fprintln(s.out)
}

func (s *script) nodes() {
	for _, n := range s.state().Nodes {
		fmt.Fprintf(s.out, "%s ", s.w.device(n[:]))
	}
	fmt.Fprintln(s.out)
}

func (s *script) chain() { fmt.Fprintln(s.out, s.w.chainText(s.state().Chain)) }

func (s *script) devices() {
	a := s.person(s.word(0))
	for _, d := range s.state().Devices[a.id] {
		fmt.Fprintf(s.out, "%s ", s.w.device(d[:]))
	}
	fmt.Fprintln(s.out)
}

// counting records of each node, of all that it has.
func (s *script) counting() {
	st, all, counts := s.state(), map[string]int{}, map[string]int{}
	for h, c := range st.Counting {
		n := s.w.device(st.e.held[h].Record.Node[:])
		all[n]++
		if c {
			counts[n]++
		}
	}
	for _, n := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(s.out, "%s %d of %d  ", n, counts[n], all[n])
	}
	fmt.Fprintln(s.out)
}
