package p2p

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

const (
	maxPushRuns  = 128 // in one topic message
	maxPushHeads = 256
)

// hearing keeps what is needed to tell an old beat from a new one. Only the validator's one worker uses it; it is
// bounded by the team's nodes.
type hearing struct {
	last map[board.NodeID]*heardBeat
}

type heardBeat struct {
	boot   [16]byte
	number uint64
	before [16]byte // the boot before this one: if it speaks again, two clones of one node are running
	sent   uint64   // the latest stamp of any
	spent  float64  // beats of late, less what time has made good
	at     time.Time
}

// A node beats every 2 s at most. What it says more often, beyond a few that were held up together, is neither looked at nor
// passed on: each beat may make everybody ask for what it names.
const (
	beatBurst  = 16
	beatsEvery = time.Second
)

// tooOften says whether a node's beats come faster than an honest one's.
func (h *heardBeat) tooOften(now time.Time) bool {
	return h.spent-max(0, now.Sub(h.at).Seconds()/beatsEvery.Seconds()) >= beatBurst
}

// spend counts a beat.
func (h *heardBeat) spend(now time.Time) {
	h.spent = max(0, h.spent-max(0, now.Sub(h.at).Seconds()/beatsEvery.Seconds())) + 1
	h.at = now
}

// rejected is a reason to drop a message: the peer's fault, or nobody's.
type rejected struct {
	outcome string
	fault   bool
}

func (r rejected) Error() string { return r.outcome }

// validate judges a message of the topic and hands on what is in it. It is called by one worker, so that the runs of an
// origin stay in order, and waits while the loop is behind: then pubsub's queue fills, and what it drops is counted.
// A push is passed on when its form, its origin and all signatures in it are good.
func (t *topic) validate(_ context.Context, from peer.ID, msg *pubsub.Message) (result pubsub.ValidationResult) {
	if from == t.m.host.ID() {
		return pubsub.ValidationAccept
	}
	n, err := NodeIDOf(from)
	if err != nil {
		return pubsub.ValidationReject
	}
	result = pubsub.ValidationReject
	defer t.m.guard(from, "topic")
	err = t.judge(n, msg.GetData())
	var why rejected
	switch {
	case err == nil:
		t.m.stats.pushes.WithLabelValues("accepted").Inc()
		return pubsub.ValidationAccept
	case errors.As(err, &why) && !why.fault:
		t.m.stats.pushes.WithLabelValues(why.outcome).Inc()
		t.all.useless.spend(from)
		return pubsub.ValidationIgnore
	case errors.As(err, &why):
		t.m.stats.pushes.WithLabelValues(why.outcome).Inc()
		t.m.offend(n, "push_"+why.outcome)
	default:
		t.m.stats.pushes.WithLabelValues("malformed").Inc()
		t.m.offend(n, "push_malformed")
	}
	return pubsub.ValidationReject
}

func (t *topic) judge(from board.NodeID, data []byte) error {
	if len(data) > t.m.o.Limits.TopicMessage {
		return rejected{"too_large", true}
	}
	if !t.m.who.mayReceive(from, t.team) { // subscriptions are filtered, but anybody can send
		return rejected{"of_stranger", false}
	}
	var m weftv1.TopicMessage
	if err := decode(data, &m); err != nil {
		return err
	}
	switch m := m.Message.(type) {
	case *weftv1.TopicMessage_Push:
		return t.judgePush(from, m.Push)
	case *weftv1.TopicMessage_Beat:
		return t.judgeBeat(from, m.Beat)
	case *weftv1.TopicMessage_Presence:
		return t.untaken(t.m.voices.takeBeat(from, t.team, m.Presence))
	case *weftv1.TopicMessage_Live:
		return t.untaken(t.m.voices.takeLive(from, t.team, m.Live))
	}
	return rejected{"unknown_kind", false} // of a later version
}

// untaken is what Presence had against a message as a reason to drop it. A message that is in order is passed on though it
// wasn't taken: others may not have it.
func (t *topic) untaken(err error) error {
	if err == nil || errors.As(err, new(rejected)) || errors.Is(err, board.ErrMalformed) {
		return err
	}
	t.m.stats.refused.WithLabelValues("topic_message_not_taken").Inc()
	return nil
}

// judgePush checks all of a push before it hands on any of it.
func (t *topic) judgePush(from board.NodeID, p *weftv1.Push) error {
	if len(p.Runs) > maxPushRuns || len(p.Heads) > maxPushHeads || len(p.Runs)+len(p.Heads) == 0 {
		return rejected{"malformed", true}
	}
	st, ok := t.m.o.Store.Team(t.team)
	if !ok {
		return rejected{"of_stranger", false}
	}
	var runs []*board.Run
	unknown, pending := false, false
	for _, w := range p.Runs {
		run, err := board.ParseRun(w)
		if err != nil {
			return err
		}
		if err := t.rightBoard(run.Board); err != nil {
			return err
		}
		last := run.Items[len(run.Items)-1]
		if len(last.HeadSig) == 0 {
			return rejected{"no_head", true}
		}
		unknown = unknown || !st.IsNode(run.Node)
		if t.all.held.covers(run.Board, run.Origin, run.LastSeq()) {
			continue
		}
		hashes := run.Hashes()
		at := board.Position{Board: run.Board, Node: run.Node, Epoch: run.Epoch, Seq: run.LastSeq(), Hash: hashes[len(hashes)-1]}
		if !board.VerifyHead(at, last.HeadSig) {
			return rejected{"bad_signature", true}
		}
		if err := t.checkEntries(st, run, hashes); err != nil {
			return err
		}
		runs = append(runs, run)
		pending = pending || run.Board != board.GovernanceID(t.team) && waits(st, run)
	}
	var heads []board.Position
	for _, w := range p.Heads {
		at, err := board.ParsePosition(w.Position)
		if err != nil {
			return err
		}
		if err := t.rightBoard(at.Board); err != nil {
			return err
		}
		unknown = unknown || !st.IsNode(at.Node)
		if t.all.held.covers(at.Board, at.Origin(), at.Seq) {
			continue
		}
		if !board.VerifyHead(at, w.Signature) {
			return rejected{"bad_signature", true}
		}
		heads = append(heads, at)
	}
	if len(runs)+len(heads) == 0 {
		return rejected{"duplicate", false}
	}
	for _, run := range runs {
		t.m.step(board.Pushed{From: from, Team: t.team, Run: run})
	}
	for _, at := range heads {
		t.m.step(board.HeadHeard{From: from, Team: t.team, Position: at})
	}
	if unknown { // the Replica has asked for governance; nothing of it is passed on from here
		return rejected{"unknown_origin", false}
	}
	if pending { // held until governance explains it; then it is pulled by who hasn't got it
		return rejected{"pending", false}
	}
	return nil
}

// checkEntries checks all that makes the store refuse a run as rubbish, before the run is passed on: who hears it from here
// takes it for this node's fault. What is checked here the store needn't check again.
func (t *topic) checkEntries(st *team.State, run *board.Run, hashes []board.Hash) error {
	if !st.IsNode(run.Node) {
		return nil // neither stored nor passed on
	}
	for i, it := range run.Items {
		at := board.Position{Board: run.Board, Node: run.Node, Epoch: run.Epoch, Seq: run.First + uint64(i), Hash: hashes[i]}
		switch {
		case it.Entry.Header.Team != t.team:
			return rejected{"wrong_team", true}
		case len(it.HeadSig) > 0 && i < len(run.Items)-1 && !board.VerifyHead(at, it.HeadSig):
			return rejected{"bad_signature", true}
		}
	}
	run.CheckSignatures(runtime.Gosched)
	for i := range run.Items {
		if !run.Items[i].Checked() {
			return rejected{"bad_signature", true}
		}
	}
	return nil
}

// waits says whether some entry of a run names what governance hasn't brought here yet. Whether a cut has the entry void
// is for the store to find out.
func waits(st *team.State, run *board.Run) bool {
	above := func(*team.Cut) bool { return true }
	for i := range run.Items {
		if st.CheckEntry(&run.Items[i].Entry.Header, above).Status == team.Pending {
			return true
		}
	}
	return false
}

// rightBoard refuses boards that belong to another team. One that no team here knows may be new: the Replica decides.
func (t *topic) rightBoard(b board.ID) error {
	if owner, ok := t.m.o.Store.BoardTeam(b); ok && owner != t.team {
		return rejected{"wrong_team", true}
	}
	return nil
}

// judgeBeat checks a beat: the cheap parts first, then its one signature, which covers the heads it names.
func (t *topic) judgeBeat(from board.NodeID, s *weftv1.Signed) error {
	var b weftv1.Beat
	if err := decode(s.GetObject(), &b); err != nil {
		return err
	}
	if len(b.Node) != 32 || !bytes.Equal(b.Node, s.Key) || len(b.Boot) != 16 || b.Number == 0 ||
		!bytes.Equal(b.Team, t.team[:]) || len(b.Digest) != 32 || len(b.People) > 16 || len(b.Heads) > maxPushHeads {
		return rejected{"malformed", true}
	}
	n, boot := board.NodeID(b.Node), [16]byte(b.Boot)
	if !t.m.who.mayReceive(n, t.team) {
		return rejected{"unknown_origin", false}
	}
	if n == t.m.self {
		if boot != t.m.boot {
			t.m.stats.replica.WithLabelValues("own_beat_of_another_boot").Inc()
		}
		return rejected{"own", false}
	}
	last := t.heard.last[n]
	if last != nil && (last.boot == boot && b.Number <= last.number) {
		return rejected{"old_beat", false}
	}
	if last != nil && last.tooOften(t.m.o.Now()) {
		return rejected{"too_often", false}
	}
	heads := make([]board.Position, 0, len(b.Heads))
	for _, h := range b.Heads {
		at, err := board.ParsePosition(h.GetPosition())
		if err != nil {
			return err
		}
		if at.Node != n {
			return rejected{"malformed", true}
		}
		if err := t.rightBoard(at.Board); err != nil {
			return err
		}
		heads = append(heads, at)
	}
	if !board.Verify(n, board.SignBeat, s.Object, s.Signature) {
		return rejected{"bad_signature", true}
	}
	t.note(n, boot, &b, last)
	if n != from {
		t.m.voices.heardThrough(n, board.HLC(b.SentHlc))
		t.m.voices.compareThrough(n, boot, &weftv1.TeamDigest{Team: b.Team, Number: b.PeopleNumber, Presence: b.People})
	}
	t.m.clocks.heard(n, board.HLC(b.SentHlc), t.m.o.Now())
	ask := from
	if p, err := PeerIDOf(n); err == nil && t.m.host.Network().Connectedness(p) == network.Connected {
		ask = n
	}
	for _, at := range heads {
		if !t.all.held.covers(at.Board, at.Origin(), at.Seq) {
			t.m.step(board.HeadHeard{From: ask, Team: t.team, Position: at})
		}
	}
	t.m.step(board.DigestHeard{From: n, Team: t.team, Digest: board.Hash(b.Digest)})
	return nil
}

// note remembers a beat. Boots that alternate (A, B, A) are two clones of one node: nothing breaks, people should know. An
// old beat that somebody says again, which anybody can, is no sign of one.
func (t *topic) note(n board.NodeID, boot [16]byte, b *weftv1.Beat, last *heardBeat) {
	switch {
	case last == nil:
		last = &heardBeat{boot: boot, number: b.Number}
		t.heard.last[n] = last
	case last.boot == boot:
		last.number = b.Number
	default:
		if last.before == boot && b.SentHlc > last.sent {
			t.m.stats.replica.WithLabelValues("clone").Inc()
			t.m.log.Warn("two copies of one node are running; stop one of them", "node", n.String())
		}
		last.before, last.boot, last.number = last.boot, boot, b.Number
	}
	last.sent = max(last.sent, b.SentHlc)
	last.spend(t.m.o.Now())
}
