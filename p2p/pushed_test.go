package p2p

import (
	"testing"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// A post would arrive by pull too, a little later: so this listens on the topic itself.
func TestAPostIsPushedOnTheTopic(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	a.letIn(id, b)
	r := insider(t, a, b)
	topic, joined := r.onTopic(id)
	eventually(t, "the raw peer is in the topic", joined, a)
	sub, err := topic.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Cancel()
	at := a.post(id, board.GeneralID(id), 1).Position
	for ctx := testContext(t); ; {
		msg, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("no push of the post came: %v", err)
		}
		var m weftv1.TopicMessage
		if err := proto.Unmarshal(msg.GetData(), &m); err != nil {
			t.Fatal(err)
		}
		for _, w := range m.GetPush().GetRuns() {
			if run, err := board.ParseRun(w); err == nil && run.Board == at.Board && run.Origin == at.Origin() && run.LastSeq() >= at.Seq {
				return
			}
		}
	}
}
