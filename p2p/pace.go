package p2p

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	weftv1 "weft/api/weft/v1"
)

// A member node can keep this one busy with what is in order and brings nothing. On a stream such frames are read no faster
// than honest peers send them, so that they wait with their sender; of gossip, which cannot wait, such a peer's messages are
// dropped before they are looked at: what is lost is pulled.
const (
	controlRate  = 2000 // frames a second on a stream that carry no records
	controlBurst = 4000
	uselessRate  = 100 // messages of a peer a second that were known, or of no use
	uselessBurst = 1000
)

func newPace() *rate.Limiter { return rate.NewLimiter(controlRate, controlBurst) }

// pace waits until the next frame may be read.
func (k *link) pace(f *weftv1.SyncFrame) error {
	if f.GetAnswer() != nil {
		return nil // as many as this node has given credit for
	}
	if k.slow.Allow() {
		return nil
	}
	k.m.stats.refused.WithLabelValues("frames_too_fast").Inc()
	return k.slow.Wait(k.m.ctx)
}

// uselessness counts what peers say in vain.
type uselessness struct {
	mu    sync.Mutex
	peers map[peer.ID]*rate.Limiter // guarded by mu; of connected peers
}

func newUselessness() *uselessness { return &uselessness{peers: map[peer.ID]*rate.Limiter{}} }

// spend counts a message that was of no use.
func (u *uselessness) spend(p peer.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.peers[p]
	if l == nil {
		l = rate.NewLimiter(uselessRate, uselessBurst)
		u.peers[p] = l
	}
	l.Allow()
}

// spent says whether a peer has said too much in vain of late.
func (u *uselessness) spent(p peer.ID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.peers[p]
	return l != nil && l.Tokens() < 1
}

func (u *uselessness) forget(p peer.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.peers, p)
}
