package attack

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync/atomic"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

var powerAttacks = []Attack{
	{Name: "admit-over-quota", What: "an admitter admits twelve people by an invite for two", As: Admin, Row: "people of one invite", changes: true,
		run: func(ctx context.Context, l *liar, o *order) error {
			invite, hash, key := l.inviteOf(2)
			objects, err := l.admissions(hash, key, 12)
			if err != nil {
				return err
			}
			return l.quotaHolds(ctx, o, 2, func() error { return l.govern(ctx, append([]*object{invite}, objects...)) })
		}},
	{Name: "admitter-forks", What: "an admitter forks its own log, with two other people admitted in each branch", As: Admin, Row: "forks", changes: true,
		Expect: []string{counted("fork"), "weft_store_forks_total"}, run: admitterForks},
	{Name: "admin-against-owner", What: "an admin bans the owner, and proposes charters without cuts in which it is the owner, and agrees to all of them",
		As: Admin, Row: "objects of people without power", run: governing(func(l *liar) (out []*object) {
			for _, u := range l.known.state.Charter().Owners {
				out = append(out, &object{board.KindOperation, l.setOf(board.UserID(u), weftv1.Role_ROLE_BANNED)})
			}
			for range 5 {
				c := l.charter(l.known.state.Charter().Ver + 1)
				out = append(out, &object{board.KindCharter, encoded(signed(l.id.Device, board.SignCharter, c))})
				h := sha256.Sum256(encoded(c))
				out = append(out, &object{board.KindAck, encoded(signed(l.id.Device, board.SignAck, &weftv1.Ack{Charter: h[:], User: l.id.User[:]}))})
			}
			return out
		})},
}

// admissions of n new people by an invite that l's node answers for.
func (l *liar) admissions(invite board.Hash, key board.Key, n int) (out []*object, err error) {
	for i := range n {
		p, err := newPerson(fmt.Sprint("guest ", i))
		if err != nil {
			return nil, err
		}
		out = append(out, l.presentOf(p), &object{board.KindOperation, l.admitOf(invite, key, l.node(), p)})
	}
	return out, nil
}

// quotaHolds does something by which at most so many people may have come into the team.
func (l *liar) quotaHolds(ctx context.Context, o *order, most int, do func() error) error {
	t, watched := o.Observer.(TeamObserver)
	if !watched {
		return do()
	}
	before, err := t.Roles(ctx)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	wait(ctx, o.seconds)
	after, err := t.Roles(ctx)
	if err != nil {
		return err
	}
	if n := len(after) - len(before); n > most {
		return broken("%d people came in, by an invite for %d", n, most)
	}
	return nil
}

func admitterForks(ctx context.Context, l *liar, o *order) error {
	invite, hash, key := l.inviteOf(2)
	b := l.newBook(board.GovernanceID(l.team))
	return l.quotaHolds(ctx, o, 2, func() error {
		if err := l.record(ctx, b, []*object{invite}); err != nil {
			return err
		}
		g, err := l.gossip(ctx, nil)
		if err != nil {
			return err
		}
		var branches []*board.Run // in one push, as with forked
		for range 3 {
			branch := *b
			guests, err := l.admissions(hash, key, 2)
			if err != nil {
				return err
			}
			var entries []*board.Entry
			for _, x := range guests {
				entries = append(entries, l.governance(&branch.pen, x.kind, x.body))
			}
			branches = append(branches, branch.add(entries...))
		}
		return g.publish(push(branches...))
	})
}

var removedAttacks = []Attack{
	{Name: "removed-goes-on", What: "goes on asking and posting while it is being removed, and after", As: Removed, Row: "eavesdropping", changes: true,
		run: goOn},
	{Name: "removed-comes-back", What: "comes back after its removal: streams, topic, link, and as somebody's new home", As: Removed, Row: "eavesdropping", changes: true,
		Expect: []string{refusal("stranger"), refusal("gossip_of_stranger"), refusal("lobby_full")}, run: comeBack},
	presenceOfRemoved,
}

// goOn is removed while it listens and asks.
func goOn(ctx context.Context, l *liar, o *order) error {
	x, err := l.greeted(ctx, syncProtocol)
	if err != nil {
		return err
	}
	var heard atomic.Bool
	g, err := l.gossip(ctx, func(*pb.RPC) { heard.Store(true) })
	if err != nil {
		return err
	}
	if err := g.subscribe(g.topic); err != nil {
		return err
	}
	if err := g.graft(); err != nil {
		return err
	}
	until(ctx, 2*l.patience, heard.Load) // the stream that the target opens to a member is no leak when it comes late
	b := l.newBook(l.general())
	if err := g.publish(push(b.add(l.posts(&b.pen, 2, "still a member")...))); err != nil {
		return err
	}
	if err := o.Remove(ctx, l.id.User); err != nil {
		return err
	}
	l.outside.Store(true) // for streams opened from here on
	for range 50 {
		g.publish(push(b.add(l.posts(&b.pen, 1, Forged+" after the removal")...)))
		x.message(wantFrame(l.anyWant(random64())))
	}
	if err := x.ended(2 * x.patience); err != nil {
		return broken("%v to a member that was removed", err)
	}
	if !until(ctx, 2*l.patience, func() bool { return !l.connected() }) {
		return broken("a member that was removed is still connected")
	}
	return comeBack(ctx, l, o)
}

// comeBack tries all doors after the removal.
func comeBack(ctx context.Context, l *liar, o *order) error {
	if !l.outside.Load() {
		if err := o.Remove(ctx, l.id.User); err != nil {
			return err
		}
		l.outside.Store(true)
		until(ctx, 2*l.patience, func() bool { return !l.connected() })
	}
	if err := l.connect(ctx); err != nil {
		return nil // not even let in
	}
	for _, p := range []string{syncProtocol, governanceProtocol} {
		x, err := l.open(ctx, p)
		if err != nil {
			continue
		}
		x.message(hello(1))
		x.message(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: l.team[:]}})
		x.message(wantFrame(l.anyWant(1)))
		x.ended(x.patience) // bytes are counted as leaked
	}
	if g, err := l.gossip(ctx, nil); err == nil {
		b := l.newBook(l.general())
		g.subscribe(g.topic)
		g.graft()
		g.publish(push(b.add(l.posts(&b.pen, 2, Forged+" back again")...)))
	}
	if k, err := l.knock(o); err == nil {
		r, err := l.ask(ctx, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Knock{Knock: k}})
		if err == nil && r.Code == "" {
			return broken("a link let somebody in who was removed")
		}
		if err == nil && !slices.Contains([]string{"REMOVED", "BUSY"}, r.Code) {
			return broken("the lobby answered %s to somebody who was removed", r.Code)
		}
	}
	return nil
}
