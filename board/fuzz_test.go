package board

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
)

// kindOf demands that an error of a decoder is one of the named kinds.
func kindOf(t *testing.T, err error) {
	if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
		t.Fatalf("error of no kind: %v", err)
	}
}

func sampleHeader() Header {
	return Header{
		Team: TeamID{1}, Board: ID{2}, Author: UserID{3}, Device: DeviceID{4}, DevEpoch: 5, DevSeq: 2, DevPrev: Hash{6}, Cred: Hash{7},
		ClientMsgID: "a-1", HLC: 1700000000000 << 16, Kind: KindPost, BodyLen: 5, BodyHash: sha256.Sum256([]byte("hello")), KeyID: 0,
	}
}

// FuzzParseHeader compares the hand-written decoder with the generated one.
func FuzzParseHeader(f *testing.F) {
	h := sampleHeader()
	f.Add(h.Append(nil))
	h.DevSeq, h.DevPrev, h.KeyID = 1, Hash{}, 9
	f.Add(append(h.Append(nil), 0xf8, 0x07, 0x01)) // an unknown field
	f.Add([]byte{0x0a, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		kindOf(t, err)
		if err != nil {
			return
		}
		var m weftv1.EntryHeader
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Fatalf("accepted what protobuf does not: %v", err)
		}
		same := bytes.Equal(h.Team[:], m.Team) && bytes.Equal(h.Board[:], m.Board) && bytes.Equal(h.Device[:], m.Device) &&
			orZero(h.Author, m.Author) && orZero(h.DevPrev, m.DevPrev) && orZero(h.Cred, m.Cred) && orZero(h.BodyHash, m.BodyHash) &&
			h.DevEpoch == m.DevEpoch && h.DevSeq == m.DevSeq && h.ClientMsgID == string(m.ClientMsgId) && uint64(h.HLC) == m.Hlc &&
			uint32(h.Kind) == m.Kind && h.BodyLen == m.BodyLen && h.KeyID == m.KeyId
		if !same {
			t.Fatalf("read %+v, protobuf %v", h, &m)
		}
		again, err := ParseHeader(h.Append(nil))
		if err != nil || again != h {
			t.Fatalf("encoded again it reads %+v, %v", again, err)
		}
	})
}

func orZero(h [32]byte, b []byte) bool { return bytes.Equal(h[:], b) || len(b) == 0 && h == [32]byte{} }

func FuzzParseEntry(f *testing.F) {
	h := sampleHeader()
	f.Add(h.Append(nil), make([]byte, 64), []byte("hello"), false)
	f.Add(h.Append(nil), make([]byte, 64), []byte{}, true)
	f.Fuzz(func(t *testing.T, raw, sig, body []byte, gone bool) {
		e, err := ParseEntry(raw, sig, body, gone)
		kindOf(t, err)
		if err == nil && (e.ID != sha256.Sum256(raw) || !gone && sha256.Sum256(e.Body) != e.Header.BodyHash) {
			t.Fatal("accepted an entry that is not what was hashed")
		}
		if err == nil {
			e.Verify() // must not panic on any key
		}
	})
}

func FuzzParseRun(f *testing.F) {
	e := NewEntry(sampleHeader(), []byte("hello"))
	e.Signature = make([]byte, 64)
	r := &Run{Board: ID{2}, Origin: Origin{NodeID{9}, Epoch{2, 3}}, First: 1, Prev: Link{Epoch{1, 1}, 4, Hash{5}}, Items: []Item{{Entry: e, Received: 7, HeadSig: make([]byte, 64)}}}
	b, err := proto.Marshal(r.Wire())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var m weftv1.Run
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		r, err := ParseRun(&m)
		kindOf(t, err)
		if err != nil {
			return
		}
		hs := r.Hashes()
		for i := range r.Items {
			prev := r.Prev.Hash
			if i > 0 {
				prev = hs[i-1]
			}
			if rec := r.Record(i, prev); rec.Hash() != hs[i] {
				t.Fatalf("hash of record %d", i)
			}
		}
		again, err := ParseRun(r.Wire())
		if err != nil || again.LastSeq() != r.LastSeq() || again.Hashes()[len(hs)-1] != hs[len(hs)-1] {
			t.Fatalf("over the wire again: %v", err)
		}
		if r.Size() < 0 {
			t.Fatal("size")
		}
	})
}

func FuzzParseVector(f *testing.F) {
	v := Vector{{Node: NodeID{1}, Epoch: Epoch{1, 2}, Seq: 3, Hash: Hash{4}}, {Node: NodeID{2}, Epoch: Epoch{5, 2}, Seq: 3, Base: Point{Epoch{1, 1}, 2}}}
	b, err := proto.Marshal(&weftv1.BoardVector{Board: make([]byte, 16), Elements: v.Wire()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var m weftv1.BoardVector
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		v, err := ParseVector(m.Elements, 100)
		kindOf(t, err)
		if err != nil {
			return
		}
		if w, err := ParseToken(v.Token()); err != nil || !w.Equal(v) {
			t.Fatalf("as a token: %v", err)
		}
		var h Holding
		for _, l := range v {
			h.Set(l.Node, Stretch{Epoch: l.Epoch, Lo: 1, Hi: l.Seq, HiHash: l.Hash})
		}
		h.Covers(v)
		h.Behind(v)
		MergeMax(&h, v, v)
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add(Vector{{Node: NodeID{1}, Epoch: Epoch{1, 2}, Seq: 3, Hash: Hash{4}}}.Token())
	f.Add("AQAAAAAAAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseToken(s)
		kindOf(t, err)
		if err == nil && v.Token() != s {
			t.Fatalf("token has two forms: %q and %q", s, v.Token())
		}
	})
}

// FuzzReplica drives a Replica with events made from bytes: it must not panic, nor hold more than its bounds, nor go on
// by itself without time passing.
func FuzzReplica(f *testing.F) {
	f.Add([]byte("some bytes that make events, one after the other, of every kind there is"))
	f.Add(bytes.Repeat([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}, 20))
	rnd := rand.New(rand.NewPCG(3, 3))
	long := make([]byte, 4000)
	for i := range long {
		long[i] = byte(rnd.Uint32())
	}
	f.Add(long)
	f.Fuzz(func(t *testing.T, b []byte) { newEventMaker(b).drive(t) })
}

// eventMaker turns bytes into events about a small world: four nodes, two boards, logs of forty records with a fork.
type eventMaker struct {
	b      []byte
	team   TeamID
	boards []ID
	chains []*Run
	tokens []uint64
	wants  []Want
	now    time.Time
}

var eventChains = sync.OnceValue(func() (chains []*Run) {
	team := TeamID(simID("team"))
	for _, board := range []ID{GovernanceID(team), GeneralID(team), {9}} {
		for n := range 5 {
			s := &transcript{team: team, names: map[NodeID]string{}}
			name := string(rune('a' + n))
			first := s.chain(name, board, Epoch{1, 1}, 8, Link{}, 0)
			fork := s.chain(name, board, Epoch{1, 1}, 8, Link{}, 3)
			next := s.chain(name, board, Epoch{2, 1}, 8, Link{Epoch{1, 1}, 5, first.Hashes()[4]}, 0)
			chains = append(chains, first, fork, next)
		}
	}
	return chains
})

func newEventMaker(b []byte) *eventMaker {
	m := &eventMaker{b: b, team: simID("team"), now: time.UnixMilli(1e12), chains: eventChains()}
	m.boards = []ID{GovernanceID(m.team), GeneralID(m.team), {9}}
	return m
}

// TestReplicaTakesAnyEvents is FuzzReplica over some thousand random histories.
func TestReplicaTakesAnyEvents(t *testing.T) {
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		b := make([]byte, 1500)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		newEventMaker(b).drive(t)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (m *eventMaker) byte() int {
	if len(m.b) == 0 {
		return 0
	}
	x := m.b[0]
	m.b = m.b[1:]
	return int(x)
}

func (m *eventMaker) node() NodeID { return simID(string(rune('a' + m.byte()%5))) }
func (m *eventMaker) board() ID    { return m.boards[m.byte()%3] }
func (m *eventMaker) flag() bool   { return m.byte()&1 == 1 }

func (m *eventMaker) run() *Run {
	c := m.chains[m.byte()%len(m.chains)]
	first := uint64(1 + m.byte()%8)
	return (&piece{run: c, hashes: c.Hashes()}).part(first, first+uint64(m.byte())%(9-first))
}

func (m *eventMaker) stretch() (*Run, Stretch) {
	r := m.run()
	hs := r.Hashes()
	return r, Stretch{r.Epoch, r.First, r.LastSeq(), hs[len(hs)-1], r.Prev}
}

func (m *eventMaker) vector() (v Vector) {
	for range m.byte() % 6 {
		r := m.run()
		hs := r.Hashes()
		l := Leaf{Node: r.Node, Epoch: r.Epoch, Seq: r.LastSeq(), Hash: hs[len(hs)-1]}
		switch m.byte() % 5 {
		case 0:
			l.Seq = 1 << 63
		case 1:
			l.Base = Point{l.Epoch, r.First}
		}
		v = append(v, l)
	}
	sortVector(v)
	if v.check() != nil {
		return nil
	}
	return v
}

func (m *eventMaker) event() Event {
	switch m.byte() % 19 {
	case 0, 1:
		return PeerUp{m.node(), m.flag()}
	case 2:
		return PeerDown{m.node(), m.flag()}
	case 3:
		nodes := []NodeID{simID("a"), simID("b"), simID("c")}
		return TeamChanged{Team: m.team, Nodes: nodes[m.byte()%3:], Via: []NodeID{m.node()}, Boards: m.boards[1:]}
	case 4:
		if m.byte()%8 == 0 {
			return TeamLeft{m.team}
		}
		return Moving{m.node(), m.flag()}
	case 5, 6:
		r, s := m.stretch()
		return Held{m.team, r.Board, r.Node, s}
	case 7:
		r, s := m.stretch()
		if m.flag() {
			s.Hi = 0
		}
		return Lost{m.team, r.Board, r.Node, s}
	case 8, 9, 10:
		e := PeerVector{Peer: m.node(), Governance: m.flag(), Team: m.team, Whole: m.flag(), More: m.byte()%4 == 0}
		if m.byte()%4 == 0 {
			e.Digest = Hash{1}
		}
		for range m.byte() % 3 {
			e.Boards = append(e.Boards, BoardVector{m.board(), m.vector()})
		}
		return e
	case 11:
		return AskedVector{m.node(), m.flag(), m.team}
	case 12:
		r, s := m.stretch()
		return HeadHeard{m.node(), m.team, Position{r.Board, r.Node, s.Epoch, s.Hi, s.HiHash}}
	case 13:
		return DigestHeard{m.node(), m.team, Hash{byte(m.byte())}}
	case 14:
		return Pushed{m.node(), m.team, m.run()}
	case 15:
		return m.answer()
	case 16:
		return m.ingested()
	case 17:
		r, s := m.stretch()
		if m.flag() {
			return Orphaned{m.team, r.Board, r.Origin, []uint64{s.Lo, s.Hi}}
		}
		return Restored{m.team, r.Board, r.Origin, []uint64{s.Lo}}
	}
	if m.flag() {
		return GovernanceAdvanced{m.team}
	}
	return Offended{m.node(), "frame"}
}

func (m *eventMaker) answer() Event {
	e := Answered{Peer: m.node(), Governance: m.flag(), ID: uint64(m.byte() % 4), Status: AnswerStatus(m.byte() % 7), Done: m.flag()}
	if len(m.wants) > 0 && m.byte()%4 > 0 { // one that was asked for
		w := m.wants[m.byte()%len(m.wants)]
		e = Answered{Peer: w.Peer, Governance: w.Governance, ID: w.ID, Done: m.flag()}
	}
	if m.flag() {
		e.Run = m.run()
	}
	return e
}

func (m *eventMaker) ingested() Event {
	token := uint64(m.byte())
	if len(m.tokens) > 0 {
		i := m.byte() % len(m.tokens)
		token = m.tokens[i]
		m.tokens = append(m.tokens[:i], m.tokens[i+1:]...)
	}
	errs := []error{nil, nil, nil, ErrPending, ErrFork, ErrGap, ErrBadSignature, errors.New("disk")}
	return Ingested{token, errs[m.byte()%len(errs)]}
}

func (m *eventMaker) drive(t *testing.T) {
	r := NewReplica(ReplicaConfig{Self: simID("a"), NewestFirst: 6, HoldRecords: 20, Window: 2000}, rand.New(rand.NewPCG(1, 2)))
	take := func(effects []Effect) {
		for _, e := range effects {
			switch e := e.(type) {
			case Ingest:
				m.tokens = append(m.tokens, e.Token)
			case Want:
				m.wants = append(m.wants, e)
			}
		}
	}
	take(r.Step(m.now, TeamChanged{Team: m.team, Nodes: []NodeID{simID("a"), simID("b"), simID("c")}, Boards: m.boards[1:]}))
	for len(m.b) > 0 {
		take(r.Step(m.now, m.event()))
		if m.byte()%3 == 0 {
			m.now = m.now.Add(time.Duration(binary.BigEndian.Uint16([]byte{byte(m.byte()), byte(m.byte())})) * time.Millisecond)
			for i := 0; !r.Wake().IsZero() && !r.Wake().After(m.now); i++ {
				if take(r.Step(m.now, Tick{})); i > 20 {
					t.Fatalf("due again and again at one moment")
				}
			}
		}
		m.bounds(t, r)
	}
	r.Status(m.team)
	r.Digest(m.team)
}

func (m *eventMaker) bounds(t *testing.T, r *Replica) {
	for _, p := range r.peers.all() {
		if p.held < 0 || p.held > 20 {
			t.Fatalf("%d records held of one peer", p.held)
		}
		for _, s := range p.streams {
			if s != nil && s.transfers.len() > r.cfg.PerPeer {
				t.Fatalf("%d transfers on one stream", s.transfers.len())
			}
		}
	}
	for _, team := range r.teams.all() {
		if team.heldBytes < 0 || team.heldBytes > r.cfg.HoldBytes {
			t.Fatalf("%d bytes held", team.heldBytes)
		}
		for _, b := range team.boards.all() {
			for _, l := range b.logs.all() {
				if len(l.heard) > maxHeard || len(l.refused) > MaxLeaves {
					t.Fatalf("%d heads, %d refusals kept of one log", len(l.heard), len(l.refused))
				}
			}
		}
	}
}
