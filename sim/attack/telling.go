package attack

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

var tellingAttacks = []Attack{
	{Name: "farewell-forged", What: "tells the target that it was removed, by an operation that counts nowhere", As: Member, Row: "farewell",
		Expect: []string{`weft_p2p_frames_total{direction="in",kind="farewell"}`}, run: func(ctx context.Context, l *liar, _ *order) error {
			var objects []*object
			for _, p := range l.known.state.Members() {
				if p.User == l.id.User {
					continue // that would be leaving, which counts
				}
				objects = append(objects, &object{board.KindOperation, l.setOf(p.User, weftv1.Role_ROLE_REMOVED)})
			}
			return l.tell(ctx, governanceProtocol, l.farewell(objects))
		}},
	{Name: "farewell-flood", What: "farewells with hundreds of void operations, so that the target puts them into its own log", As: Member, Row: "farewell",
		Expect: []string{refusal("farewell_false"), refusal("farewell_object")}, run: farewellFlood},
	{Name: "farewell-rubbish", What: "a farewell of rubbish, and one of another team's", As: Member, Row: "farewell",
		Expect: []string{refusal("farewell_object"), refusal("farewell_of_stranger"), refusal("farewell_false")},
		run: func(ctx context.Context, l *liar, _ *order) error {
			foreign := l.farewell(nil)
			foreign.GetFarewell().Team = rubbish(32)
			return l.tell(ctx, governanceProtocol, foreign, l.farewell([]*object{{board.KindOperation, rubbish(300)}, {7, nil}, {0, deep(100)}}))
		}},
	{Name: "addresses-false", What: "where other nodes are, signed by the liar", As: Member, Row: "false addresses",
		Expect: []string{refusal("peer_record")}, run: falseAddresses},
	{Name: "marks", What: "read marks of other people, which this version ignores", As: Member, Row: "protocol", run: telling(func(l *liar) *weftv1.SyncFrame {
		m := &weftv1.Marks{}
		b := l.general()
		for _, p := range l.known.state.Members() {
			mark := &weftv1.Mark{User: p.User[:], Team: l.team[:], Board: b[:], Elements: elements(1)}
			m.Marks = append(m.Marks, signed(l.id.Device, board.SignMark, mark))
		}
		return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Marks{Marks: m}}
	})},
}

// farewell is a frame that says that its reader lost the team.
func (l *liar) farewell(objects []*object) *weftv1.SyncFrame {
	f := &weftv1.Farewell{Team: l.team[:]}
	for _, o := range objects {
		f.Objects = append(f.Objects, &weftv1.GovernanceObject{Kind: uint32(o.kind), Body: o.body})
	}
	return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Farewell{Farewell: f}}
}

func farewellFlood(ctx context.Context, l *liar, o *order) error {
	_, err := o.flood(ctx, 3, func(i int) error {
		if i >= 10 {
			wait(ctx, o.seconds)
			return nil
		}
		var objects []*object
		for j := range 300 {
			op := l.operation()
			op.Kind = &weftv1.Operation_Board{Board: &weftv1.CreateBoard{Name: fmt.Sprint(Forged, " ", i, " ", j)}}
			objects = append(objects, &object{board.KindOperation, l.signedOp(op)})
		}
		x, err := l.greeted(ctx, governanceProtocol)
		if err != nil {
			return nil // it is left alone
		}
		defer x.reset()
		if err := x.message(l.farewell(objects)); err != nil {
			return nil
		}
		if err := x.ended(4 * x.patience); err != nil {
			return broken("%v after a farewell", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	before := l.known.state
	if err := l.connect(ctx); err != nil {
		return nil // banned
	}
	runs, err := l.pull(ctx, governanceProtocol, board.GovernanceID(l.team))
	if err != nil {
		return nil
	}
	target, _ := nodeOf(l.target.ID)
	took := 0
	for o, rs := range runs {
		for _, run := range rs {
			for _, it := range run.Items {
				if obj, err := team.EntryObject(it.Entry); err == nil && o.Node == target {
					if _, held := before.Verdict(obj.Hash); !held {
						took++
					}
				}
			}
		}
	}
	if took > 200 {
		return broken("the target put %d of the liar's operations into its own log", took)
	}
	return nil
}

// falseAddresses are records of other nodes that they did not sign.
func falseAddresses(ctx context.Context, l *liar, _ *order) error {
	seed, public := l.key.Seed(), l.key.Public()
	key, err := crypto.UnmarshalEd25519PrivateKey(append(seed[:], public[:]...))
	if err != nil {
		return err
	}
	nowhere := []ma.Multiaddr{ma.StringCast("/ip4/192.0.2.1/udp/9/quic-v1")}
	m := &weftv1.PeerRecords{Team: l.team[:], Envelopes: [][]byte{rubbish(200), nil, rubbish(9 << 10)}}
	for _, n := range l.known.state.Nodes() {
		pub, err := crypto.UnmarshalEd25519PublicKey(n[:])
		if err != nil {
			return err
		}
		id, err := peer.IDFromPublicKey(pub)
		if err != nil {
			return err
		}
		if n == l.node() {
			continue
		}
		e, err := record.Seal(&peer.PeerRecord{PeerID: id, Addrs: nowhere, Seq: 1 << 62}, key)
		if err != nil {
			return err
		}
		b, err := e.Marshal()
		if err != nil {
			return err
		}
		m.Envelopes = append(m.Envelopes, b)
	}
	return l.tell(ctx, governanceProtocol, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Peers{Peers: m}})
}

// presentOf presents somebody in the team.
func (l *liar) presentOf(who team.Identity) *object {
	o, err := team.NewPresent(l.team, who)
	if err != nil {
		return nil
	}
	return &object{board.KindOperation, o.Body}
}

// inviteOf is an invite by l, for which its own node answers, and its hash and key.
func (l *liar) inviteOf(quota uint32) (*object, board.Hash, board.Key) {
	key := randomKey()
	public, self := key.Public(), l.node()
	op := l.operation()
	op.Kind = &weftv1.Operation_Invite{Invite: &weftv1.Invite{Key: public[:], Role: weftv1.Role_ROLE_MEMBER, Admitter: self[:], Quota: quota}}
	body := l.signedOp(op)
	var s weftv1.Signed
	unmarshal(body, &s)
	return &object{board.KindOperation, body}, sha256.Sum256(s.Object), key
}
