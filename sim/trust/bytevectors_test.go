package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// bytesVector is bytes of every kind, with their hashes and signatures.
type bytesVector struct {
	Keys       []keyVector       `json:"keys"`
	Hashes     []hashVector      `json:"hashes"`
	Signatures []signatureVector `json:"signatures"`
	Objects    []objectVector    `json:"objects"`
	Cut        cutVector         `json:"cut"`
	Links      []linkVector      `json:"links"`
}

type keyVector struct {
	Name   string `json:"name"`
	Seed   string `json:"seed"` // of Ed25519: sha256(name)
	Public string `json:"public"`
}

// hashVector: hash is sha256(bytes), or as much of it as the id has.
type hashVector struct {
	What  string `json:"what"`
	Bytes string `json:"bytes"`
	Hash  string `json:"hash"`
	Text  string `json:"text,omitempty"`
}

type signatureVector struct {
	What      string `json:"what"`
	Label     string `json:"label"`
	Key       string `json:"key"`
	Bytes     string `json:"bytes"`
	Message   string `json:"message"` // "weft/" ‖ label ‖ "/v1" ‖ 0 ‖ sha256(bytes): what Ed25519 signs
	Signature string `json:"signature"`
}

// objectVector is what a governance entry carries.
type objectVector struct {
	Name string `json:"name"`
	Kind uint32 `json:"entry_kind"`
	Says string `json:"says"` // the field of Operation.kind, or charter, ack
	Hash string `json:"hash"`
	Body string `json:"body"` // Signed
}

type cutVector struct {
	Bytes     string   `json:"bytes"` // Cut
	Positions []string `json:"positions"`
}

type linkVector struct {
	Text  string `json:"text"`
	Bytes string `json:"bytes"` // InviteLink
}

func (v *bytesVector) hash(what string, n int, text bool, parts ...[]byte) {
	b := slices.Concat(parts...)
	h := sha256.Sum256(b)
	x := hashVector{What: what, Bytes: toHex(b), Hash: toHex(h[:n])}
	if text {
		x.Text = strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h[:n]))
	}
	v.Hashes = append(v.Hashes, x)
}

func (v *bytesVector) signature(what, label string, key, b, sig []byte) {
	h := sha256.Sum256(b)
	m := slices.Concat([]byte("weft/"+label+"/v1\x00"), h[:])
	v.Signatures = append(v.Signatures, signatureVector{what, label, toHex(key), toHex(b), toHex(m), toHex(sig)})
}

// positionBytes is what a head's signature covers.
func positionBytes(p board.Position) []byte {
	b := slices.Concat(p.Board[:], p.Node[:])
	for _, n := range []uint64{p.Epoch.N, p.Epoch.R, p.Seq} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return append(b, p.Hash[:]...)
}

var labels = map[board.Kind]string{board.KindCharter: "charter", board.KindAck: "ack", board.KindOperation: "op"}

// byteVectors of a story that makes everything there is.
func (s *script) byteVectors() (v bytesVector) {
	names := []string{"invite"}
	for _, r := range s.w.replicas {
		names = append(names, "node "+r.name)
	}
	for _, a := range s.w.people {
		for k := range a.keys {
			names = append(names, s.w.device(k[:]))
		}
	}
	slices.Sort(names)
	for _, n := range names {
		seed := sha256.Sum256([]byte(n))
		v.Keys = append(v.Keys, keyVector{n, toHex(seed[:]), toHex(bytesOf(keyOf(n)))})
	}
	for _, n := range slices.Sorted(maps.Keys(s.objects)) {
		s.addObject(&v, n, s.objects[n])
	}
	t := s.w.team[:]
	v.hash("user id: the user's genesis charter", 32, true, s.w.people[0].shown[0].signed.Object)
	v.hash("team id: the team's genesis charter", 32, true, s.w.founding.Raw)
	v.hash("governance board", 16, true, []byte("weft/governance/v1\x00"), t)
	v.hash("board general", 16, true, []byte("weft/general/v1\x00"), t)
	v.hash("another board: its operation", 16, true, s.object("news").Raw)
	v.hash("topic of the team", 32, true, []byte("weft/topic/v1\x00"), t)
	v.hash("seed of an open team's invite", 32, false, []byte("weft/open/v1\x00"), t, s.w.replicas[0].node[:])
	e, h := s.entries["hello"], s.records["hello"]
	v.hash("entry id: the header", 32, true, e.Raw)
	v.hash("body", 32, false, e.Body)
	v.hash("post id: author and client_msg_id", 16, false, e.Header.Author[:], []byte(e.Header.ClientMsgID))
	v.hash("record", 32, false, h.Record.Append(nil))
	v.signature("entry header", "entry", e.Header.Device[:], e.Raw, e.Signature)
	at := h.Record.Position()
	sig := board.SignHead(s.secret(board.DeviceID(at.Node)), at)
	v.signature("head", "head", at.Node[:], positionBytes(at), sig[:])
	leaf := slices.Concat(positionBytes(at)[16:], make([]byte, 24))
	v.hash("digest of a vector with one leaf", 32, false, []byte("weft/vector/v1\x00"), leaf)
	d := sha256.Sum256(append([]byte("weft/vector/v1\x00"), leaf...))
	if d != (board.Vector{{Node: at.Node, Epoch: at.Epoch, Seq: at.Seq, Hash: at.Hash}}).Digest() {
		s.t.Error("the layout of a vector is another one")
	}
	v.hash("digest of the vectors of one board", 32, false, []byte("weft/team-vector/v1\x00"), at.Board[:], d[:])
	cut := s.object("gone").Op.GetSet().Cut
	v.Cut.Bytes = toHex(encode(cut))
	for _, m := range cut.Positions {
		p, err := board.ParsePosition(m)
		if err != nil {
			s.t.Fatal(err)
		}
		v.Cut.Positions = append(v.Cut.Positions, toHex(positionBytes(p)))
	}
	s.addLinks(&v)
	return v
}

func (s *script) addObject(v *bytesVector, name string, o *team.Object) {
	var m weftv1.Signed
	if err := proto.Unmarshal(o.Body, &m); err != nil {
		s.t.Fatal(err)
	}
	says := labels[o.Kind]
	if o.Op != nil {
		f := o.Op.ProtoReflect()
		says = string(f.WhichOneof(f.Descriptor().Oneofs().ByName("kind")).Name())
		if a := o.Op.GetAdmit(); a != nil {
			v.signature("use of an invite, in "+name, "invite", bytesOf(keyOf("invite")), slices.Concat(o.Op.Team, a.User, a.UserCharter, o.Op.Author), a.InviteSignature)
		}
		for i, c := range o.Op.GetPresent().GetCharters() {
			v.signature(fmt.Sprintf("user charter %d in %s", i, name), "user-charter", c.Key, c.Object, c.Signature)
		}
		for i, c := range o.Op.GetPresent().GetAcceptances() {
			v.signature(fmt.Sprintf("acceptance %d in %s", i, name), "home", c.Key, c.Object, c.Signature)
		}
	}
	v.signature(name, labels[o.Kind], m.Key, m.Object, m.Signature)
	v.Objects = append(v.Objects, objectVector{name, uint32(o.Kind), says, toHex(o.Hash[:]), toHex(o.Body)})
}

func (s *script) addLinks(v *bytesVector) {
	i, n := s.object("inv"), s.w.replicas[0]
	seed := sha256.Sum256([]byte("invite"))
	where := []string{"/ip4/192.0.2.1/udp/4001/quic-v1", "/dns4/weft.example/tcp/4001"}
	for _, l := range []*weftv1.InviteLink{
		{Team: s.w.team[:], TeamName: "team", Inviter: "o", ExpiresMs: 1_900_000_000_000, Invites: []*weftv1.InviteKey{{Invite: i.Hash[:], Seed: seed[:], Admitter: n.node[:], Addresses: where}}},
		{Team: s.w.team[:], TeamName: "team", Inviter: "o", Invites: []*weftv1.InviteKey{{Admitter: n.node[:], Addresses: where[:1]}}},
	} {
		text := team.EncodeLink(l)
		back, err := team.ParseLink(text)
		if err != nil || !proto.Equal(back, l) {
			s.t.Error("a link is read in another way:", err)
		}
		b := encode(l)
		v.hash("checksum of a link (the first 4 bytes stand in it)", 4, false, []byte("weft/link/v1\x00"), b)
		v.Links = append(v.Links, linkVector{text, toHex(b)})
	}
}

// The bytes hold without any code of weft: hashes and signatures are those of the standard library; each kind of object
// there is, and each label, is among them.
func TestByteVectors(t *testing.T) {
	raw, err := os.ReadFile(vectorDir + "/bytes.json")
	if err != nil {
		t.Fatal(err)
	}
	var v bytesVector
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	for _, k := range v.Keys {
		if p := ed25519.NewKeyFromSeed(unhex(t, k.Seed)).Public().(ed25519.PublicKey); toHex(p) != k.Public {
			t.Errorf("key %s: %x", k.Name, p)
		}
	}
	for _, h := range v.Hashes {
		if sum := sha256.Sum256(unhex(t, h.Bytes)); !strings.HasPrefix(toHex(sum[:]), h.Hash) {
			t.Errorf("%s: %x", h.What, sum)
		}
	}
	met := map[string]bool{}
	for _, s := range v.Signatures {
		met[s.Label] = true
		sum := sha256.Sum256(unhex(t, s.Bytes))
		m := append([]byte("weft/"+s.Label+"/v1\x00"), sum[:]...)
		if toHex(m) != s.Message || !ed25519.Verify(unhex(t, s.Key), m, unhex(t, s.Signature)) {
			t.Errorf("%s: the signature doesn't fit", s.What)
		}
	}
	for _, o := range v.Objects {
		met[o.Says] = true
		got, err := team.ParseObject(board.Kind(o.Kind), unhex(t, o.Body))
		if err != nil || toHex(got.Hash[:]) != o.Hash {
			t.Errorf("%s: %v", o.Name, err)
		}
	}
	kinds := (&weftv1.Operation{}).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
	all := []string{"charter", "ack", "op", "entry", "head", "user-charter", "home", "invite"}
	for i := range kinds.Len() {
		all = append(all, string(kinds.Get(i).Name()))
	}
	for _, k := range all {
		if !met[k] {
			t.Errorf("nothing of the kind %q is in bytes.json", k)
		}
	}
}
