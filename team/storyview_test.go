package team

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weft/board"
)

// show answers the commands that ask what things mean.
func (s *story) show() (out string, ok bool) {
	st := s.ev.State()
	switch s.d.Cmd {
	case "state":
		return s.state(), true
	case "verdict":
		for _, w := range s.words() {
			v, ok := st.Verdict(s.object(w).Hash)
			if !ok {
				out += w + ": not here\n"
				continue
			}
			out += fmt.Sprintf("%s: %s\n", w, v)
		}
		return out, true
	case "why":
		for _, r := range st.Why(s.who(s.words()[0]).User) {
			out += s.nameOf(r.Object) + ": " + r.Words + "\n"
		}
		return out, true
	case "log":
		var l []string
		for _, e := range st.Log() {
			l = append(l, fmt.Sprintf("%s: %s [%s]", s.nameOf(e.Object), s.unhex(e.Words), e.Verdict))
		}
		slices.Sort(l)
		return strings.Join(l, "\n"), true
	case "removal":
		return s.removal(st), true
	case "requests":
		for _, r := range st.Requests() {
			out += fmt.Sprintf("%s by %s (%s): %q, %d homes\n", s.nameOf(r.Op), s.nameOf(board.Hash(r.User)), r.Name, r.Note, len(r.Homes))
		}
		return "open:\n" + out, true
	case "proposals":
		var l []string
		for _, p := range st.Proposals() {
			l = append(l, fmt.Sprintf("%s by %s: %s; agreed: %s; missing: %s", s.nameOf(p.Charter), s.nameOf(board.Hash(p.By)), strings.Join(p.Words, ", "), s.names(p.Owners, p.Admins), s.names(p.Missing)))
		}
		slices.Sort(l)
		return "proposals:\n" + strings.Join(l, "\n"), true
	case "node-state":
		return s.nodeState(st), true
	case "flips":
		for _, f := range st.Flips(s.before) {
			out += s.flip(f) + "\n"
		}
		s.before = st
		return "flips:\n" + out, true
	}
	return "", false
}

func (s *story) names(lists ...[]board.UserID) string {
	var l []string
	for _, u := range slices.Concat(lists...) {
		l = append(l, s.nameOf(board.Hash(u)))
	}
	return strings.Join(l, " ")
}

// unhex puts names in the place of nodes' ids in words.
func (s *story) unhex(words string) string {
	for _, n := range s.nodes {
		id := nodeOf(n)
		words = strings.ReplaceAll(words, fmt.Sprintf("%x", id[:4]), n)
	}
	return words
}

func (s *story) removal(st *State) string {
	r, ok := st.Removal(s.who(s.words()[0]).User)
	if !ok {
		return "not removed"
	}
	by := "the owners"
	if r.By != (board.UserID{}) {
		by = s.nameOf(board.Hash(r.By))
	}
	out := fmt.Sprintf("%s by %s with %s: %q, left: %v\nproof:", r.Role, by, s.nameOf(r.Object), r.Reason, r.Left)
	again := NewEvaluator(s.team)
	for _, h := range r.Proof {
		out += " " + strings.ReplaceAll(s.nameOf(h), " ", "-")
		for _, x := range s.ledger.lines {
			if x.object != nil && x.object.Hash == h {
				if _, err := x.feed(again); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	return out + "\nwhich shows by itself: " + again.State().Role(s.who(s.words()[0]).User).String()
}

func (s *story) nodeState(st *State) string {
	n := nodeOf(s.words()[0])
	cuts, denied := st.Denial(n)
	out := fmt.Sprintf("of the team: %v, denied: %v with %d cuts, of the logs: %v\n", st.IsNode(n), denied, len(cuts), slices.Contains(st.Origins(), n))
	for _, p := range st.Forks(board.GovernanceID(s.team), n) {
		out += fmt.Sprintf("fork in governance at %d/%d\n", p.Epoch.N, p.Seq)
	}
	for _, p := range st.Forks(board.GeneralID(s.team), n) {
		out += fmt.Sprintf("fork in general at %d/%d\n", p.Epoch.N, p.Seq)
	}
	for _, h := range st.NodeProof(n) {
		if o, _ := st.objects.get(h); o.act == actNode || o.act == actFork {
			out += "proof: " + s.nameOf(h) + "\n"
		}
	}
	return out
}

func (s *story) flip(f Flip) string {
	out := "entries"
	if f.User != (board.UserID{}) {
		out += " of " + s.nameOf(board.Hash(f.User))
	}
	for _, n := range s.nodes {
		if nodeOf(n) == f.Node {
			out += " recorded by " + n
		}
	}
	if f.Board != (board.ID{}) {
		out += " on one board"
	}
	if !f.Cred.IsZero() {
		out += " with " + s.nameOf(f.Cred)
	}
	if f.Revives {
		out += ", void ones"
	}
	for _, c := range f.Above {
		out += fmt.Sprintf(", above %d positions", len(c.at))
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
	link, at := s.links[s.arg("link", "")], keyOf(s.arg("at", s.nodes[0]))
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
	for _, o := range []*Object{a.Present, o} {
		if o == nil {
			continue
		}
		if _, err := s.write(o, s.arg("at", s.nodes[0])); err != nil {
			return err.Error()
		}
	}
	if as := s.arg("as", ""); as != "" {
		s.objects[as] = o
	}
	return "admitted as " + s.ev.State().Role(id.User).String()
}

func (s *story) state() string {
	st := s.ev.State()
	var b strings.Builder
	if !st.Known() {
		return "not known"
	}
	fmt.Fprintf(&b, "team %s, rules %d, version %d", st.Name(), st.Rules(), len(st.Chain()))
	if st.UpgradeNeeded() {
		b.WriteString(", upgrade needed")
	}
	if _, closed := st.Closed(); closed {
		b.WriteString(", disbanded")
	}
	b.WriteString("\n")
	for _, p := range slices.Concat(st.Members(), st.Outsiders()) {
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
