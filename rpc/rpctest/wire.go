package rpctest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/detect"
	"weft/presence/hub"
)

// Link carries presence and live messages between the hubs of two rigs, as a mesh would, until the test ends. Cut ends
// it. The test's rigs must not be restarted while they are linked.
type Link struct {
	ends [2]*end
	stop sync.Once
	wg   sync.WaitGroup
}

// end is what one rig's hub says to the other's. It is a hub.Wire.
type end struct {
	from, to *Rig
	other    *end
	queue    chan func() // what was said, in order
	done     chan struct{}
}

// Connect links two rigs.
func Connect(t testing.TB, a, b *Rig) *Link {
	t.Helper()
	l := &Link{}
	for i, r := range [2][2]*Rig{{a, b}, {b, a}} {
		l.ends[i] = &end{from: r[0], to: r[1], queue: make(chan func(), 4096), done: make(chan struct{})}
	}
	l.ends[0].other, l.ends[1].other = l.ends[1], l.ends[0]
	for _, e := range l.ends {
		e.from.Hub.SetWire(e)
		l.wg.Go(e.carry)
	}
	for _, e := range l.ends {
		e.to.Hub.NodeHealth(e.from.Node.Public(), detect.Health{Node: e.from.Node.Public(), State: detect.Alive, Since: time.Now(), Boot: [16]byte{1}})
		e.to.Hub.Lease(e.from.Node.Public(), time.Now().Add(time.Hour))
		e.AskWhole(e.to.Node.Public(), e.from.Store.Teams())
		for _, s := range e.from.Hub.SettingsFor(e.to.Node.Public()) {
			e.SendSetting([]board.NodeID{e.to.Node.Public()}, s)
		}
	}
	t.Cleanup(l.Cut)
	return l
}

// Cut ends the link; nothing comes through it any more.
func (l *Link) Cut() {
	l.stop.Do(func() {
		for _, e := range l.ends {
			e.from.Hub.SetWire(nil)
			close(e.done)
		}
		l.wg.Wait()
	})
}

func (e *end) carry() {
	for {
		select {
		case say := <-e.queue:
			say()
		case <-e.done:
			return
		}
	}
}

// put says something unless the link is cut.
func (e *end) put(say func()) {
	select {
	case e.queue <- say:
	case <-e.done:
	}
}

// SendBeat signs a beat and gives it to the other hub.
func (e *end) SendBeat(_ board.TeamID, b *weftv1.PresenceBeat) {
	e.put(func() {
		raw, err := proto.Marshal(b)
		if err != nil {
			e.from.t.Error(err)
			return
		}
		heard := &weftv1.PresenceBeat{}
		if err := proto.Unmarshal(raw, heard); err != nil {
			e.from.t.Error(err)
			return
		}
		sig, node := e.from.Node.Sign(board.SignPresence, raw), e.from.Node.Public()
		err = e.to.Hub.ReceiveBeat(node, &weftv1.Signed{Object: raw, Key: node[:], Signature: sig[:]}, heard)
		if errors.Is(err, board.ErrMalformed) || errors.Is(err, board.ErrTooLarge) {
			e.from.t.Errorf("a beat that nobody can use: %v", err)
		}
	})
}

// AskWhole has the other hub say all.
func (e *end) AskWhole(node board.NodeID, teams []board.TeamID) {
	if node != e.to.Node.Public() {
		return
	}
	e.put(func() {
		for _, t := range teams {
			own, _ := e.to.Hub.Whole(node, t, e.from.Node.Public())
			for _, b := range own {
				e.other.SendBeat(t, b)
			}
		}
	})
}

// SendLive gives live messages to the other hub, as the device has signed them.
func (e *end) SendLive(_ context.Context, _ board.TeamID, nodes []board.NodeID, s *weftv1.Signed) (sent, missed int, err error) {
	if nodes != nil && !slices.Contains(nodes, e.to.Node.Public()) {
		return 0, 0, nil
	}
	e.put(func() {
		raw := &weftv1.LiveBatch{}
		err := proto.Unmarshal(s.Object, raw)
		b, bad := hub.ParseLive(s, raw)
		if err != nil || bad != nil || !b.InTime(time.Now()) || !board.Verify(b.Device, board.SignLive, s.Object, s.Signature) {
			e.from.t.Errorf("a live batch that nobody can use: %v, %v", err, bad)
			return
		}
		//nolint:errcheck // the hub counts what it refuses
		e.to.Hub.ReceiveLive(b)
	})
	return 1, 0, nil
}

// SendSetting tells another home of a person what they have set.
func (e *end) SendSetting(nodes []board.NodeID, s *weftv1.OwnSetting) {
	if slices.Contains(nodes, e.to.Node.Public()) {
		//nolint:errcheck // the hub counts what it refuses
		e.put(func() { e.to.Hub.ReceiveSetting(e.from.Node.Public(), s) })
	}
}
