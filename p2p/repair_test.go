package p2p

import (
	"context"
	"testing"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
)

// deafen makes a node lose everything that comes on a team's topic.
func (n *testNode) deafen(id board.TeamID) {
	n.t.Helper()
	name := topicName(id)
	eventually(n.t, n.name+" hears the topic", func() bool { return n.mesh.subs.ps.UnregisterTopicValidator(name) == nil }, n)
	self := n.mesh.ID()
	deaf := func(_ context.Context, from peer.ID, _ *pubsub.Message) pubsub.ValidationResult {
		if from == self {
			return pubsub.ValidationAccept
		}
		return pubsub.ValidationIgnore
	}
	if err := n.mesh.subs.ps.RegisterTopicValidator(name, pubsub.ValidatorEx(deaf), pubsub.WithValidatorInline(true)); err != nil {
		n.t.Fatal(err)
	}
}

func TestWhatGossipLosesIsPulled(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b)
	b.deafen(id)
	for i := range uint64(5) {
		a.post(id, general, 3)
		eventually(t, "bob has what he didn't hear", func() bool { return b.entries(general) == 3*(i+1) }, a, b)
	}
}

func TestABeatNamesWhatIsMissing(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b)
	at := b.post(id, general, 1).Position
	eventually(t, "ada has it", func() bool { return a.entries(general) == 1 }, a, b)
	r := insider(t, a, b)
	topic, joined := r.onTopic(id)
	eventually(t, "the raw peer is in the topic", joined, a)
	next := at
	next.Seq, next.Hash = at.Seq+9, board.Hash{1}
	sig := board.SignHead(b.key, next)
	self := b.key.Public()
	raw, _ := proto.Marshal(&weftv1.Beat{
		Team: id[:], Node: self[:], Boot: make([]byte, 16), Number: 1, Digest: make([]byte, 32),
		Heads: []*weftv1.Head{{Position: next.Wire(), Signature: sig[:]}},
	})
	beatSig := b.key.Sign(board.SignBeat, raw)
	m, _ := proto.Marshal(&weftv1.TopicMessage{Message: &weftv1.TopicMessage_Beat{Beat: &weftv1.Signed{Object: raw, Key: self[:], Signature: beatSig[:]}}})
	publish(t, topic, m)
	eventually(t, "ada says that she is behind by 9", func() bool {
		for _, s := range a.mesh.SyncStatus(id) {
			if s.Board == general && s.Behind == 9 && len(s.From) == 1 && s.From[0] == b.key.Public() {
				return true
			}
		}
		return false
	}, a)
}

func TestALateJoinerReadsTheNewestFirst(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob", func(n *testNode) { n.newest = 500 })
	id := a.found("crew")
	general := board.GeneralID(id)
	const posts = 3_000
	last := a.post(id, general, posts)
	a.letIn(id, b)
	page, err := b.store.Page(testContext(t), general, store.PageQuery{Limit: 1})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Entry.ID != last.Entry {
		t.Fatalf("the newest post isn't here when join returns: %v", err)
	}
	eventually(t, "all of the history comes", func() bool { return b.entries(general) == posts && same(id, a, b) }, a, b)
}

func TestARestoredBackupAsksForItsOwnLogBeforeItPosts(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.letIn(id, b)
	b.post(id, general, 10)
	eventually(t, "ada has bob's posts", func() bool { return a.entries(general) == 10 && same(id, a, b) }, a, b)
	b.stop()
	backup := copyFolder(t, b.dir)
	b.start()
	b.post(id, general, 20)
	eventually(t, "ada has all", func() bool { return a.entries(general) == 30 }, a, b)
	b.stop()
	b.dir = backup
	b.start()
	eventually(t, "bob is linked", func() bool {
		for _, p := range b.mesh.Peers() {
			if p.ID == a.mesh.ID() && p.Synced {
				return true
			}
		}
		return false
	}, b)
	b.post(id, general, 1)
	if got := b.entries(general); got != 31 {
		t.Fatalf("bob posted without his lost tail: he has %d entries", got)
	}
	eventually(t, "both have everything", func() bool { return a.entries(general) == 31 && same(id, a, b) }, a, b)
	for _, n := range []*testNode{a, b} {
		if n.counters()["replica_total/orphaned"] > 0 {
			t.Errorf("%s has records that don't count", n.name)
		}
	}
}
