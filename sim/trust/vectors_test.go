package trust

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"weft/board"
	"weft/team"
)

// vectorDir has what another implementation can try itself on; docs/PROTOCOL.md §15 says how.
const vectorDir = "../../docs/vectors"

// historyVector is a small history: what nodes recorded, in bytes, and what it means.
type historyVector struct {
	Story    []string          `json:"story"` // how it came about; at= names the node that records, cut= the node whose holdings are accepted
	Team     string            `json:"team"`
	Names    map[string]string `json:"names"` // what the story calls users, devices, nodes, objects and entries
	Records  []recordVector    `json:"records"`
	Expected expectation       `json:"expected"`
}

// recordVector is a record of a node's log with its entry.
type recordVector struct {
	Says      string `json:"says"`           // what the story calls the entry or its object
	Record    string `json:"record"`         // the 168 bytes
	Hash      string `json:"hash"`           // of them
	Head      string `json:"head_signature"` // by the node, of the record's position
	Header    string `json:"header"`
	Signature string `json:"signature"`
	Body      string `json:"body"`
}

// expectation is what the records mean, in whatever order they come.
type expectation struct {
	Chain   []string          `json:"chain"` // team charters that count
	Upgrade bool              `json:"upgrade_needed"`
	Users   []userVector      `json:"users"`
	Nodes   []string          `json:"nodes"`   // who may receive
	Objects []verdictVector   `json:"objects"` // of the governance board
	Entries []verdictVector   `json:"entries"` // of message boards
	Counts  map[string]bool   `json:"record_counts"`
	Used    map[string]uint32 `json:"invites_used"`
}

type userVector struct {
	User    string   `json:"user"`
	Role    string   `json:"role"`    // "none": was never in, or has no power any more that anything else keeps
	Devices []string `json:"devices"` // of the newest charter that counts, without the recovery key
	Heads   []string `json:"register_heads"`
}

type verdictVector struct {
	ID      string `json:"id"`
	Verdict string `json:"verdict"`        // valid, void, pending, or unknown: of a later version
	Rule    string `json:"rule,omitempty"` // why not valid
	Shown   *bool  `json:"shown,omitempty"`
}

func toHex(b []byte) string { return hex.EncodeToString(b) }

func hexes[T ~[32]byte](l []T) []string {
	out := make([]string, 0, len(l))
	for _, x := range l {
		out = append(out, toHex(x[:]))
	}
	return out
}

// TestVectors plays the stories in testdata/vectors and compares their bytes with those in docs/vectors, which `go test
// ./sim/trust -rewrite` writes anew.
func TestVectors(t *testing.T) {
	rewrite := flag.Lookup("rewrite").Value.String() == "true"
	s, made := &script{}, map[string]bool{}
	datadriven.RunTest(t, "testdata/vectors", func(t *testing.T, d *datadriven.TestData) string {
		s.t, s.out = t, &strings.Builder{}
		for line := range strings.Lines(d.Input) {
			s.parse(strings.TrimSpace(line))
			s.run()
		}
		name := "history-" + d.CmdArgs[0].Key + ".json"
		made[name] = true
		compareVector(t, name, s.vector(d), rewrite)
		if d.CmdArgs[0].Key == "kinds" {
			compareVector(t, "bytes.json", s.byteVectors(), rewrite)
		}
		return s.out.String()
	})
	for _, path := range historyVectors(t) {
		if !made[filepath.Base(path)] {
			t.Errorf("no story makes %s", path)
		}
	}
}

func historyVectors(t *testing.T) []string {
	paths, err := filepath.Glob(vectorDir + "/history-*.json")
	if err != nil || len(paths) < 12 {
		t.Fatal("too few histories:", len(paths), err)
	}
	return paths
}

func compareVector(t *testing.T, name string, v any, rewrite bool) {
	t.Helper()
	want, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	path := filepath.Join(vectorDir, name)
	if rewrite {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != string(want) {
		t.Errorf("%s isn't what its story makes now; if that is meant: go test ./sim/trust -run 'TestVectors|TestStories' -rewrite (%v)", path, err)
	}
}

// vector of what everybody holds, or the node that at=(…) names.
func (s *script) vector(d *datadriven.TestData) historyVector {
	held := s.w.union()
	for _, a := range d.CmdArgs[1:] {
		if a.Key == "at" {
			held = s.w.ordered(s.node(a.Vals[0]))
		}
	}
	v := historyVector{Team: toHex(s.w.team[:]), Names: map[string]string{}}
	for line := range strings.Lines(d.Input) {
		v.Story = append(v.Story, strings.TrimSpace(line))
	}
	for _, a := range s.w.people {
		v.Names[a.name] = toHex(a.id[:])
		for k := range a.keys {
			v.Names[s.w.device(k[:])] = toHex(k[:])
		}
	}
	for _, r := range s.w.replicas {
		v.Names[r.name] = toHex(r.node[:])
	}
	for name, o := range s.objects {
		v.Names[name] = toHex(o.Hash[:])
	}
	for name, e := range s.entries {
		v.Names[name] = toHex(e.ID[:])
	}
	for _, h := range held {
		v.Records = append(v.Records, s.recordVector(h))
	}
	var diffs []string
	v.Expected, diffs = expect(s.w.team, held)
	if len(diffs) > 0 {
		s.t.Error(strings.Join(diffs, "\n"))
	}
	return v
}

func (s *script) recordVector(h *Held) recordVector {
	id, k := h.Entry.ID, s.secret(h.Entry.Header.Device)
	if h.Object != nil {
		id = h.Object.Hash
	}
	h.Entry.Sign(k)
	sig := board.SignHead(s.secret(board.DeviceID(h.Record.Node)), h.Record.Position())
	return recordVector{
		Says: s.w.names[id], Record: toHex(h.Record.Append(nil)), Hash: toHex(h.Hash[:]), Head: toHex(sig[:]),
		Header: toHex(h.Entry.Raw), Signature: toHex(h.Entry.Signature), Body: toHex(h.Entry.Body),
	}
}

// secret is the private key to a public one of this story.
func (s *script) secret(public [32]byte) board.Key {
	for _, a := range s.w.people {
		if k, ok := a.keys[public]; ok {
			return k
		}
	}
	for _, r := range s.w.replicas {
		if r.node == board.NodeID(public) {
			return r.key
		}
	}
	s.t.Fatalf("nobody has the key %x", public[:4])
	return board.Key{}
}

// expect is what both evaluations say of the records; diffs where they say two things.
func expect(id board.TeamID, held []*Held) (x expectation, diffs []string) {
	want, ev := Evaluate(id, held), team.NewEvaluator(id)
	for _, h := range held {
		feed(ev, h)
	}
	st := ev.State()
	differ := func(what string, a, b any) {
		if fmt.Sprint(a) != fmt.Sprint(b) {
			diffs = append(diffs, fmt.Sprintf("%s: %v and %v", what, a, b))
		}
	}
	x = expectation{Chain: hexes(st.Chain()), Upgrade: st.UpgradeNeeded(), Nodes: hexes(st.Nodes()), Counts: map[string]bool{}, Used: map[string]uint32{}}
	differ("chain", hexes(want.Chain), x.Chain)
	differ("upgrade", want.Upgrade, x.Upgrade)
	differ("nodes", hexes(want.Nodes), x.Nodes)
	people := map[board.UserID]bool{}
	for _, m := range []any{want.Users, want.Roles} {
		for _, k := range reflect.ValueOf(m).MapKeys() {
			people[k.Interface().(board.UserID)] = true
		}
	}
	for _, u := range slices.SortedFunc(maps.Keys(people), func(a, b board.UserID) int { return slices.Compare(a[:], b[:]) }) {
		role, has := want.Roles[u]
		if !has {
			role = team.None
		}
		differ("role", role, st.Role(u))
		differ("devices", want.Devices[u], st.Devices(u))
		hs, _ := st.Register(u)
		x.Users = append(x.Users, userVector{toHex(u[:]), st.Role(u).String(), hexes(st.Devices(u)), hexes(hs)})
	}
	seen := map[board.Hash]bool{}
	for _, h := range held {
		if c, ok := want.Counting[h.Hash]; ok {
			x.Counts[toHex(h.Hash[:])] = c
		}
		e := &h.Entry.Header
		switch {
		case h.Object != nil && !seen[h.Object.Hash]:
			seen[h.Object.Hash] = true
			v, _ := st.Verdict(h.Object.Hash)
			if w := want.Objects[h.Object.Hash]; w.Rule != "upgrade" || v.Status == team.Valid {
				differ("object "+toHex(h.Object.Hash[:4]), w.Status, statusOf(v))
			}
			x.Objects = append(x.Objects, verdictVector{toHex(h.Object.Hash[:]), string(statusOf(v)), v.Rule, nil})
		case e.Board != board.GovernanceID(e.Team) && !seen[h.Entry.ID]:
			seen[h.Entry.ID] = true
			i := item{hash: h.Entry.ID}
			v := st.CheckEntry(e, func(c *team.Cut) bool { return want.e.under(i, c.Proto()) })
			if !st.UpgradeNeeded() && st.Known() {
				differ("entry "+toHex(h.Entry.ID[:4]), want.Entry(e, h.Entry.ID).Status, statusOf(v))
			}
			shown := want.Shown(h.Entry) == valid
			x.Entries = append(x.Entries, verdictVector{toHex(h.Entry.ID[:]), string(statusOf(v)), v.Rule, &shown})
		}
	}
	for h, n := range want.Used {
		i, _ := st.Invite(h)
		differ("uses", n, i.Used)
		x.Used[toHex(h[:])] = uint32(n)
	}
	return x, diffs
}

// The histories are read as anybody reads them who has nothing but the bytes: hashes, signatures and links fit, and both
// evaluations say what is expected, in any order.
func TestHistoryVectors(t *testing.T) {
	for _, path := range historyVectors(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var v historyVector
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			var held []*Held
			for _, r := range v.Records {
				held = append(held, r.read(t))
			}
			id := board.TeamID(unhex(t, v.Team))
			for range 2 {
				got, diffs := expect(id, held)
				for _, d := range diffs {
					t.Error(d)
				}
				order := func(l []verdictVector) {
					slices.SortFunc(l, func(a, b verdictVector) int { return strings.Compare(a.ID, b.ID) })
				}
				for _, x := range []*expectation{&got, &v.Expected} {
					order(x.Objects)
					order(x.Entries)
				}
				if !reflect.DeepEqual(got, v.Expected) {
					t.Errorf("got  %+v\nwant %+v", got, v.Expected)
				}
				slices.Reverse(held)
			}
		})
	}
}

// read checks all that can be checked of a record by itself.
func (r *recordVector) read(t *testing.T) *Held {
	t.Helper()
	b := unhex(t, r.Record)
	if len(b) != 168 {
		t.Fatalf("a record of %d bytes", len(b))
	}
	u := binary.BigEndian.Uint64
	rec := board.Record{
		Board: board.ID(b[:16]), Origin: board.Origin{Node: board.NodeID(b[16:48]), Epoch: board.Epoch{N: u(b[48:]), R: u(b[56:])}}, Seq: u(b[64:]),
		Prev:  board.Link{Epoch: board.Epoch{N: u(b[72:]), R: u(b[80:])}, Seq: u(b[88:]), Hash: board.Hash(b[96:128])},
		Entry: board.Hash(b[128:160]), Received: board.HLC(u(b[160:])),
	}
	e, err := board.ParseEntry(unhex(t, r.Header), unhex(t, r.Signature), unhex(t, r.Body), false)
	if err != nil {
		t.Fatal(err)
	}
	h := Hold(rec, e)
	switch {
	case !e.Verify():
		t.Errorf("%s: the entry's signature doesn't fit", r.Says)
	case !board.VerifyHead(rec.Position(), unhex(t, r.Head)):
		t.Errorf("%s: the head's signature doesn't fit", r.Says)
	case toHex(h.Hash[:]) != r.Hash || e.ID != rec.Entry:
		t.Errorf("%s: other hashes", r.Says)
	case e.Header.Kind.Governance() && h.Object == nil:
		t.Errorf("%s: no object", r.Says)
	}
	return h
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
