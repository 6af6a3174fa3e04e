package team

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// TestTranscripts plays the stories in testdata: commands in, what they mean out. `go test ./team -rewrite` writes the
// answers anew. Every object and entry stands in the log of a node, by default the first one named.
//
//	user NAME [keys=(laptop,phone)] [homes=(n1,n2)] [accepted=(n1)]   makes a person; nothing is told to the team
//	version NAME keys=(…) by=KEY [after=X] [homes=(…)] as=X            a further charter of a person
//	found NAME [owners=(…)] [admins=(…)] [rules=N]                     founds the team
//	charter NAME [after=X] [owners=(…)] [admins=(…)] [ver=N] [keep=ROLE] [close]   ack CHARTER by=WHO
//	present WHO [to=VERSION] | board | invite | uninvite | admit | set | leave | node | request | fork | floor
//	                       makes an object: [as=X] [by=WHO] [device=KEY] [under=CHARTER] [over=(X,…)] [cut=MARK] [nonce=N]
//	                       it is recorded [at=NODE] and added unless "later"
//	record X… at=NODE      records something (again); a cut is what stood there at a mark, "now", or "none". The evaluator
//	                       hears of a record made "later" when it arrives: arrive X
//	mark M, restart NODE [from=M], twin X at=NODE   the last record of the node's log a second time, with X in it
//	link NAME of=INVITE, knock WHO link=NAME at=NODE [day=N]   the lobby
//	post WHO [on=BOARD] [cred=X] [device=KEY] [team=elsewhere]   what CheckEntry says of a new entry
//	post … as=X at=NODE    and of one that is recorded; entries says it of all of these again
//	state | verdict X… | why WHO | log | removal WHO | requests | proposals | node-state NODE | flips
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		s := newStory()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.d = t, d
			return strings.TrimSpace(s.run()) + "\n"
		})
	})
}

type story struct {
	t        *testing.T
	d        *datadriven.TestData
	people   map[string]Identity
	versions map[string]*weftv1.Signed
	newest   map[string]*weftv1.UserCharter
	objects  map[string]*Object
	entries  map[string]*board.Header
	named    []string         // entries in order
	late     map[string]*line // records on their way
	links    map[string]*weftv1.InviteLink
	marks    map[string]int
	team     board.TeamID
	ledger   *ledger
	ev       *Evaluator
	before   *State // at the last flips
	n        int
	nodes    []string
	head     string // the newest charter named
}

func newStory() *story {
	return &story{
		people: map[string]Identity{}, versions: map[string]*weftv1.Signed{}, newest: map[string]*weftv1.UserCharter{}, objects: map[string]*Object{},
		entries: map[string]*board.Header{}, late: map[string]*line{}, links: map[string]*weftv1.InviteLink{}, marks: map[string]int{},
	}
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
			return slices.DeleteFunc(slices.Clone(a.Vals), func(v string) bool { return v == "" })
		}
	}
	return nil
}

// words are the arguments without a value.
func (s *story) words() (out []string) {
	for _, a := range s.d.CmdArgs {
		if len(a.Vals) == 0 && !slices.Contains([]string{"later", "recut", "close", "over", "owners", "admins"}, a.Key) {
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

// key is a device's: the first of a person's, or "ana/phone", or "ana/recovery".
func (s *story) key(name string) board.Key {
	if who, _, ok := strings.Cut(name, "/"); !ok {
		return s.who(name).Device
	} else if strings.HasSuffix(name, "/recovery") {
		return keyOf("recovery of " + who)
	}
	return keyOf(name)
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
	case "version":
		return s.version()
	case "found":
		return s.found()
	case "record":
		return s.record()
	case "arrive":
		return s.arrive(s.words()[0], s.late[s.words()[0]])
	case "mark":
		s.marks[s.words()[0]] = len(s.ledger.lines)
		return "ok"
	case "restart":
		s.ledger.restart(nodeOf(s.words()[0]), s.upTo("from", "now"))
		return "ok"
	case "twin":
		return s.twin()
	case "link":
		return s.link()
	case "knock":
		return s.knock()
	case "post":
		return s.post()
	case "entries":
		out := ""
		for _, name := range s.named {
			out += fmt.Sprintf("%s: %s\n", name, s.judge(name))
		}
		return out
	}
	if out, ok := s.show(); ok {
		return out
	}
	return s.made(s.make())
}

// upTo is how many lines had been written at the mark that an argument names.
func (s *story) upTo(arg, fallback string) int {
	switch m := s.arg(arg, fallback); m {
	case "now":
		return len(s.ledger.lines)
	case "none":
		return 0
	default:
		n, ok := s.marks[m]
		if !ok {
			s.t.Fatalf("%s: no such mark: %q", s.d.Pos, m)
		}
		return n
	}
}

func (s *story) user() string {
	name := s.words()[0]
	homes, accepted := s.list("homes"), s.list("accepted")
	if homes == nil {
		homes = []string{"n-" + name}
	}
	if accepted == nil && !s.d.HasArg("accepted") {
		accepted = homes
	}
	m := &weftv1.UserCharter{Ver: 1, Keys: [][]byte{public(keyOf("recovery of " + name))}, Profile: &weftv1.Profile{Name: name}, Nonce: make([]byte, 16)}
	devices := s.list("keys")
	for _, k := range devices {
		m.Keys = append(m.Keys, public(keyOf(name+"/"+k)))
	}
	id := Identity{Device: keyOf("device of " + name), Name: name}
	if devices == nil {
		m.Keys = append(m.Keys, public(id.Device))
	} else {
		id.Device = keyOf(name + "/" + devices[0])
	}
	s.people[name] = id
	s.house(m, homes)
	signed, err := seal(keyOf("recovery of "+name), board.SignUserCharter, m)
	if err != nil {
		s.t.Fatal(err)
	}
	id.User, id.Charters = board.UserID(hashOf(signed.Object)), []*weftv1.Signed{signed}
	for _, h := range accepted {
		a, err := seal(keyOf(h), board.SignHome, &weftv1.HomeAcceptance{User: id.User[:], Node: public(keyOf(h))})
		if err != nil {
			s.t.Fatal(err)
		}
		id.Acceptances = append(id.Acceptances, a)
	}
	s.people[name], s.newest[name] = id, m
	s.versions[name] = signed
	return "ok"
}

func (s *story) house(m *weftv1.UserCharter, homes []string) {
	for _, h := range homes {
		m.Homes = append(m.Homes, public(keyOf(h)))
		if !slices.Contains(s.nodes, h) {
			s.nodes = append(s.nodes, h)
		}
	}
}

// version makes a further charter of a person; it is shown by the presents to come.
func (s *story) version() string {
	name := s.words()[0]
	after := s.versions[s.arg("after", s.arg("last", name))]
	id := s.who(name)
	if !s.d.HasArg("after") && len(id.Charters) > 0 {
		after = id.Charters[len(id.Charters)-1]
	}
	p, err := parseUserCharter(after, new(signatures))
	if err != nil {
		s.t.Fatal(err)
	}
	m := &weftv1.UserCharter{
		User: id.User[:], Ver: p.ver + 1, Prev: p.hash[:], Keys: [][]byte{public(keyOf("recovery of " + name))},
		Profile: &weftv1.Profile{Name: name}, Nonce: make([]byte, 16),
	}
	m.Nonce[0] = byte(s.number("nonce", 0))
	for _, k := range s.list("keys") {
		m.Keys = append(m.Keys, public(s.key(name+"/"+k)))
	}
	if homes := s.list("homes"); homes != nil {
		s.house(m, homes)
	} else {
		for i := range p.homes {
			m.Homes = append(m.Homes, p.homes[i][:])
		}
	}
	signed, err := seal(s.key(s.arg("by", name+"/recovery")), board.SignUserCharter, m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.versions[s.arg("as", "")] = signed
	if !s.d.HasArg("aside") {
		id.Charters = append(slices.Clone(id.Charters), signed)
		s.people[name] = id
	}
	return "ok"
}
