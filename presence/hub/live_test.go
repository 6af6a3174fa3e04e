package hub

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
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
		m := &weftv1.LiveMessage{Id: sum[:16], Body: []byte(x), SentMs: uint64(h.LiveNow()), TtlMs: MaxLiveTTL}
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
	key, mark := id.Device.Public(), sha256.Sum256(raw)
	return &weftv1.Signed{Object: raw, Key: key[:], Signature: mark[:]}, b
}

func parsed(t *testing.T, s *weftv1.Signed, m *weftv1.LiveBatch) *Batch {
	t.Helper()
	b, err := ParseLive(s, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hear takes a batch of another node as the mesh would.
func (h *Hub) hear(s *weftv1.Signed, m *weftv1.LiveBatch) error {
	b, err := ParseLive(s, m)
	if err != nil {
		return err
	}
	return h.ReceiveLive(b)
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
		said, err := hubs["ann"].Say(t.Context(), signed, b)
		if err != nil || said != (Said{Nodes: 2, People: 2}) {
			t.Fatalf("%+v, %v", said, err)
		}
		late, err := hubs["bob"].Listen(ListenFilter{Viewer: ids["bob"].User})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // by several ways
			if err := hubs["bob"].hear(signed, b); err != nil {
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
		if said, err := hubs["ann"].Say(t.Context(), signed, b); err != nil || said != (Said{Nodes: 1, People: 1}) || cables["ann"].lives != before+1 {
			t.Errorf("to one person: %+v, %v", said, err)
		}
		for name, l := range listeners {
			if texts, _ := heard(t, l); (name == "bob") != (fmt.Sprint(texts) == "[psst]") || name != "bob" && texts != nil {
				t.Errorf("%s heard %q", name, texts)
			}
		}
		if texts, _ := heard(t, besides); texts != nil {
			t.Errorf("somebody else at that node heard %q", texts)
		}
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
			"for ever":   {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].TtlMs = 0 }, board.ErrMalformed},
			"kind":       {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].Kind = strings.Repeat("k", MaxKind+1) }, board.ErrMalformed},
			"id":         {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].Id = nil }, board.ErrMalformed},
			"board":      {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].Board = make([]byte, 15) }, board.ErrMalformed},
			"many":       {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages = make([]*weftv1.LiveMessage, MaxLiveBatch+1) }, board.ErrTooLarge},
			"long":       {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].TtlMs = 5001 }, board.ErrMalformed},
			"large":      {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[0].Body = make([]byte, MaxLiveBody+1) }, board.ErrTooLarge},
			"none":       {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages = nil }, board.ErrMalformed},
			"two people": {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages[1].Target = make([]byte, 32); b.Messages[1].Target[0] = 1 }, board.ErrMalformed},
			"target":     {ids["ann"], func(b *weftv1.LiveBatch) { b.Messages = b.Messages[:1]; b.Messages[0].Target = b.Team }, board.ErrNotMember},
		} {
			signed, b := say(h, st, x.id, nil, "a"+name, "b"+name)
			x.edit(b)
			if _, err := h.Say(t.Context(), signed, b); !errors.Is(err, x.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		signed, b := say(hubs["bob"], st, ids["bob"], nil, "x")
		b.Team = b.User
		if err := h.hear(signed, b); !errors.Is(err, ErrUnknownTeam) {
			t.Errorf("of a team that isn't here: %v", err)
		}
		if texts, _ := heard(t, l); texts != nil {
			t.Errorf("heard all the same: %q", texts)
		}
	})
}

// TestOldLiveMessagesAreDroppedWhateverTheClocks: by the delay beyond a node's least, not by the difference of clocks.
func TestOldLiveMessagesAreDroppedWhateverTheClocks(t *testing.T) {
	for _, skew := range []int64{0, -60_000, 89_000} {
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
			if err := h.hear(signed, b); err != nil {
				t.Errorf("skew %d: %v", skew, err)
			}
			s1, b1 := from("quick")
			pass(4 * time.Second)
			if err := h.hear(s1, b1); err != nil {
				t.Errorf("skew %d: in time: %v", skew, err)
			}
			s2, b2 := from("old")
			for first, rounds := parsed(t, signed, b), 0; first.InTime(time.Now()); rounds++ { // then it needn't be looked at
				pass(6 * time.Second)
				if err := h.hear(s2, b2); !errors.Is(err, ErrExpired) {
					t.Errorf("skew %d: a message that is too old: %v", skew, err)
				}
				if err := h.hear(signed, b); err != nil && !errors.Is(err, ErrExpired) { // nil: it is known
					t.Errorf("skew %d: played again: %v", skew, err)
				}
				if rounds > 100 {
					t.Fatal("it is in time for ever")
				}
			}
			if texts, _ := heard(t, l); fmt.Sprint(texts) != "[first quick]" {
				t.Errorf("skew %d: heard %q", skew, texts)
			}
		})
	}
}

// TestWhatIsKeptAndSaidAgainIsNotHeard: not even where nothing else was heard of the device meanwhile, for as long as it passes for a
// message of now.
func TestWhatIsKeptAndSaidAgainIsNotHeard(t *testing.T) {
	for _, skew := range []time.Duration{-80 * time.Second, 0, 89 * time.Second} {
		for _, quiet := range []time.Duration{8 * time.Second, 40 * time.Second, time.Hour} {
			bubble(t, func(t *testing.T) {
				hubs, _, st, ids := three(t, nil)
				h := hubs["ann"]
				signed, b := say(hubs["bob"], st, ids["bob"], nil, "once")
				b.Messages[0].SentMs = uint64(int64(b.Messages[0].SentMs) + skew.Milliseconds())
				if err := h.hear(signed, b); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				for first := parsed(t, signed, b); first.InTime(time.Now().Add(time.Second)) && time.Since(began) < quiet; {
					pass(time.Second)
				}
				if err := h.hear(signed, b); !errors.Is(err, ErrExpired) && (err != nil || time.Since(began) > 2*knownFor) {
					t.Errorf("by a clock that is ahead by %s, after %s: %v", skew, time.Since(began), err)
				}
			})
		}
	}
}

// TestAShortLifeIsTheMessagesOwn: of a batch that is held up, those messages are heard that live long enough.
func TestAShortLifeIsTheMessagesOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hubs, _, st, ids := three(t, nil)
		h := hubs["ann"]
		l, err := h.Listen(ListenFilter{Viewer: ids["ann"].User})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.hear(say(hubs["bob"], st, ids["bob"], nil, "first")); err != nil {
			t.Fatal(err)
		}
		signed, b := say(hubs["bob"], st, ids["bob"], nil, "short", "long", "shorter")
		b.Messages[0].TtlMs, b.Messages[2].TtlMs = 1999, 1
		pass(2 * time.Second)
		if err := h.hear(signed, b); err != nil {
			t.Error(err)
		}
		if texts, _ := heard(t, l); fmt.Sprint(texts) != "[first long]" {
			t.Errorf("heard %q", texts)
		}
	})
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
			_, err := hubs["ann"].Say(t.Context(), signed, b)
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
		h, n := hubs["cid"], 0
		flood := func() error { // by a node that says what it likes
			n++
			signed, b := say(hubs["bob"], st, ids["bob"], nil, make([]string, MaxLiveBatch)...)
			signed.Signature = binary.BigEndian.AppendUint64(nil, uint64(n))
			return h.hear(signed, b)
		}
		for !errors.As(flood(), &busy) {
			if n > 10*MaxLiveBatch {
				t.Fatal("nothing of a node's flood was refused")
			}
		}
		if n < 5*25000/MaxLiveBatch {
			t.Errorf("%d batches were too much: they may have been held up", n)
		}
		signed, b := say(hubs["ann"], st, ids["ann"], nil, "others go on")
		if err := h.hear(signed, b); err != nil {
			t.Error(err)
		}
	})
}

// TestRepeatedLiveMessagesCostTheirAuthorNothing: whoever says again what somebody else has signed spends nothing of theirs.
func TestRepeatedLiveMessagesCostTheirAuthorNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hubs, _, st, ids := three(t, nil)
		h := hubs["ann"]
		old, ob := say(hubs["bob"], st, ids["bob"], nil, make([]string, MaxLiveBatch)...)
		pass(6 * time.Second)
		signed, b := say(hubs["bob"], st, ids["bob"], nil, make([]string, MaxLiveBatch)...)
		for range 1000 {
			if err := h.hear(signed, b); err != nil {
				t.Fatal(err)
			}
			if err := h.hear(old, ob); !errors.Is(err, ErrExpired) {
				t.Fatal(err)
			}
		}
		signed, b = say(hubs["bob"], st, ids["bob"], nil, append(make([]string, MaxLiveBatch-1), "new")...)
		if err := h.hear(signed, b); err != nil {
			t.Error(err)
		}
	})
}

// TestWhatIsKnownOfLiveMessagesIsBounded: of batches, and of devices.
func TestWhatIsKnownOfLiveMessagesIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hubs, _, st, ids := three(t, nil)
		h := hubs["ann"]
		hear := func(text string) error {
			signed, b := say(hubs["bob"], st, ids["bob"], nil, text)
			return h.hear(signed, b)
		}
		if err := hear("one"); err != nil {
			t.Fatal(err)
		}
		l := &h.mu.live
		for i := uint64(0); len(l.known[0]) < maxKnown; i++ {
			var m batchMark
			binary.BigEndian.PutUint64(m[:], i)
			l.known[0][m] = struct{}{}
		}
		if err := hear("two"); !errors.As(err, new(*BusyError)) {
			t.Errorf("beyond what can be known again: %v", err)
		}
		pass(3 * knownFor)
		if err := hear("three"); err != nil || len(l.known[0])+len(l.known[1]) != 1 {
			t.Errorf("later: %v, %d are known", err, len(l.known[0])+len(l.known[1]))
		}
		for round := range 10 {
			for i := range 2 * manySpeakers {
				l.speaker(testID(fmt.Sprint(round, i)), time.Now())
			}
			pass(3 * delayFor)
		}
		if len(l.speakers) > 5*manySpeakers {
			t.Errorf("%d devices are known", len(l.speakers))
		}
	})
}

// TestTheLiveClock: it is the wall clock, but for small corrections of that.
func TestTheLiveClock(t *testing.T) {
	l := newLive(usualLimits)
	const wall = int64(1_790_000_000_000)
	l.now(wall, time.Second)
	l.speaker(testID("d"), time.Time{}).least = -7
	for _, x := range []struct {
		name           string
		passed         time.Duration
		wall, want     int64
		measuredBefore bool
	}{
		{"later", 11 * time.Second, wall + 10_000, wall + 10_000, true},
		{"the clock is set back a little", 21 * time.Second, wall, wall + 20_000, true},
		{"and forth", 31 * time.Second, wall + 59_000, wall + 30_000, true},
		{"the machine slept for an hour", 41 * time.Second, wall + 3_640_000, wall + 3_640_000, false},
		{"then", 51 * time.Second, wall + 3_650_000, wall + 3_650_000, false},
		{"the clock was wrong", 61 * time.Second, wall - 86_400_000, wall - 86_400_000, false},
	} {
		if got := l.now(x.wall, x.passed); got != x.want || (l.speakers[testID("d")].least == -7) != x.measuredBefore {
			t.Errorf("%s: %d, not %d; the delay is %d", x.name, got-wall, x.want-wall, l.speakers[testID("d")].least)
		}
	}
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
