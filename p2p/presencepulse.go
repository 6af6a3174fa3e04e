package p2p

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/hub"
)

// pulse says to n that this node is there, and by two digests what it has to say of its people and its boards.
func (p *presence) pulse(n board.NodeID) {
	teams := p.teamsWith(n)
	digests, ok := p.vectors(teams)
	if !ok {
		return
	}
	p.mu.Lock()
	var v *voice
	if x := p.mu.mates[n]; x != nil {
		v = x.out
	}
	word := p.mu.word
	p.mu.Unlock()
	if v == nil {
		return
	}
	out := &weftv1.Pulse{
		LeaseMs: uint32(leaseTime / time.Millisecond), SentHlc: uint64(board.HLCAt(p.m.o.Now())),
		Vectors: vectorsDigest(teams, digests),
	}
	if p.people != nil {
		out.Presence = hub.PulseDigest(p.m.boot, p.people.Digests(n, teams))
	}
	v.mu.Lock()
	if v.mu.told != word {
		out.Alive = word
	}
	v.mu.Unlock()
	s, ok := p.encodeSpoken(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Pulse{Pulse: out}})
	if ok && (v.begin(s) || v.say(s, false)) {
		v.mu.Lock()
		v.mu.told = word
		v.mu.Unlock()
	}
}

// bareMu is a pulse of the word alone. Called with mu held.
func (p *presence) bareMu() *weftv1.Pulse {
	return &weftv1.Pulse{Alive: p.mu.word, SentHlc: uint64(board.HLCAt(p.m.o.Now()))}
}

// vectors are the digests of this node's vectors of each team. False: the mesh is stopping.
func (p *presence) vectors(teams []board.TeamID) (out []board.Hash, ok bool) {
	ok = p.m.loop.do(p.m.ctx, func() {
		for _, t := range teams {
			out = append(out, p.m.loop.rep.Digest(t))
		}
	})
	return out, ok
}

// vectorsDigest is what a pulse says of boards: a hash over team and digest of each, in the order of the teams.
func vectorsDigest(teams []board.TeamID, digests []board.Hash) []byte {
	h := sha256.New()
	for i, t := range teams {
		h.Write(t[:])
		h.Write(digests[i][:])
	}
	return h.Sum(nil)[:16]
}

// takePulse takes a teammate's pulse, and asks for what differs.
func (p *presence) takePulse(e *ear, f *weftv1.Pulse) error {
	if f.Alive != nil {
		if err := p.takeWord(e, f.Alive); err != nil {
			return err
		}
	}
	if e.boot == ([16]byte{}) {
		return fmt.Errorf("%w: a first pulse without its node's word", errFrameBad)
	}
	if f.LeaseMs == 0 { // a word alone
		return nil
	}
	if len(f.Presence) != 0 && len(f.Presence) != 16 || len(f.Vectors) != 16 {
		return fmt.Errorf("%w: a pulse without digests", errFrameBad)
	}
	now := p.m.o.Now()
	p.m.clocks.heard(e.node, board.HLC(f.SentHlc), now)
	teams := p.teamsWith(e.node)
	people := true
	if p.people != nil {
		p.people.Lease(e.node, now.Add(min(time.Duration(f.LeaseMs)*time.Millisecond, leaseTime)))
		people = len(f.Presence) == 0 || p.people.Agree(e.node, e.boot, teams, f.Presence)
	}
	p.compare(e.node, differs{people: !people, boards: !p.m.loop.agrees(e.node, teams, f.Vectors)})
	return nil
}

// takeWord takes a node's own word from itself.
func (p *presence) takeWord(e *ear, s *weftv1.Signed) error {
	if !bytes.Equal(s.GetKey(), e.node[:]) {
		return rejected{"of_another", true}
	}
	w, err := p.readWord(s)
	if err != nil {
		return err
	}
	e.boot = [16]byte(w.Boot)
	p.prober.said(e.node, w, s)
	p.mu.Lock()
	last := p.mu.words[e.node]
	p.mu.Unlock()
	if last != nil && !bytes.Equal(last.word.Boot, w.Boot) && w.BootMs < last.word.BootMs && !w.Goodbye {
		// Said now, on its own stream, by a boot that another one has replaced.
		p.m.stats.replica.WithLabelValues("clone").Inc()
		p.m.log.Warn("two copies of one node are running; stop one of them", "node", e.node.String())
	}
	return nil
}

// agrees compares a peer's digest of the vectors of some teams with this node's own and with what the peer has said on its
// streams. False: neither is the same, so something was lost.
func (l *loop) agrees(n board.NodeID, teams []board.TeamID, said []byte) (ok bool) {
	l.do(l.m.ctx, func() {
		digests := make([]board.Hash, len(teams))
		for i, t := range teams {
			digests[i] = l.rep.Digest(t)
		}
		if ok = bytes.Equal(vectorsDigest(teams, digests), said); ok {
			l.tell(board.Agreed{Peer: n, Teams: teams})
			return
		}
		for i, t := range teams {
			d, known := l.rep.PeerDigest(n, t)
			if !known { // the streams are about to tell it
				continue
			}
			digests[i] = d
		}
		ok = bytes.Equal(vectorsDigest(teams, digests), said)
	})
	return ok
}

// compare has a teammate asked what it holds, team by team, where its newest pulse differs: at once, or when the stream to it
// is there and it may be asked again.
func (p *presence) compare(n board.NodeID, d differs) {
	p.mu.Lock()
	if x := p.mu.mates[n]; x != nil {
		x.differs = d
	}
	p.mu.Unlock()
	if d != (differs{}) {
		p.nudge()
	}
}

func askFrame(a *weftv1.PresenceAsk) *weftv1.PresenceFrame {
	return &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Ask{Ask: a}}
}

// takeAsk answers: without teams with digests of all shared ones, else with the whole states of those that the asker may
// know.
func (p *presence) takeAsk(e *ear, a *weftv1.PresenceAsk) error {
	if len(a.Teams) > maxDigests || len(a.Node) != 0 && len(a.Node) != 32 {
		return fmt.Errorf("%w: an ask with too much in it", errFrameBad)
	}
	about := p.m.self
	if len(a.Node) > 0 {
		about = board.NodeID(a.Node)
	}
	if len(a.Teams) == 0 {
		return p.answerDigests(e, a.Vectors)
	}
	var keys []wholeKey
	for _, raw := range a.Teams {
		t, err := teamID(raw)
		if err != nil {
			return err
		}
		k := wholeKey{about, t}
		if !p.m.who.mayReceive(e.node, t) || !p.m.who.mayReceive(about, t) {
			p.m.stats.refused.WithLabelValues("ask_of_stranger").Inc()
			continue
		}
		if e.mayAsk(k) {
			keys = append(keys, k)
		}
	}
	if v := p.voiceTo(e.node); v != nil && len(keys) > 0 {
		v.sayWholes(keys)
	}
	return nil
}

// answerDigests says for each shared team what was said of its people and, if asked, what is held of its boards.
func (p *presence) answerDigests(e *ear, vectors bool) error {
	v := p.voiceTo(e.node)
	if v == nil || !e.mayAsk(wholeKey{}) {
		return nil
	}
	teams := p.teamsWith(e.node)
	said := map[board.TeamID]*weftv1.TeamDigest{}
	if p.people != nil {
		for _, d := range p.people.Digests(e.node, teams) {
			said[board.TeamID(d.Team)] = d
		}
	}
	var held []board.Hash
	if vectors {
		var ok bool
		if held, ok = p.vectors(teams); !ok {
			return nil
		}
	}
	var all []*weftv1.TeamDigest
	for i, t := range teams {
		d := &weftv1.TeamDigest{Team: t[:]}
		if o := said[t]; o != nil {
			d.Number, d.Presence = o.Number, o.Presence
		}
		if vectors {
			d.Vectors = held[i][:]
		}
		all = append(all, d)
	}
	for len(all) > 0 {
		n := min(len(all), maxDigests)
		f := &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Digests{Digests: &weftv1.TeamDigests{Teams: all[:n], More: n < len(all)}}}
		if s, ok := p.encodeSpoken(f, teams[:n]...); ok {
			v.say(s, false)
		}
		all, teams = all[n:], teams[n:]
	}
	return nil
}

// takeDigests compares a teammate's digests team by team.
func (p *presence) takeDigests(e *ear, f *weftv1.TeamDigests) error {
	if len(f.Teams) > maxDigests {
		return errFrameTooLarge
	}
	teams := make([]board.TeamID, 0, len(f.Teams))
	for _, d := range f.Teams {
		t, err := teamID(d.GetTeam())
		if err != nil {
			return err
		}
		if len(d.Vectors) != 0 && len(d.Vectors) != 32 || len(d.Presence) > 16 {
			return fmt.Errorf("%w: wrong length of a digest", errFrameBad)
		}
		teams = append(teams, t)
	}
	var shared []board.TeamID
	var said []*weftv1.TeamDigest
	for i, d := range f.Teams {
		t := teams[i]
		if !p.m.who.mayReceive(e.node, t) {
			p.m.stats.refused.WithLabelValues("digest_of_stranger").Inc()
			continue
		}
		shared = append(shared, t)
		if d.Number > 0 {
			said = append(said, d)
		}
		if len(d.Vectors) > 0 {
			p.m.step(board.DigestHeard{From: e.node, Team: t, Digest: board.Hash(d.Vectors)})
		}
	}
	if p.people != nil {
		p.want(e.node, p.people.Differ(e.node, e.boot, shared, said))
	}
	if e.told = append(e.told, teams...); len(e.told) > 2*maxDigests {
		return errFrameTooLarge
	}
	if !f.More {
		p.m.peers.silentAbout(e.node, p.unsaid(e.node, e.told))
		e.told = nil
	}
	return nil
}

// unsaid are the teams that n should have spoken of besides those that it told.
func (p *presence) unsaid(n board.NodeID, told []board.TeamID) []board.TeamID {
	teams := p.teamsWith(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(teams, func(t board.TeamID) bool {
		return slices.Contains(told, t) || time.Since(p.mu.since[wholeKey{n, t}]) < knownAfter
	})
}

// wholeAsk is a question for a node's people in some teams.
type wholeAsk struct {
	about, to board.NodeID
	teams     []board.TeamID
}

// want has a node's people in some teams asked for: now, or when they may be asked for again.
func (p *presence) want(about board.NodeID, teams []board.TeamID) {
	if len(teams) == 0 {
		return
	}
	p.mu.Lock()
	if x := p.mu.mates[about]; x != nil {
		for _, t := range teams {
			if slices.Contains(x.teams, t) {
				p.mu.wanted[wholeKey{about, t}] = true
			}
		}
	}
	p.mu.Unlock()
	p.nudge()
}

// dueAsks takes what may be asked for now. Called with mu held.
func (p *presence) dueAsks(now time.Time, due func(time.Time) bool) (out []wholeAsk) {
	byNode := map[board.NodeID][]board.TeamID{}
	for k := range p.mu.wanted {
		if at, ok := p.mu.asked[k]; ok && !due(at.Add(askAgain)) {
			continue
		}
		byNode[k.node] = append(byNode[k.node], k.team)
	}
	for n, teams := range byNode {
		slices.SortFunc(teams, compareTeams)
		x := p.mu.mates[n]
		if x == nil {
			continue
		}
		if x.out != nil {
			out = append(out, wholeAsk{n, n, teams})
		} else {
			out = append(out, p.asksOthers(n, teams)...)
		}
		for _, t := range teams {
			delete(p.mu.wanted, wholeKey{n, t})
			p.mu.asked[wholeKey{n, t}] = now
		}
	}
	return out
}

// asksOthers finds for each team a connected node that may hold what another one said. Called with mu held.
func (p *presence) asksOthers(about board.NodeID, teams []board.TeamID) (out []wholeAsk) {
	byNode := map[board.NodeID][]board.TeamID{}
	for _, t := range teams {
		for n, x := range p.mu.mates { // in no order: another one each time
			if n != about && x.out != nil && slices.Contains(x.teams, t) {
				byNode[n] = append(byNode[n], t)
				break
			}
		}
	}
	for n, ts := range byNode {
		out = append(out, wholeAsk{about, n, ts})
	}
	return out
}

func (p *presence) sendAsk(a wholeAsk) {
	v := p.voiceTo(a.to)
	if v == nil {
		return
	}
	for len(a.teams) > 0 {
		n := min(len(a.teams), maxDigests)
		ask := &weftv1.PresenceAsk{}
		if a.about != a.to {
			ask.Node = a.about[:]
		}
		for _, t := range a.teams[:n] {
			ask.Teams = append(ask.Teams, t[:])
		}
		if s, ok := p.encodeSpoken(askFrame(ask), a.teams[:n]...); ok {
			v.say(s, true)
		}
		a.teams = a.teams[n:]
	}
}
