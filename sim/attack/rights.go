package attack

import (
	"context"
	"crypto/sha256"
	"fmt"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

const voided = "weft_store_void_total"

var rightAttacks = []Attack{
	{Name: "cred-of-others", What: "posts with somebody else's right", As: Member, Row: "a right that is someone else's",
		Expect: []string{voided}, run: posting("cred", func(l *liar, h *board.Header) {
			if p, ok := l.other(); ok {
				h.Cred = p.Cred
			}
		})},
	{Name: "cred-charter", What: "posts with the right of the team's owner", As: Member, Row: "a right that is someone else's",
		Expect: []string{voided}, run: posting("charter", func(l *liar, h *board.Header) { h.Cred = l.known.genesis.Hash })},
	{Name: "cred-future", What: "posts with a right that is nowhere (yet)", As: Member, Row: "entries whose right is not here",
		Expect: []string{topic("pending")}, run: posting("later", func(_ *liar, h *board.Header) { h.Cred = board.Hash(rubbish(32)) })},
	{Name: "cred-flood", What: "thousands of posts that wait for rights that never come", As: Member, Row: "entries whose right is not here",
		Expect: []string{counted("hold_full"), counted("pending")}, run: pushing(func(l *liar) (out [][]byte) {
			b := l.newBook(l.general())
			for range 12 {
				var run []*board.Entry
				for range 200 {
					run = append(run, l.post(&b.pen, Forged+" waits", func(h *board.Header) { h.Cred = board.Hash(rubbish(32)) }))
				}
				out = append(out, push(b.add(run...)))
			}
			return out
		})},
	{Name: "cred-other-team", What: "posts of another team, on this team's board", As: Member, Row: "a right that is someone else's", Expect: []string{topic("wrong_team")},
		run: posting("team", func(_ *liar, h *board.Header) { h.Team = board.TeamID(rubbish(32)) })},
	{Name: "author-other", What: "posts in somebody else's name", As: Member, Row: "a right that is someone else's",
		Expect: []string{voided, topic("pending")}, run: posting("author", func(l *liar, h *board.Header) {
			if p, ok := l.other(); ok {
				h.Author, h.Cred = p.User, p.Cred
			}
		})},
	{Name: "device-other", What: "posts said to be signed by somebody else's device", As: Member, Row: "bad signatures",
		Expect: []string{topic("bad_signature")}, run: posting("device", func(l *liar, h *board.Header) {
			if p, ok := l.other(); ok && len(p.Devices) > 0 {
				h.Author, h.Cred, h.Device = p.User, p.Cred, p.Devices[0]
			}
		})},
	{Name: "kind-governance", What: "governance on a board for posts", As: Member, Row: "a right that is someone else's",
		Expect: []string{voided}, run: posting("kind", func(_ *liar, h *board.Header) { h.Kind = board.KindOperation })},
	{Name: "set-by-nobody", What: "a member bans everybody and makes itself an owner", As: Member, Row: "objects of people without power",
		run: governing(func(l *liar) (out []*object) {
			for _, p := range l.known.state.Members() {
				out = append(out, &object{board.KindOperation, l.setOf(p.User, weftv1.Role_ROLE_BANNED)})
			}
			return append(out, &object{board.KindOperation, l.setOf(l.id.User, weftv1.Role_ROLE_OWNER)})
		})},
	{Name: "admits-by-nobody", What: "a member admits people who hold the link, and is not its admitter", As: Member, Row: "people of one invite",
		run: governing(func(l *liar) (out []*object) {
			for _, inv := range l.known.state.Invites() {
				for i := range 10 {
					if p, err := newPerson(fmt.Sprint("uninvited ", i)); err == nil {
						out = append(out, l.presentOf(p), &object{board.KindOperation, l.admitOf(inv.Op, randomKey(), inv.Admitter, p)})
					}
				}
			}
			return out
		})},
	{Name: "governance-flood", What: "thousands of operations that count nowhere", As: Member, Row: "objects of people without power", run: governanceFlood},
	{Name: "governance-rubbish", What: "governance entries with rubbish in them", As: Member, Row: "objects and entries",
		run: governing(func(l *liar) (out []*object) {
			s := signed(l.id.Device, board.SignOperation, l.operation())
			s.Signature = rubbish(64)
			return []*object{
				{board.KindOperation, rubbish(500)}, {board.KindCharter, nil}, {board.KindAck, deep(1000)}, {board.KindOperation, encoded(s)},
				{board.KindOperation, encoded(&weftv1.Signed{})},
			}
		})},
	{Name: "charter-takeover", What: "charters that make a member the owner: without cuts, with a jump of version, a hundred ground for their hash", As: Member,
		Row: "objects of people without power", run: governing(func(l *liar) (out []*object) {
			for i := range 100 {
				c := l.charter(uint64(2 + i%3*7))
				out = append(out, &object{board.KindCharter, encoded(signed(l.id.Device, board.SignCharter, c))})
				h := sha256.Sum256(encoded(c))
				ack := &weftv1.Ack{Charter: h[:], User: l.id.User[:]}
				out = append(out, &object{board.KindAck, encoded(signed(l.id.Device, board.SignAck, ack))})
			}
			return out
		})},
	{Name: "charter-rules", What: "a charter that says the team needs rules that nobody has", As: Member, Row: "teams that need newer rules",
		run: governing(func(l *liar) []*object {
			c := l.charter(2)
			c.Rules = 1 << 20
			return []*object{{board.KindCharter, encoded(signed(l.id.Device, board.SignCharter, c))}}
		})},
	{Name: "present-stolen", What: "presents somebody else's charters, signed by its own device, with its node as their home", As: Member, Row: "homes that did not agree",
		run: governing(func(l *liar) (out []*object) {
			for _, c := range l.stolenCharters() {
				self := l.node()
				home := signed(l.key, board.SignHome, &weftv1.HomeAcceptance{User: c.user[:], Node: self[:]})
				op := l.operation()
				op.Author = c.user[:]
				op.Kind = &weftv1.Operation_Present{Present: &weftv1.Present{Charters: c.charters, Acceptances: []*weftv1.Signed{home}}}
				out = append(out, &object{board.KindOperation, l.signedOp(op)})
			}
			return out
		})},
	{Name: "fork-made-up", What: "a proof that the target forked, which it did not", As: Member, Row: "forks",
		run: governing(func(l *liar) []*object {
			old := l.known.someRun(l.node())
			if old == nil {
				return nil
			}
			a, b := old.Record(0, old.Prev.Hash), old.Record(0, old.Prev.Hash)
			b.Entry = board.Hash(rubbish(32))
			sa, sb := board.SignHead(l.key, a.Position()), board.SignHead(l.key, b.Position())
			op := l.operation()
			op.Kind = &weftv1.Operation_Fork{Fork: &weftv1.ForkProof{
				RecordA: a.Append(nil), HeadSignatureA: sa[:], RecordB: b.Append(nil), HeadSignatureB: sb[:],
			}}
			return []*object{{board.KindOperation, l.signedOp(op)}}
		})},
	{Name: "floor-of-others", What: "a floor for another node's log, so that it would be pruned", As: Member, Row: "objects of people without power",
		run: governing(func(l *liar) []*object {
			old := l.known.someRun(l.node())
			if old == nil {
				return nil
			}
			hashes := old.Hashes()
			at := board.Position{Board: old.Board, Node: old.Node, Epoch: old.Epoch, Seq: old.LastSeq(), Hash: hashes[len(hashes)-1]}
			op := l.operation()
			op.Author = old.Node[:]
			op.Kind = &weftv1.Operation_Floor{Floor: &weftv1.Floor{Position: at.Wire()}}
			own := l.operation()
			own.Kind = op.Kind
			return []*object{{board.KindOperation, encoded(signed(l.key, board.SignOperation, op))}, {board.KindOperation, l.signedOp(own)}}
		})},
}

// posting pushes three posts with spoilt headers, which must not be shown.
func posting(what string, change func(*liar, *board.Header)) func(context.Context, *liar, *order) error {
	return pushing(func(l *liar) [][]byte {
		b := l.newBook(l.general())
		var entries []*board.Entry
		for range 3 {
			entries = append(entries, l.post(&b.pen, Forged+" "+what, func(h *board.Header) { change(l, h) }))
		}
		return [][]byte{push(b.add(entries...))}
	})
}

// object is a governance object, or what is said to be one.
type object struct {
	kind board.Kind
	body []byte
}

// governing has the liar's node record objects, and waits until the target holds them.
func governing(f func(*liar) []*object) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, _ *order) error {
		return l.govern(ctx, f(l))
	}
}

// govern pushes objects in a log of the liar's node and waits until the target says that it holds them.
func (l *liar) govern(ctx context.Context, objects []*object) error {
	b := l.newBook(board.GovernanceID(l.team))
	return l.record(ctx, b, objects)
}

// record goes on with a governance log.
func (l *liar) record(ctx context.Context, b *book, objects []*object) error {
	g, err := l.gossip(ctx, nil)
	if err != nil {
		return err
	}
	x, err := l.greeted(ctx, governanceProtocol)
	if err != nil {
		return err
	}
	defer x.reset()
	for len(objects) > 0 {
		n := min(len(objects), 50)
		var entries []*board.Entry
		for _, o := range objects[:n] {
			if o != nil {
				entries = append(entries, l.governance(&b.pen, o.kind, o.body))
			}
		}
		objects = objects[n:]
		if len(entries) > 0 {
			if err := g.publish(push(b.add(entries...))); err != nil {
				return err
			}
		}
	}
	if !l.holds(x, board.Origin{Node: l.node(), Epoch: b.epoch}, b.next-1) {
		return broken("the target did not take governance records that are in order as records")
	}
	return nil
}

// holds says whether the target tells before long that it holds a log up to seq.
func (l *liar) holds(x *wire, o board.Origin, seq uint64) bool {
	if x.message(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: l.team[:]}}) != nil {
		return false
	}
	for {
		f, err := x.frame(2 * x.patience)
		if err != nil {
			return false
		}
		for _, b := range f.GetVector().GetBoards() {
			for _, e := range b.Elements {
				if string(e.Node) == string(o.Node[:]) && e.Epoch == o.Epoch.N && e.EpochRandom == o.Epoch.R && e.Seq >= seq {
					return true
				}
			}
		}
	}
}

func governanceFlood(ctx context.Context, l *liar, o *order) error {
	n := int(500 * max(1, o.seconds.Seconds()))
	var objects []*object
	for i := range n {
		op := l.operation()
		op.Kind = &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: fmt.Sprint(Forged, " ", i)}}
		objects = append(objects, &object{board.KindOperation, l.signedOp(op)})
	}
	return l.govern(ctx, objects)
}

// charter is a child of the charter that counts, with the liar as its only owner and nobody's agreement.
func (l *liar) charter(version uint64) *weftv1.TeamCharter {
	head, some := l.head(), nonce()
	old := l.known.state.Charter()
	return &weftv1.TeamCharter{
		Team: l.team[:], Ver: version, Prev: head[:], Rules: 1, Owners: [][]byte{l.id.User[:]}, Policy: old.Policy, Nonce: some[:], Name: old.Name,
	}
}

// stolen are somebody's charters.
type stolen struct {
	user     board.UserID
	charters []*weftv1.Signed
}

// stolenCharters are those of others that governance shows.
func (l *liar) stolenCharters() (out []stolen) {
	for _, runs := range l.known.governance {
		for _, run := range runs {
			for _, it := range run.Items {
				var s weftv1.Signed
				var op weftv1.Operation
				if it.Entry.Header.Kind != board.KindOperation || !unmarshal(it.Entry.Body, &s) || !unmarshal(s.Object, &op) {
					continue
				}
				if p := op.GetPresent(); p != nil && len(op.Author) == 32 && board.UserID(op.Author) != l.id.User {
					out = append(out, stolen{board.UserID(op.Author), p.Charters})
				}
			}
		}
	}
	return out
}
