package store

import (
	"context"
	"testing"

	"weft/board"
)

// A node keeps an entry back: it shows by the numbers of the device's later ones, and no longer once it comes.
func TestWhatIsKeptBackShowsByTheDevicesNumbers(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	gaps := func() []DeviceGap {
		t.Helper()
		got, err := f.s.DeviceGaps(ctx, f.team)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	now := board.HLCAt(f.clock.now())
	first := f.signed("m1", "one", 1, nil, now)
	second := f.signed("m2", "two", 2, first, now+1)
	third := f.signed("m3", "three", 3, second, now+2)
	fifth := f.signed("m5", "five", 5, f.signed("m4", "four", 4, third, now+3), now+4)
	f.take(first)
	if got := gaps(); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	f.take(third)
	f.take(fifth)
	want := DeviceGap{Board: f.board, User: f.who.id.User, Device: board.DeviceID(f.who.id.Device.Public()), DevEpoch: 7, Missing: 2}
	if got := gaps(); len(got) != 1 || got[0] != want {
		t.Fatalf("%+v instead of %+v", got, want)
	}
	f.reopen()
	if got := gaps(); len(got) != 1 || got[0] != want {
		t.Fatalf("after a restart: %+v", got)
	}
	f.take(second)
	if got := gaps(); len(got) != 1 || got[0].Missing != 1 {
		t.Fatalf("with one of them here: %+v", got)
	}
	if _, err := f.s.DeviceGaps(ctx, board.TeamID{1}); err == nil {
		t.Fatal("gaps of a team that isn't here")
	}
}
