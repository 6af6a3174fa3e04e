package hub

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestLiveRates: a flood gets what the limit says and no more, in whatever it is made of; and whoever keeps to what a node may
// say is heard in full, however the way holds it up.
func TestLiveRates(t *testing.T) {
	start := time.UnixMilli(1_790_000_000_000)
	const seconds = 20
	for _, l := range []LiveLimit{usualLive, usualLive.heard(), PeerLive} {
		for _, x := range []struct {
			name            string
			messages, bytes int
			most            float64 // batches a second
		}{
			{"small batches", 1, 100, l.Batches},
			{"many messages", MaxLiveBatch, MaxLiveBatch * 40, l.Messages / MaxLiveBatch},
			{"large messages", 8, MaxLiveBytes, l.Bytes / MaxLiveBytes},
		} {
			var b Budget
			taken := 0.0
			for now := start; now.Before(start.Add(seconds * time.Second)); now = now.Add(100 * time.Microsecond) {
				wait := b.Take(l, now, x.messages, x.bytes)
				if wait == 0 {
					taken++
				} else if again := b; again.Take(l, now.Add(wait+time.Microsecond), x.messages, x.bytes) > 0 {
					t.Fatalf("%s: there is nothing after %s either", x.name, wait)
				}
			}
			if want := x.most * (seconds + l.Lump.Seconds()); taken > want+1 || taken < want-x.most/100-2 {
				t.Errorf("%s: %.0f taken, not %.0f", x.name, taken, want)
			}
		}
	}

	rnd := rand.New(rand.NewPCG(1, 2))
	var said, heard, peer Budget
	opens := start // until when the way is held up
	lost, all := 0, 0
	for now := start; now.Before(start.Add(60 * time.Second)); now = now.Add(time.Millisecond) {
		if rnd.IntN(2000) == 0 {
			opens = now.Add(time.Duration(rnd.IntN(MaxLiveTTL)) * time.Millisecond)
		}
		for messages := 1 + rnd.IntN(MaxLiveBatch); said.Take(usualLive, now, messages, 100*messages) == 0; messages = 1 + rnd.IntN(MaxLiveBatch) {
			at := now
			if opens.After(now) {
				at = opens
			}
			all++
			if heard.Take(usualLive.heard(), at, messages, 100*messages) > 0 || peer.Take(PeerLive, at, messages, 100*messages) > 0 {
				lost++
			}
		}
	}
	if lost > 0 || all < 5000 {
		t.Errorf("of %d batches of who keeps to the limits %d are refused", all, lost)
	}
}
