package hub

import "time"

// LiveLimit is how much of the live lane somebody may take.
type LiveLimit struct {
	Batches, Messages, Bytes float64       // a second
	Lump                     time.Duration // so much of it may come at once
}

// usualLive is what a node says: 20,000 cursors a second, and no more signatures than others can check beside their work.
var usualLive = LiveLimit{Batches: 2000, Messages: 25000, Bytes: 16 << 20, Lump: time.Second}

// PeerLive is what may come from one peer, whoever said it: twice what a node says, since it may pass on what others say.
var PeerLive = LiveLimit{Batches: 2 * usualLive.Batches, Messages: 2 * usualLive.Messages, Bytes: 2 * usualLive.Bytes, Lump: usualLive.heard().Lump / 2}

// heard is what others hear of who keeps to l: what was held up on the way, for as long as it lives, comes in a lump.
func (l LiveLimit) heard() LiveLimit {
	l.Lump += MaxLiveTTL * time.Millisecond
	return l
}

// Budget is what is left of a LiveLimit; a new one is full. It isn't safe for concurrent use.
type Budget struct {
	batches, messages, bytes float64
	at                       time.Time
}

// Take takes a batch off the budget, or nothing and says how long to wait.
func (b *Budget) Take(l LiveLimit, now time.Time, messages, bytes int) (wait time.Duration) {
	past := max(0, now.Sub(b.at).Seconds())
	b.at = now
	need := 0.0
	for _, x := range []struct {
		left       *float64
		rate, cost float64
	}{{&b.batches, l.Batches, 1}, {&b.messages, l.Messages, float64(messages)}, {&b.bytes, l.Bytes, float64(bytes)}} {
		*x.left = min(x.rate*l.Lump.Seconds(), *x.left+past*x.rate)
		need = max(need, (x.cost-*x.left)/x.rate)
	}
	if need > 0 {
		return max(time.Duration(need*float64(time.Second)), time.Millisecond)
	}
	b.batches--
	b.messages -= float64(messages)
	b.bytes -= float64(bytes)
	return 0
}
