package hub

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// say makes a batch of live messages of somebody. It is signed by nobody: hubs don't look.
func say(h *Hub, st *team.State, id team.Identity, target *team.Identity, texts ...string) (*weftv1.Signed, *weftv1.LiveBatch) {
	user, tid, node := id.User, st.ID(), h.o.Self
	b := &weftv1.LiveBatch{Team: tid[:], User: user[:], Node: node[:]}
	for _, x := range texts {
		sum := testID(x)
		m := &weftv1.LiveMessage{Id: sum[:16], Body: []byte(x), SentMs: uint64(h.LiveNow())}
		if target != nil {
			u := target.User
			m.Target = u[:]
		}
		b.Messages = append(b.Messages, m)
	}
	raw, err := proto.Marshal(b)
	if err != nil {
		panic(err)
	}
	key := id.Device.Public()
	return &weftv1.Signed{Object: raw, Key: key[:]}, b
}

func heard(t *testing.T, l *Listener) (texts []string, dropped uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for {
		events, n, err := l.Next(ctx)
		dropped += n
		if err != nil {
			return texts, dropped
		}
		for _, e := range events {
			texts = append(texts, string(e.Body))
		}
	}
}

// TestLiveMessagesReachWhoIsThereOnce: on all nodes, by target, never who listens later, never twice.
func TestLiveMessagesReachWhoIsThereOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hubs, cables, st, ids := three(t, nil)
		for name, h := range hubs {
			attach(t, h, ids[name])
		}
		pass(time.Second)
		listeners := map[string]*Listener{}
		for name, h := range hubs {
			l, err := h.Listen(ListenFilter{Viewer: ids[name].User})
			if err != nil {
				t.Fatal(err)
			}
			listeners[name] = l
		}
		signed, b := say(hubs["ann"], st, ids["ann"], nil, "hello", "there")
		nodes, people, err := hubs["ann"].Say(t.Context(), signed, b)
		if err != nil || nodes != 2 || people != 2 {
			t.Fatalf("%d nodes, %d people, %v", nodes, people, err)
		}
		late, err := hubs["bob"].Listen(ListenFilter{Viewer: ids["bob"].User})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // by several ways
			if err := hubs["bob"].ReceiveLive(nodeOf("cid"), signed, b); err != nil {
				t.Errorf("again: %v", err)
			}
		}
		for name, l := range listeners {
			if texts, dropped := heard(t, l); fmt.Sprint(texts) != "[hello there]" || dropped != 0 {
				t.Errorf("%s heard %q", name, texts)
			}
		}
		if texts, _ := heard(t, late); texts != nil {
			t.Errorf("who came later heard %q", texts)
		}
		bob := ids["bob"]
		besides, err := hubs["bob"].Listen(ListenFilter{Viewer: ids["cid"].User}) // somebody else at the same node
		if err != nil {
			t.Fatal(err)
		}
		signed, b = say(hubs["ann"], st, ids["ann"], &bob, "psst")
		before := cables["ann"].lives
		if nodes, people, err := hubs["ann"].Say(t.Context(), signed, b); err != nil || nodes != 1 || people != 1 || cables["ann"].lives != before+1 {
			t.Errorf("to one person: %d nodes, %d people, %v", nodes, people, err)
		}
		for name, l := range listeners {
			if texts, _ := heard(t, l); (name == "bob") != (fmt.Sprint(texts) == "[psst]") || name != "bob" && texts != nil {
				t.Errorf("%s heard %q", name, texts)
			}
		}
		if texts, _ := heard(t, besides); texts != nil {
			t.Errorf("somebody else at that node heard %q", texts)
		}
		s, err := hubs["bob"].AttachOwn(ids["bob"].User, testID("other"), "")
		if err != nil {
			t.Fatal(err)
		}
		s.Close(true)
	})
}

// TestLiveMessagesThatAreRefused, and why.
func TestLiveMessagesThatAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hubs, _, st, ids := three(t, nil)
		h := hubs["ann"]
		stranger, err := team.NewUser("eve", board.NewKey(testID("r")), board.NewKey(testID("d")), board.NewKey(testID("n")), [16]byte{3})
		if err != nil {
			t.Fatal(err)
		}
		l, err := h.Listen(ListenFilter{Viewer: ids["ann"].User})
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range map[string]struct {
			id   team.Identity
			edit func(*weftv1.LiveBatch)
			want error
		}{
			"stranger":   {stranger, func(*weftv1.LiveBatch) {}, board.ErrNotMember},
			"team":       {ids["ann"], func(b *weftv1.LiveBatch) { b.Team[0]++ }, ErrUnknownTeam},
			"node":       {ids["ann"], func(b *weftv1.LiveBatch) { b.Node[0]++ }, board.ErrNotMember},
			"old":        {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].SentMs -= 5001 }, ErrExpired},
			"future":     {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].SentMs += 60000 }, ErrExpired},
			"long":       {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].TtlMs = 5001 }, board.ErrMalformed},
			"large":      {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].Body = make([]byte, MaxLiveBody+1) }, board.ErrTooLarge},
			"none":       {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages = nil }, board.ErrMalformed},
			"two people": {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[1].Target = make([]byte, 32); b.Messages[1].Target[0] = 1 }, board.ErrMalformed},
			"target":     {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages = b.Messages[:1]; b.Messages[0].Target = b.Team }, board.ErrNotMember},
		} {
			signed, b := say(h, st, x.id, nil, "a"+name, "b"+name)
			x.edit(b)
			if _, _, err := h.Say(t.Context(), signed, b); !errors.Is(err, x.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		signed, b := say(hubs["bob"], st, ids["bob"], nil, "x")
		b.User = b.Team
		if err := h.ReceiveLive(nodeOf("bob"), signed, b); !errors.Is(err, board.ErrNotMember) {
			t.Errorf("a stranger's from another node: %v", err)
		}
		if texts, _ := heard(t, l); texts != nil {
			t.Errorf("heard all the same: %q", texts)
		}
	})
}

// TestOldLiveMessagesAreDroppedWhateverTheClocks: by the delay beyond a node's least, not by the difference of clocks.
func TestOldLiveMessagesAreDroppedWhateverTheClocks(t *testing.T) {
	for _, skew := range []int64{0, -30_000, 30_000} {
		bubble(t, func(t *testing.T) {
			hubs, _, st, ids := three(t, nil)
			h := hubs["ann"]
			l, err := h.Listen(ListenFilter{Viewer: ids["ann"].User})
			if err != nil {
				t.Fatal(err)
			}
			from := func(text string) (*weftv1.Signed, *weftv1.LiveBatch) {
				signed, b := say(hubs["bob"], st, ids["bob"], nil, text)
				b.Messages[0].SentMs = uint64(int64(b.Messages[0].SentMs) + skew)
				return signed, b
			}
			signed, b := from("first")
			if err := h.ReceiveLive(nodeOf("bob"), signed, b); err != nil {
				t.Errorf("skew %d: %v", skew, err)
			}
			s1, b1 := from("quick")
			pass(4 * time.Second)
			if err := h.ReceiveLive(nodeOf("bob"), s1, b1); err != nil {
				t.Errorf("skew %d: in time: %v", skew, err)
			}
			s2, b2 := from("old")
			for range 8 {
				pass(6 * time.Second)
				if err := h.ReceiveLive(nodeOf("bob"), s2, b2); !errors.Is(err, ErrExpired) {
					t.Errorf("skew %d: a message that is too old: %v", skew, err)
				}
				if err := h.ReceiveLive(nodeOf("bob"), signed, b); !errors.Is(err, ErrExpired) {
					t.Errorf("skew %d: played again: %v", skew, err)
				}
			}
			if texts, _ := heard(t, l); fmt.Sprint(texts) != "[first quick]" {
				t.Errorf("skew %d: heard %q", skew, texts)
			}
		})
	}
}

// TestFloodsOfLiveMessagesAreBounded: 20,000 a second pass, more is refused with a time to wait; a slow reader holds little and hears how much
// it lost.
func TestFloodsOfLiveMessagesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hubs, _, st, ids := three(t, nil)
		l, err := hubs["bob"].Listen(ListenFilter{Viewer: ids["bob"].User})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		batch := func() error {
			var texts []string
			for range 200 {
				n++
				texts = append(texts, fmt.Sprint(n))
			}
			signed, b := say(hubs["ann"], st, ids["ann"], nil, texts...)
			_, _, err := hubs["ann"].Say(t.Context(), signed, b)
			return err
		}
		got := 0
		for range 300 { // 3 s at 20,000 a second
			if err := batch(); err != nil {
				t.Fatal(err)
			}
			pass(10 * time.Millisecond)
			events, dropped, err := l.Next(t.Context())
			if err != nil || dropped != 0 {
				t.Fatalf("dropped %d, %v", dropped, err)
			}
			got += len(events)
		}
		if got != 60000 {
			t.Errorf("of 60,000 there came %d", got)
		}
		var busy *BusyError
		for range 1000 {
			if err := batch(); err != nil {
				if !errors.As(err, &busy) || busy.RetryAfter <= 0 {
					t.Fatal(err)
				}
				break
			}
		}
		if busy == nil {
			t.Fatal("nothing was refused")
		}
		if len(l.queue) > listenMessages || l.bytes > listenBytes {
			t.Errorf("%d messages of %d bytes wait", len(l.queue), l.bytes)
		}
		if texts, dropped := heard(t, l); dropped == 0 || len(texts)+int(dropped) > n {
			t.Errorf("%d heard, %d lost", len(texts), dropped)
		}
		pass(busy.RetryAfter)
		if err := batch(); err != nil {
			t.Errorf("after the wait: %v", err)
		}
		h := hubs["cid"]
		refused := false
		for i := range 1000 { // a node that says what it likes
			signed, b := say(hubs["bob"], st, ids["bob"], nil)
			for j := range 256 {
				id := testID(fmt.Sprint(i, "/", j))
				b.Messages = append(b.Messages, &weftv1.LiveMessage{Id: id[:16], SentMs: uint64(h.LiveNow())})
			}
			if err := h.ReceiveLive(nodeOf("bob"), signed, b); errors.As(err, &busy) {
				refused = true
				break
			}
		}
		if !refused || len(h.mu.live.ids[0]) > maxIDs {
			t.Errorf("a node's flood: refused %v, %d ids", refused, len(h.mu.live.ids[0]))
		}
	})
}

// TestOthersBeatsArePassedOnAsSigned: who can't reach a node gets what it signed from one that can.
func TestOthersBeatsArePassedOnAsSigned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hubs, cables, st, ids := three(t, nil)
		cables["ann"].to = []*Hub{hubs["bob"]} // ann and cid don't reach each other
		cables["cid"].to = []*Hub{hubs["bob"]}
		attach(t, hubs["ann"], ids["ann"])
		pass(time.Second)
		if got := stateAt(t, hubs["cid"], st.ID(), ids["cid"].User, ids["ann"].User); got.String() != "offline" {
			t.Fatalf("cid knows: %s", got)
		}
		for range 2 { // bob has to ask first
			cables["cid"].AskWhole(nodeOf("ann"), []board.TeamID{st.ID()})
			pass(time.Second)
		}
		if got := stateAt(t, hubs["cid"], st.ID(), ids["cid"].User, ids["ann"].User); got.String() != "online" {
			t.Errorf("cid shows %s", got)
		}
		if own, signed := hubs["bob"].Whole(nodeOf("ann"), st.ID(), testID("stranger")); own != nil || signed != nil {
			t.Error("a stranger is told")
		}
		if _, err := hubs["ann"].Set(ids["ann"].User, nil, settingBusy, false); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		cables["cid"].AskWhole(nodeOf("ann"), []board.TeamID{st.ID()})
		if got := stateAt(t, hubs["cid"], st.ID(), ids["cid"].User, ids["ann"].User); got.String() != "busy" {
			t.Errorf("after a change cid shows %s", got)
		}
		pass(relayFor + time.Minute)
		if n := len(hubs["bob"].mu.relays.all); n != 0 {
			t.Errorf("%d are kept for nobody", n)
		}
	})
}
