package team

import (
	"fmt"
	"strings"
	"testing"

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
		s.ev.AddRecord(board.Position{Board: p.Board, Node: p.Node, Epoch: board.Epoch{N: p.Epoch.N + 1}, Seq: 1}, board.Link{Epoch: p.Epoch, Seq: p.Seq, Hash: p.Hash})
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
