package team

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// vectors are bytes that another implementation has to read as this one does. Keys are NewKey(sha256("test NAME")).
type vectors struct {
	Team       string
	User       string
	Governance string
	General    string
	Objects    []objectVector
	InviteHash string // what the invite's key signed for ben
	Knock      string
	Link       string
	LinkProto  string

	// A post by ben in general, and its record as the second of a log of the home of ana.
	Header, Signature, Body, Entry string
	Record, RecordHash, HeadSig    string
	VectorDigest                   string // of the leaf at that record
}

type objectVector struct {
	Says, Kind, Body, Hash, Key string
}

const vectorFile = "../docs/vectors/join.json" // see docs/PROTOCOL.md §15

func makeVectors(t *testing.T) vectors {
	c := newCrew(t)
	c.add(c.must(NewBoard(c.ev.State(), c.owner, "news", c.nonce())))
	inv := c.add(c.invite(Member, nodeOf("home-of-ana"), 5, 1_900_000_000_000, "link"))
	ben := person(t, "ben")
	k := c.knock(inv, "link", ben)
	c.add(c.must(NewPresent(c.id, ben)))
	admit := c.add(c.must(NewAdmit(keyOf("home-of-ana"), c.ev.State(), k, c.nonce())))
	l, err := NewLink(c.ev.State(), c.owner, inv, seedOf("link"), []string{"/ip4/192.0.2.1/udp/4001/quic-v1"})
	if err != nil {
		t.Fatal(err)
	}
	h := inviteHash(c.id, ben.User, board.Hash(ben.User), nodeOf("home-of-ana"))
	g, gen := board.GovernanceID(c.id), board.GeneralID(c.id)
	v := vectors{
		Team: hex.EncodeToString(c.id[:]), User: hex.EncodeToString(ben.User[:]), Governance: hex.EncodeToString(g[:]),
		General: hex.EncodeToString(gen[:]), InviteHash: hex.EncodeToString(h[:]), Knock: hex.EncodeToString(encode(t, k)),
		Link: EncodeLink(l), LinkProto: hex.EncodeToString(encode(t, l)),
	}
	for _, o := range c.objects {
		v.Objects = append(v.Objects, objectVector{
			Says: Describe(o, nil), Kind: o.Kind.String(), Body: hex.EncodeToString(o.Body), Hash: hex.EncodeToString(o.Hash[:]),
			Key: hex.EncodeToString(o.Key[:]),
		})
	}
	v.addPost(t, c, ben, admit.Hash)
	return v
}

// addPost adds a post and what stands around it.
func (v *vectors) addPost(t *testing.T, c *crew, ben Identity, cred board.Hash) {
	t.Helper()
	h := board.Header{
		Team: c.id, Board: board.GeneralID(c.id), Author: ben.User, Device: board.DeviceID(ben.Device.Public()), DevEpoch: 0x0102030405060708,
		DevSeq: 2, DevPrev: hashOf([]byte("the entry before")), Cred: cred, ClientMsgID: "post-1", HLC: board.HLCAt(noon) + 3, Kind: board.KindPost,
	}
	e := board.NewEntry(h, []byte("grüß dich"))
	e.Sign(ben.Device)
	node := keyOf("home-of-ana")
	epoch := board.Epoch{N: 7, R: 0x1112131415161718}
	r := board.Record{
		Board: h.Board, Origin: board.Origin{Node: node.Public(), Epoch: epoch}, Seq: 2,
		Prev: board.Link{Epoch: epoch, Seq: 1, Hash: hashOf([]byte("the record before"))}, Entry: e.ID, Received: h.HLC + 1,
	}
	at := r.Position()
	sig := board.SignHead(node, at)
	d := board.Vector{{Node: at.Node, Epoch: at.Epoch, Seq: at.Seq, Hash: at.Hash, Base: board.Point{Epoch: epoch, Seq: 2}}}.Digest()
	v.Header, v.Signature, v.Body, v.Entry = hex.EncodeToString(e.Raw), hex.EncodeToString(e.Signature), hex.EncodeToString(e.Body), hex.EncodeToString(e.ID[:])
	v.Record, v.RecordHash, v.HeadSig = hex.EncodeToString(r.Append(nil)), hex.EncodeToString(at.Hash[:]), hex.EncodeToString(sig[:])
	v.VectorDigest = hex.EncodeToString(d[:])
}

// checkPost reads the post, its record and its head as they were written down.
func (v *vectors) checkPost(t *testing.T, st *State, ben board.UserID) {
	t.Helper()
	e, err := board.ParseEntry(unhex(t, v.Header), unhex(t, v.Signature), unhex(t, v.Body), false)
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(e.ID[:]) != v.Entry || !e.Verify() || e.Header.Author != ben || string(e.Body) != "grüß dich" {
		t.Error("another entry:", e.ID, e.Header)
	}
	wantStatus(t, "the post", st.CheckEntry(&e.Header, nil), Valid)
	raw := unhex(t, v.Record)
	u := binary.BigEndian.Uint64
	at := board.Position{
		Board: board.ID(raw[:16]), Node: board.NodeID(raw[16:48]), Epoch: board.Epoch{N: u(raw[48:]), R: u(raw[56:])}, Seq: u(raw[64:]), Hash: hashOf(raw),
	}
	if len(raw) != 168 || hex.EncodeToString(at.Hash[:]) != v.RecordHash || board.Hash(raw[128:160]) != e.ID {
		t.Errorf("another record: %x", at.Hash)
	}
	if !board.VerifyHead(at, unhex(t, v.HeadSig)) {
		t.Error("the head's signature does not fit")
	}
	d := board.Vector{{Node: at.Node, Epoch: at.Epoch, Seq: at.Seq, Hash: at.Hash, Base: board.Point{Epoch: at.Epoch, Seq: 2}}}.Digest()
	if hex.EncodeToString(d[:]) != v.VectorDigest {
		t.Error("another digest of a vector:", d)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors reads bytes that were written down once: their hashes, signatures and meaning stay. `go test ./team -run
// TestVectors -rewrite` writes them anew.
func TestVectors(t *testing.T) {
	if flag.Lookup("rewrite").Value.String() == "true" {
		b, err := json.MarshalIndent(makeVectors(t), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	id := board.TeamID(unhex(t, v.Team))
	ev := NewEvaluator(id)
	byName := map[string]board.Kind{"charter": board.KindCharter, "operation": board.KindOperation}
	for _, x := range v.Objects {
		o, err := ParseObject(byName[x.Kind], unhex(t, x.Body))
		if err != nil {
			t.Fatalf("%s: %v", x.Says, err)
		}
		if hex.EncodeToString(o.Hash[:]) != x.Hash || hex.EncodeToString(o.Key[:]) != x.Key || Describe(o, nil) != x.Says {
			t.Errorf("%q: hash %x, key %x, says %q", x.Says, o.Hash, o.Key, Describe(o, nil))
		}
		if _, err := ev.Add(o); err != nil {
			t.Fatal(err)
		}
		if got, _ := ev.State().Verdict(o.Hash); got.Status != Valid {
			t.Errorf("%q: %v", x.Says, got)
		}
	}
	ben := board.UserID(unhex(t, v.User))
	st := ev.State()
	if st.Role(ben) != Member || st.UserName(ben) != "ben" || len(st.Boards()) != 2 || len(st.Nodes()) != 2 {
		t.Error("the team is another one:", st.Members(), st.Boards())
	}
	g, gen := board.GovernanceID(id), board.GeneralID(id)
	if hex.EncodeToString(g[:]) != v.Governance || hex.EncodeToString(gen[:]) != v.General {
		t.Error("ids of boards:", g, gen)
	}
	if h := inviteHash(id, ben, board.Hash(ben), nodeOf("home-of-ana")); hex.EncodeToString(h[:]) != v.InviteHash {
		t.Errorf("invite hash %x", h)
	}
	l, err := ParseLink(v.Link)
	if err != nil {
		t.Fatal(err)
	}
	var want weftv1.InviteLink
	if err := proto.Unmarshal(unhex(t, v.LinkProto), &want); err != nil || !proto.Equal(l, &want) {
		t.Error("another link", err)
	}
	var k weftv1.Knock
	if err := proto.Unmarshal(unhex(t, v.Knock), &k); err != nil {
		t.Fatal(err)
	}
	if a, err := st.CheckKnock(&k, nodeOf("home-of-ana"), noon); err != nil || !a.Already || a.User != ben {
		t.Error("knock:", a, err)
	}
	v.checkPost(t, st, ben)
}
