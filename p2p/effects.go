package p2p

import (
	"context"
	"errors"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
)

// vectorFrame is about how many bytes of vectors go into one frame; docs/limits.md bounds vectors at 512 KiB a frame.
const vectorFrame = 384 << 10

// elementSize is about what a vector's element takes on the wire.
const elementSize = 136

// linkUp puts a link into use, in place of an older one of the same kind: the peer has lost that one.
func (l *loop) linkUp(k *link) {
	key := linkKey{k.node, k.governance}
	if old := l.links[key]; old != nil {
		old.reset()
		l.remember(old)
		l.tell(board.PeerDown{Peer: k.node, Governance: k.governance})
	}
	l.links[key] = k
	l.tell(board.PeerUp{Peer: k.node, Governance: k.governance})
	if k.governance {
		l.m.peers.sendRecords(k)
	}
	l.m.peers.linked(k)
}

func (l *loop) linkDown(k *link) {
	key := linkKey{k.node, k.governance}
	if l.links[key] != k {
		return
	}
	delete(l.links, key)
	l.remember(k)
	l.tell(board.PeerDown{Peer: k.node, Governance: k.governance})
	l.m.peers.unlinked(k)
	l.m.subs.replicated.nudge()
}

// carryOut starts an effect. It never waits.
func (l *loop) carryOut(e board.Effect) {
	switch e := e.(type) {
	case board.SendVector:
		l.sendVector(e)
	case board.SendDigest:
		v := &weftv1.TeamVector{Team: e.Team[:], Digest: e.Digest[:]}
		l.sendAbout(e.Peer, e.Governance, e.Team, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Vector{Vector: v}})
	case board.AskVector:
		l.sendAbout(e.Peer, e.Governance, e.Team, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: e.Team[:]}})
	case board.Want:
		l.sendAbout(e.Peer, e.Governance, e.Team, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Want{Want: wantOnWire(e)}})
	case board.SendCredit:
		c := &weftv1.Credit{Id: e.ID, Bytes: uint32(min(max(e.Bytes, 0), maxCredit))}
		l.send(e.Peer, e.Governance, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Credit{Credit: c}})
	case board.SendCancel:
		c := &weftv1.Cancel{Id: e.ID}
		l.send(e.Peer, e.Governance, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Cancel{Cancel: c}})
	case board.Ingest:
		l.m.pool.add(e)
	case board.ReRecord:
		l.m.chores.add(func() { l.reRecord(e) })
	case board.CompareFork:
		l.m.chores.add(func() { l.compareFork(e) })
	case board.ClosePeer:
		l.closePeer(e)
	case board.Count:
		l.m.stats.replica.WithLabelValues(e.Name).Add(float64(e.N))
	}
}

// send queues a frame for a peer; without a stream it is dropped, as PeerDown is on its way.
func (l *loop) send(n board.NodeID, governance bool, f *weftv1.SyncFrame) {
	if k := l.links[linkKey{n, governance}]; k != nil {
		k.send(f)
	}
}

// sendAbout is send for what tells or asks something about a team: only its nodes get that, and on the way into a team
// the node that its link names.
func (l *loop) sendAbout(n board.NodeID, governance bool, t board.TeamID, f *weftv1.SyncFrame) {
	if !l.m.who.mayAsk(n, t) {
		l.m.stats.refused.WithLabelValues("not_a_node").Inc()
		return
	}
	l.send(n, governance, f)
}

// sendVector sends a vector in frames of bounded size.
func (l *loop) sendVector(e board.SendVector) {
	first := true
	frame := func(boards []*weftv1.BoardVector, more bool) {
		v := &weftv1.TeamVector{Team: e.Team[:], Whole: e.Whole && first, More: more, Boards: boards}
		if !more && !e.Digest.IsZero() {
			v.Digest = e.Digest[:]
		}
		first = false
		l.sendAbout(e.Peer, e.Governance, e.Team, &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Vector{Vector: v}})
	}
	var boards []*weftv1.BoardVector
	size := 0
	for _, b := range e.Boards {
		n := 24 + elementSize*len(b.Vector)
		if size > 0 && size+n > vectorFrame {
			frame(boards, true)
			boards, size = nil, 0
		}
		boards = append(boards, &weftv1.BoardVector{Board: b.Board[:], Elements: b.Vector.Wire()})
		size += n
	}
	frame(boards, false)
}

func wantOnWire(e board.Want) *weftv1.Want {
	w := &weftv1.Want{
		Id: e.ID, Team: e.Team[:], Board: e.Board[:], Node: e.Node[:], Toward: pointOnWire(e.Toward),
		Credit: uint32(min(max(e.Credit, 0), maxCredit)), Backward: e.Backward,
	}
	for _, p := range e.Have {
		w.Have = append(w.Have, pointOnWire(p))
	}
	return w
}

func pointOnWire(p board.Point) *weftv1.EpochPoint {
	return &weftv1.EpochPoint{Epoch: p.Epoch.N, EpochRandom: p.Epoch.R, Seq: p.Seq}
}

// reRecord has the store record orphaned entries again.
func (l *loop) reRecord(e board.ReRecord) {
	ctx, cancel := context.WithTimeout(l.m.ctx, time.Minute)
	defer cancel()
	err := l.m.o.Store.ReRecord(ctx, e.Team, e.Board, e.Origin, e.Seqs)
	if err != nil && !errors.Is(err, store.ErrClosed) && !errors.Is(err, context.Canceled) {
		l.m.log.Warn("couldn't record entries again whose records no longer count", "board", e.Board.String(), "entries", len(e.Seqs), "err", err)
	}
}

// closePeer leaves a peer and lets it not in again for a while.
func (l *loop) closePeer(e board.ClosePeer) {
	p, err := PeerIDOf(e.Peer)
	if err != nil {
		return
	}
	l.m.gate.ban(p, e.BanFor, e.Reason)
	for _, governance := range []bool{true, false} {
		if k := l.links[linkKey{e.Peer, governance}]; k != nil {
			k.reset()
		}
	}
	go l.m.host.Network().ClosePeer(p)
}
