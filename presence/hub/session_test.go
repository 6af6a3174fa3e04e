package hub

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"weft/board"
	"weft/presence"
)

// The goodbye of a session that had vanished counts, once its device has no other session that may come back.
func TestAGoodbyeAfterVanishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := start(t, "n", nil, Limits{})
		defer stop()
		id, u := board.TeamID(testID("crew")), board.UserID(testID("p0"))
		h.join(id, people(2, "n"))
		session := func() *Session {
			s, err := h.Attach(u, testID("d"), "")
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		a, b := session(), session()
		pass(time.Minute)
		a.Close(false)
		b.Close(false)
		pass(11 * time.Second)
		if got := stateAt(t, h, id, u, u); got != presence.Reconnecting {
			t.Fatalf("who vanished is %s", got)
		}
		if err := h.Leave(testID("p1"), a.ID()); !errors.Is(err, ErrUnknownSession) {
			t.Errorf("somebody else's goodbye: %v", err)
		}
		for _, x := range []struct {
			s    *Session
			want presence.State
		}{{a, presence.Reconnecting}, {b, presence.Offline}} {
			if err := h.Leave(u, x.s.ID()); err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
			if got := stateAt(t, h, id, u, u); got != x.want {
				t.Errorf("after that goodbye they are %s, not %s", got, x.want)
			}
		}
		if err := h.Leave(u, b.ID()); !errors.Is(err, ErrUnknownSession) {
			t.Errorf("a second goodbye: %v", err)
		}
		c := session()
		pass(time.Minute)
		c.Close(false)
		session()
		if err := h.Leave(u, c.ID()); err != nil {
			t.Fatal(err)
		}
		pass(11 * time.Second)
		if got := stateAt(t, h, id, u, u); got != presence.Online {
			t.Errorf("who came back is %s", got)
		}
		pass(time.Minute)
		if n := len(h.mu.vanished); n != 0 {
			t.Errorf("%d sessions are kept", n)
		}
	})
}
