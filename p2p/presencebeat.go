package p2p

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	people "weft/presence"
	"weft/presence/hub"
)

var _ hub.Wire = (*Mesh)(nil)

// seenKey: what came on the topic is counted apart, too.
type seenKey struct {
	wholeKey
	topic bool
}

// seenBeat is the newest beat of a node in a team.
type seenBeat struct {
	boot   [16]byte
	number uint64
	sent   board.HLC
	window uint64 // bit i: the beat number - i was seen; what comes through others may come in another order
}

// signBeat is a beat under this node's signature.
func (p *presence) signBeat(b *weftv1.PresenceBeat) (*weftv1.Signed, error) {
	raw, err := proto.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("couldn't encode a beat: %w", err)
	}
	if len(raw) > people.MaxBeat {
		return nil, fmt.Errorf("couldn't send a beat of %d bytes: %w", len(raw), board.ErrTooLarge)
	}
	sig := p.m.o.Key.Sign(board.SignPresence, raw)
	return &weftv1.Signed{Object: raw, Key: p.m.self[:], Signature: sig[:]}, nil
}

func beatFrame(s *weftv1.Signed) *weftv1.PresenceFrame {
	return &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Beat{Beat: s}}
}

// SendBeat signs what has changed among this node's people of a team and sends it to each of the team's nodes that there
// is a stream to; and once on the team's topic, if others of its nodes run. It never waits. It is part of hub.Wire.
func (m *Mesh) SendBeat(t board.TeamID, b *weftv1.PresenceBeat) {
	s, err := m.voices.signBeat(b)
	if err != nil {
		m.log.Error("a beat wasn't sent", "team", t.String(), "err", err)
		return
	}
	f, ok := m.voices.encodeSpoken(beatFrame(m.voices.short(s)), t)
	if !ok {
		return
	}
	voices, far := m.voices.ofTeam(t)
	for _, v := range voices {
		v.say(f, false)
	}
	if far > 0 {
		m.subs.say(t, &weftv1.TopicMessage{Message: &weftv1.TopicMessage_Presence{Presence: s}})
	}
}

// ofTeam are the streams to the nodes of a team, and how many more run that there is none to.
func (p *presence) ofTeam(t board.TeamID) (voices []*voice, far int) {
	st := p.m.who.view.Load().teams[t]
	if st == nil {
		return nil, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range st.Nodes() {
		if x := p.mu.mates[n]; x != nil && x.out != nil && slices.Contains(x.teams, t) {
			voices = append(voices, x.out)
		}
	}
	return voices, len(p.far(t))
}

// AskWhole asks for all that is known of a node's people in some teams: the node itself or, where there is no stream to it,
// another one. It never waits, and asks for the same not more often than may be. It is part of hub.Wire.
func (m *Mesh) AskWhole(n board.NodeID, teams []board.TeamID) { m.voices.want(n, teams) }

// SendSetting tells some of a person's other homes what they have set here. It never waits. It is part of hub.Wire.
func (m *Mesh) SendSetting(homes []board.NodeID, set *weftv1.OwnSetting) {
	f, ok := m.voices.encodeSpoken(&weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Setting{Setting: set}})
	if !ok || len(set.User) != len(f.home) {
		return
	}
	f.home = board.UserID(set.User)
	for _, n := range homes {
		if v := m.voices.voiceTo(n); v != nil {
			v.say(f, false)
		}
	}
}

// takeSetting takes what one of this node's people has set at another of their homes.
func (p *presence) takeSetting(e *ear, s *weftv1.OwnSetting) error {
	if len(s.User) != 32 || len(s.Team) != 0 && len(s.Team) != 32 || len(s.Status) > people.MaxStatus {
		return rejected{"malformed", true}
	}
	u := board.UserID(s.User)
	if !p.isHome(u, e.node) || !p.isHome(u, p.m.self) {
		return rejected{"of_stranger", false} // a move of a home may be on its way
	}
	if p.people == nil {
		return nil
	}
	return p.people.ReceiveSetting(e.node, s)
}

// whole are the frames with a node's people in a team, as far as they are known here.
func (p *presence) whole(k wholeKey, to board.NodeID) (out []spoken) {
	if p.people == nil {
		return nil
	}
	own, signed := p.people.Whole(k.node, k.team, to)
	for _, b := range own {
		if b.Number == 0 {
			continue // nothing was ever said there: there is nothing to tell, and it is no beat
		}
		s, err := p.signBeat(b)
		if err != nil {
			p.m.log.Error("a beat wasn't sent", "team", k.team.String(), "err", err)
			return nil
		}
		signed = append(signed, s)
	}
	for _, s := range signed {
		if f, ok := p.encodeSpoken(beatFrame(s), k.team); ok {
			out = append(out, f)
		}
	}
	return out
}

// takeBeat judges a beat that came on from's stream or, with a team, on that team's topic: the cheap parts first, then its
// one signature. An error is rejected, or Presence's.
func (p *presence) takeBeat(from board.NodeID, topic board.TeamID, s *weftv1.Signed) error {
	if len(s.GetObject()) > people.MaxBeat {
		return rejected{"too_large", true}
	}
	b := new(weftv1.PresenceBeat)
	if err := decode(s.GetObject(), b); err != nil {
		return err
	}
	if len(b.Node) != 32 || !bytes.Equal(b.Node, s.Key) || len(b.Team) != 32 || len(b.Boot) != 16 || b.Number == 0 || len(b.Digest) != 16 ||
		len(b.People) > people.MaxPeople || b.Pages > people.MaxPages || b.Whole && b.Page >= b.Pages || !b.Whole && (b.Page != 0 || b.Pages != 0) {
		return rejected{"malformed", true}
	}
	n, t := board.NodeID(b.Node), board.TeamID(b.Team)
	if topic != (board.TeamID{}) && t != topic {
		return rejected{"wrong_team", true}
	}
	if !p.m.who.mayReceive(n, t) || !p.m.who.mayReceive(from, t) || !p.m.who.mayReceive(p.m.self, t) {
		return rejected{"unknown_origin", false}
	}
	if n == p.m.self {
		return rejected{"own", false}
	}
	now := p.m.o.Now()
	if board.Ahead(board.HLC(b.SentHlc), now.Add(time.Hour)) {
		return rejected{"from_the_future", false}
	}
	key, beat := seenKey{wholeKey{n, t}, topic == t}, seenBeat{boot: [16]byte(b.Boot), number: b.Number, sent: board.HLC(b.SentHlc)}
	p.mu.Lock()
	last, known := p.mu.seen[key]
	p.mu.Unlock()
	if known && last.before(beat, b.Whole) {
		return rejected{"old", false}
	}
	if !board.Verify(n, board.SignPresence, s.Object, s.Signature) {
		return rejected{"bad_signature", true}
	}
	p.mu.Lock()
	note := func(key seenKey) (fresh bool) {
		last, known := p.mu.seen[key]
		if known && last.before(beat, b.Whole) {
			return false
		}
		if p.mu.mates[n] != nil {
			p.mu.seen[key] = last.with(beat, b.Whole)
		}
		return true
	}
	fresh := note(key)
	if key.topic { // it is passed on though it has come by a stream
		key.topic = false
		fresh = note(key)
	}
	p.mu.Unlock()
	if from != n {
		p.heardThrough(n, beat.sent)
	}
	if p.people == nil || !fresh {
		return nil
	}
	return p.people.ReceiveBeat(from, s, b)
}

// before says whether b was seen, or is too old to tell. Of another boot the later sent counts: a boot's beats can be kept by
// anybody and said again.
func (s seenBeat) before(b seenBeat, whole bool) bool {
	switch {
	case s.boot != b.boot:
		return b.sent <= s.sent
	case b.number > s.number:
		return false
	case whole: // all that is newer was seen, or it is a page of what was asked for
		return b.number < s.number
	}
	return s.number-b.number >= 64 || s.window&(1<<(s.number-b.number)) != 0
}

// with is s after b.
func (s seenBeat) with(b seenBeat, whole bool) seenBeat {
	if s.boot != b.boot {
		s = seenBeat{boot: b.boot, number: b.number, sent: b.sent}
	}
	if b.number > s.number {
		s.window <<= min(b.number-s.number, 64) // a shift by 64 leaves nothing
		s.number = b.number
	}
	if back := s.number - b.number; !whole && back < 64 {
		s.window |= 1 << back
	}
	s.sent = max(s.sent, b.sent)
	return s
}
