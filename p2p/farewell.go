package p2p

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
	"weft/team"
)

const (
	// farewellTime is how long a node that lost a team has to hear why, before its connection is closed.
	farewellTime = time.Second
	// maxFarewell objects of one farewell, and so many bytes, are taken.
	maxFarewell      = 1024
	maxFarewellBytes = 4 << 20
	// strayObjects of one farewell that count nowhere (yet) are recorded. A true one has a few: a charter before those who
	// agree to it.
	strayObjects = 64
	// falseFarewells of one node that change nothing, in this time, are listened to.
	falseFarewells      = 2
	falseFarewellsEvery = time.Hour
	// farewellFrame is about how many bytes of objects go into one frame.
	farewellFrame = 256 << 10
)

// errFarewell ends a stream on which a peer said that this node lost a team.
var errFarewell = errors.New("the peer said farewell")

// lost sees to it that a node that left teams gets nothing more of them: it is told why as the last thing, its streams
// are closed and it is disconnected once, because pubsub goes on sending to a peer that is in a topic's mesh. Where it
// shares another team it may come back. Called by the loop.
func (l *loop) lost(n board.NodeID, x loss) {
	if n == l.m.self {
		return
	}
	p, err := PeerIDOf(n)
	if err != nil {
		return
	}
	l.m.log.Info("a node left a team; disconnecting it", "peer", p.String(), "shares_another", x.still)
	if k := l.links[linkKey{n, false}]; k != nil {
		k.reset()
	}
	k := l.links[linkKey{n, true}]
	var out []*team.State // teams whose farewell it gets
	for _, t := range x.teams {
		if st := l.teams[t]; k != nil && st != nil && st.IsNode(l.m.self) && !st.IsNode(n) {
			out = append(out, st)
		}
	}
	go l.m.sayFarewell(k, p, out)
}

// sayFarewell makes why it is no node of these teams the last thing that a peer hears on its governance stream, if it has
// one, and disconnects it.
func (m *Mesh) sayFarewell(k *link, p peer.ID, out []*team.State) {
	var last [][]byte
	for _, st := range out {
		last = append(last, farewellFrames(st.ID(), m.proofFor(m.ctx, st, k.node))...)
	}
	if len(last) > 0 {
		k.leave(last)
		patience := time.NewTimer(farewellTime)
		defer patience.Stop()
		select {
		case <-k.ended: // it has heard
		case <-patience.C:
		case <-m.ctx.Done():
		}
	}
	if k != nil {
		k.reset()
	}
	m.host.Network().ClosePeer(p)
}

// proofFor are the objects that show n why it is no node of the team any more.
func (m *Mesh) proofFor(ctx context.Context, st *team.State, n board.NodeID) (out []*weftv1.GovernanceObject) {
	for _, h := range st.NodeProof(n) {
		o, err := m.o.Store.Object(ctx, st.ID(), h)
		if err != nil {
			m.log.Warn("couldn't read what shows why a node left a team", "team", st.ID().String(), "err", err)
			continue
		}
		if out = append(out, &weftv1.GovernanceObject{Kind: uint32(o.Kind), Body: o.Body}); len(out) == maxFarewell {
			break
		}
	}
	return out
}

// farewellFrames are the encoded frames with these objects.
func farewellFrames(t board.TeamID, objects []*weftv1.GovernanceObject) (out [][]byte) {
	for len(objects) > 0 {
		n, size := 0, 0
		for n < len(objects) && (n == 0 || size+proto.Size(objects[n]) <= farewellFrame) {
			size += proto.Size(objects[n])
			n++
		}
		f := &weftv1.Farewell{Team: t[:], Objects: objects[:n], More: n < len(objects)}
		b, err := encodeFrame(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Farewell{Farewell: f}})
		if err != nil {
			return out
		}
		out, objects = append(out, b), objects[n:]
	}
	return out
}

// leave makes these frames the last that go out on the link. What waited to be sent is dropped.
func (k *link) leave(last [][]byte) {
	k.mu.Lock()
	if !k.mu.closed && !k.mu.leaving {
		k.mu.control, k.mu.serving, k.mu.leaving = nil, nil, true
		for _, b := range last {
			k.mu.control = append(k.mu.control, outFrame{b: b})
		}
	}
	k.mu.Unlock()
	k.nudge()
}

// takeLeave says that nothing more comes, and lets the other side end the stream. Called by the writer.
func (k *link) takeLeave() {
	k.s.CloseWrite()
	patience := time.NewTimer(farewellTime)
	defer patience.Stop()
	select {
	case <-k.ended:
	case <-patience.C:
	case <-k.m.ctx.Done():
	}
}

// takeFarewell takes what a peer says to a node that lost a team.
func (k *link) takeFarewell(f *weftv1.Farewell) error {
	t, err := teamID(f.Team)
	if err != nil {
		return err
	}
	if !k.governance || !k.m.who.mayAsk(k.node, t) {
		k.m.stats.refused.WithLabelValues("farewell_of_stranger").Inc()
		return nil
	}
	if len(k.parting)+len(f.Objects) > maxFarewell {
		return errFrameTooLarge
	}
	for _, x := range f.Objects {
		if k.partingBytes += len(x.GetBody()); k.partingBytes <= maxFarewellBytes { // no more would be taken
			k.parting = append(k.parting, x)
		}
	}
	if f.More {
		return nil
	}
	objects := k.parting
	k.parting, k.partingBytes = nil, 0
	if k.m.farewells.spent(k.node, k.m.o.Now()) {
		k.m.stats.refused.WithLabelValues("farewell_false").Inc()
		return errFarewell
	}
	k.m.takeProof(k.m.ctx, t, objects)
	if k.m.who.mayReceive(k.m.self, t) { // nothing that was said shows it
		k.m.stats.refused.WithLabelValues("farewell_false").Inc()
		k.m.farewells.take(k.node, k.m.o.Now())
	}
	return errFarewell
}

// takeProof records what a teammate sent to show that this node lost a team. They are objects like all governance: they
// count by their own signatures, so whoever sends them can't make up anything; and no more is taken than is new here.
func (m *Mesh) takeProof(ctx context.Context, t board.TeamID, objects []*weftv1.GovernanceObject) {
	taken, size, stray := 0, 0, 0
	for _, x := range objects[:min(len(objects), maxFarewell)] {
		if size += len(x.GetBody()); size > maxFarewellBytes || stray > strayObjects {
			break
		}
		switch fresh, err := m.takeObject(ctx, t, x); {
		case errors.Is(err, store.ErrClosed), errors.Is(err, context.Canceled):
			return
		case err != nil:
			m.stats.refused.WithLabelValues("farewell_object").Inc()
			m.log.Warn("couldn't take what shows why this node left a team", "team", t.String(), "err", err)
		case fresh:
			taken++
			if !m.counts(t, x) {
				stray++
			}
		}
	}
	if st, ok := m.o.Store.Team(t); ok && !st.IsNode(m.self) {
		m.who.tell(t, true)
		m.step(lookAgain{})
		m.log.Info("this node is no node of the team any more", "team", t.String(), "role", st.Role(m.o.Identity.User).String(), "objects", taken)
	}
}

// counts says whether an object that was just recorded counts.
func (m *Mesh) counts(t board.TeamID, x *weftv1.GovernanceObject) bool {
	o, err := team.ParseObject(board.Kind(x.Kind), x.Body)
	st, ok := m.o.Store.Team(t)
	if err != nil || !ok {
		return false
	}
	v, held := st.Verdict(o.Hash)
	return held && v.Status == team.Valid
}

// takeObject records one object unless it is held.
func (m *Mesh) takeObject(ctx context.Context, t board.TeamID, x *weftv1.GovernanceObject) (fresh bool, err error) {
	if x.Kind > 0xff {
		return false, fmt.Errorf("couldn't read an object of kind %d: %w", x.Kind, board.ErrMalformed)
	}
	o, err := team.ParseObject(board.Kind(x.Kind), x.Body)
	if err != nil {
		return false, err
	}
	if o.Op != nil && string(o.Op.Team) != string(t[:]) || o.Charter != nil && len(o.Charter.Team) > 0 && string(o.Charter.Team) != string(t[:]) {
		return false, fmt.Errorf("couldn't take an object of another team: %w", board.ErrMalformed)
	}
	st, ok := m.o.Store.Team(t)
	if !ok {
		return false, fmt.Errorf("couldn't take an object of a team that isn't here: %w", board.ErrNotFound)
	}
	if _, held := st.Verdict(o.Hash); held {
		return false, nil
	}
	_, err = m.o.Store.AppendObject(ctx, t, o)
	return err == nil, err
}
