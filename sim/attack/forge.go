package attack

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// Forged begins the text of each post that must never be shown.
const Forged = "FORGED"

// book is a log that a liar writes as it likes: one epoch in one board.
type book struct {
	node  board.Key // whose log it is; signs heads
	board board.ID
	epoch board.Epoch
	next  uint64
	prev  board.Link
	pen   pen
}

// pen writes entries of one device's chain.
type pen struct {
	team  board.TeamID
	board board.ID
	epoch uint64
	seq   uint64
	prev  board.Hash
}

func random64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// newBook begins a log of l's node.
func (l *liar) newBook(b board.ID) *book {
	return &book{
		node: l.key, board: b, epoch: board.Epoch{N: 1, R: random64()}, next: 1,
		pen: pen{team: l.team, board: b, epoch: random64()},
	}
}

// sealed begins the next epoch of a log, which says that the one before ended at a record.
func (b *book) sealed(at board.Link) *book {
	n := *b
	n.epoch, n.next, n.prev = board.Epoch{N: b.epoch.N + 1, R: random64()}, 1, at
	return &n
}

func now() board.HLC { return board.HLCAt(time.Now()) }

// header of a post by l's person, with their own right.
func (l *liar) header(p *pen) board.Header {
	p.seq++
	return board.Header{
		Team: p.team, Board: p.board, Author: l.id.User, Device: board.DeviceID(l.id.Device.Public()), DevEpoch: p.epoch, DevSeq: p.seq,
		DevPrev: p.prev, Cred: l.cred, ClientMsgID: rand.Text(), HLC: now() | board.HLC(p.seq&0xffff), Kind: board.KindPost,
	}
}

// post is an entry of l's person; change may spoil its header before it is signed.
func (l *liar) post(p *pen, text string, change func(*board.Header)) *board.Entry {
	h := l.header(p)
	if change != nil {
		change(&h)
	}
	e := board.NewEntry(h, []byte(text))
	e.Sign(l.id.Device)
	p.prev = e.ID
	return e
}

// posts are n honest entries.
func (l *liar) posts(p *pen, n int, text string) (out []*board.Entry) {
	for i := range n {
		out = append(out, l.post(p, fmt.Sprintf("%s %d", text, i), nil))
	}
	return out
}

// governance is the entry with which l's node records an object, whatever it says.
func (l *liar) governance(p *pen, kind board.Kind, body []byte) *board.Entry {
	var s weftv1.Signed
	proto.Unmarshal(body, &s) // what can't be read has the hash of nothing
	id := sha256.Sum256(s.Object)
	p.seq++
	e := board.NewEntry(board.Header{
		Team: p.team, Board: p.board, Kind: kind, ClientMsgID: string(id[:]), Device: board.DeviceID(l.key.Public()),
		DevEpoch: p.epoch, DevSeq: p.seq, DevPrev: p.prev, HLC: now() | board.HLC(p.seq&0xffff),
	}, body)
	e.Sign(l.key)
	p.prev = e.ID
	return e
}

// add appends entries to the log and gives the run of them, its last record's head signed.
func (b *book) add(entries ...*board.Entry) *board.Run {
	run := &board.Run{Board: b.board, Origin: board.Origin{Node: board.NodeID(b.node.Public()), Epoch: b.epoch}, First: b.next, Prev: b.prev}
	for i, e := range entries {
		run.Items = append(run.Items, board.Item{Entry: e, Received: now() | board.HLC(i&0xffff)})
	}
	b.seal(run)
	return run
}

// seal signs the head of a run and moves the log behind it.
func (b *book) seal(run *board.Run) {
	hashes := run.Hashes()
	at := board.Position{Board: run.Board, Node: run.Node, Epoch: run.Epoch, Seq: run.LastSeq(), Hash: hashes[len(hashes)-1]}
	sig := board.SignHead(b.node, at)
	run.Items[len(run.Items)-1].HeadSig = sig[:]
	b.next, b.prev = at.Seq+1, board.Link{Epoch: run.Epoch, Seq: at.Seq, Hash: at.Hash}
}

// resigned is run with another signature of its head.
func resigned(run *board.Run, k board.Key) *board.Run {
	r := *run
	r.Items = append([]board.Item(nil), run.Items...)
	b := book{node: k}
	b.seal(&r)
	return &r
}

// signed is the envelope of an object.
func signed(k board.Key, label string, m proto.Message) *weftv1.Signed {
	raw, err := proto.Marshal(m)
	if err != nil {
		raw = nil // what is made here can be encoded
	}
	key, sig := k.Public(), k.Sign(label, raw)
	return &weftv1.Signed{Object: raw, Key: key[:], Signature: sig[:]}
}

func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		return nil
	}
	return b
}

// operation is an operation of l's person under the charter that counts.
func (l *liar) operation() *weftv1.Operation {
	charter, some := l.head(), nonce()
	return &weftv1.Operation{Team: l.team[:], Author: l.id.User[:], Charter: charter[:], Nonce: some[:]}
}

// head is the charter that counts.
func (l *liar) head() board.Hash {
	chain := l.known.state.Chain()
	return chain[len(chain)-1]
}

// signedOp is the body of an operation by l's device.
func (l *liar) signedOp(op *weftv1.Operation) []byte {
	return encoded(signed(l.id.Device, board.SignOperation, op))
}

// setOf is the body of a set of somebody's role, with l's name under it.
func (l *liar) setOf(u board.UserID, r weftv1.Role) []byte {
	op := l.operation()
	op.Kind = &weftv1.Operation_Set{Set: &weftv1.SetRole{User: u[:], Role: r, Cut: &weftv1.Cut{}, Reason: Forged}}
	return l.signedOp(op)
}

// admitOf is the body of an admission of somebody by l's node.
func (l *liar) admitOf(invite board.Hash, inviteKey board.Key, admitter board.NodeID, who team.Identity) []byte {
	charter := sha256.Sum256(who.Charters[len(who.Charters)-1].Object)
	proof := append(append(append(append([]byte(nil), l.team[:]...), who.User[:]...), charter[:]...), admitter[:]...)
	sig := inviteKey.Sign(board.SignInvite, proof)
	op := l.operation()
	self := l.node()
	op.Author = self[:]
	op.Kind = &weftv1.Operation_Admit{Admit: &weftv1.Admit{Invite: invite[:], User: who.User[:], UserCharter: charter[:], InviteSignature: sig[:]}}
	return encoded(signed(l.key, board.SignOperation, op))
}

// newPerson is somebody who isn't in the team.
func newPerson(name string) (team.Identity, error) {
	return team.NewUser(name, randomKey(), randomKey(), randomKey(), nonce())
}

// push is a topic message with runs.
func push(runs ...*board.Run) []byte {
	p := &weftv1.Push{}
	for _, r := range runs {
		p.Runs = append(p.Runs, r.Wire())
	}
	return encoded(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Push{Push: p}})
}
