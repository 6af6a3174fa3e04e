package detect

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"weft/board"
	"weft/sim/transcripts"
)

// TestTranscripts plays the conversations in testdata: what happens to one Detector, and what it does then. It is me, in a
// team with ann, bob and cid; dan and ann are in another one with me. To accept what comes out now:
// go test ./presence/detect -run TestTranscripts -rewrite
//
//	start                            all are connected, have said their first word, and answer probes within 2 ms
//	mute NAME … | unmute NAME …      they don't answer, and others say so
//	lies NAME …                      who is asked says of everybody that they run
//	lost NAME | back NAME            the connection; back comes with the word that it said last
//	heard NAME [AGO] | relayed NAME
//	tells NAME WHOM [INCARNATION] [old-boot] [dead]     a suspicion; WHOM may be me
//	says NAME WHOM INCARNATION [new-boot|old-boot] [goodbye]     a word of WHOM that NAME passes on
//	asks NAME WHOM
//	wait DURATION | sleep DURATION   with or without the loop running
//	leave | show
func TestTranscripts(t *testing.T) {
	transcripts.Play(t, "testdata", func() (func([]string) error, *strings.Builder) {
		s := &transcript{}
		return s.command, &s.out
	})
}

type transcript struct {
	d     *Detector
	out   strings.Builder
	start time.Time
	now   time.Time
	mute  map[string]bool
	lies  map[string]bool
	words map[string]Word
	later []reply // in order of time
}

type reply struct {
	at time.Time
	ev Event
}

var cast = []string{"me", "ann", "bob", "cid", "dan"}

func idOf(name string) board.NodeID {
	for i, n := range cast {
		if n == name {
			return board.NodeID{byte(10 * (i + 1))}
		}
	}
	panic("nobody is called " + name)
}

func nameOf(n board.NodeID) string { return cast[n[0]/10-1] }

func names(list []board.NodeID) string {
	var out []string
	for _, n := range list {
		out = append(out, nameOf(n))
	}
	return strings.Join(out, ",")
}

func (s *transcript) command(f []string) error {
	has := func(word string) bool {
		for _, x := range f {
			if x == word {
				return true
			}
		}
		return false
	}
	switch f[0] {
	case "start":
		s.begin()
	case "mute", "unmute":
		for _, n := range f[1:] {
			s.mute[n] = f[0] == "mute"
		}
	case "lies":
		for _, n := range f[1:] {
			s.lies[n] = true
		}
	case "lost":
		s.step(Disconnected{idOf(f[1])})
	case "back":
		s.step(Connected{idOf(f[1])})
		s.step(Said{idOf(f[1]), s.words[f[1]]})
	case "heard":
		var ago time.Duration
		if len(f) > 2 {
			ago, _ = time.ParseDuration(f[2])
		}
		s.step(HeardSome{{idOf(f[1]), ago}})
	case "relayed":
		s.step(Relayed{idOf(f[1])})
	case "asks":
		s.step(AskedFor{idOf(f[1]), idOf(f[2]), 99, []byte("nonce")})
	case "tells":
		x := Suspicion{Node: idOf(f[2]), Dead: has("dead")}
		if f[2] == "me" {
			x.Boot, x.Incarnation = s.d.own.Boot, s.d.own.Incarnation
		} else {
			x.Boot, x.Incarnation = s.words[f[2]].Boot, s.words[f[2]].Incarnation
		}
		if has("old-boot") {
			x.Boot = [16]byte{99}
		}
		if len(f) > 3 {
			if n, err := strconv.ParseUint(f[3], 10, 64); err == nil {
				x.Incarnation = n
			}
		}
		s.step(Told{idOf(f[1]), []Suspicion{x}})
	case "says":
		w := s.words[f[2]]
		w.Node, w.Signed, w.Goodbye = idOf(f[2]), signed, has("goodbye")
		w.Incarnation, _ = strconv.ParseUint(f[3], 10, 64)
		if f[2] == "me" { // a run before this one, whose clock was ahead
			w.Boot, w.BootMs = [16]byte{1}, 200
		}
		switch {
		case has("new-boot"):
			w.Boot, w.BootMs = [16]byte{50 + byte(w.BootMs)}, w.BootMs+1
		case has("old-boot"):
			w.Boot, w.BootMs = [16]byte{40}, w.BootMs-1
		}
		if f[1] == f[2] {
			s.words[f[2]] = w
		}
		s.step(Said{idOf(f[1]), w})
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err
		}
		s.wait(d)
	case "sleep":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err
		}
		s.now = s.now.Add(d)
		s.step(Tick{})
	case "leave":
		s.step(Leaving{})
	case "show":
		for _, p := range s.d.order {
			fmt.Fprintf(&s.out, "%s %s %d", nameOf(p.id), p.state, p.word.Incarnation)
			if len(p.by) > 0 {
				fmt.Fprintf(&s.out, " by %s", names(p.by))
			}
			s.out.WriteByte('\n')
		}
	default:
		return fmt.Errorf("unknown command %s", f[0])
	}
	return nil
}

func (s *transcript) begin() {
	s.start = time.Unix(0, 0)
	s.now, s.mute, s.lies, s.words, s.later = s.start, map[string]bool{}, map[string]bool{}, map[string]Word{}, nil
	s.d = New(Config{Self: idOf("me"), Boot: [16]byte{7}, BootMs: 100, Rand: rand.New(rand.NewPCG(1, 1)), Proof: func(n board.NodeID, _ uint64, proof []byte) bool { return bytes.Equal(proof, n[:]) }})
	crew, other := board.TeamID{1}, board.TeamID{2}
	s.d.Step(s.now, Neighbours{map[board.NodeID][]board.TeamID{
		idOf("ann"): {crew, other}, idOf("bob"): {crew}, idOf("cid"): {crew}, idOf("dan"): {other},
	}})
	for _, n := range cast[1:] {
		s.words[n] = Word{Node: idOf(n), Boot: [16]byte{idOf(n)[0]}, BootMs: 10, Incarnation: 1, Signed: signed}
		s.step(Connected{idOf(n)})
		s.step(Said{idOf(n), s.words[n]})
	}
	s.wait(100 * time.Millisecond)
	s.out.Reset()
}

func (s *transcript) wait(d time.Duration) {
	end := s.now.Add(d)
	for {
		at, ev := s.d.Wake(), Event(Tick{})
		if len(s.later) > 0 && s.later[0].at.Before(at) {
			at, ev = s.later[0].at, s.later[0].ev
		}
		if at.After(end) {
			break
		}
		if _, tick := ev.(Tick); !tick {
			s.later = s.later[1:]
		}
		if at.After(s.now) {
			s.now = at
		}
		s.step(ev)
	}
	s.now = end
}

// step tells the Detector of an event and writes down what it does, but for probes that are answered.
func (s *transcript) step(ev Event) {
	for _, e := range s.d.Step(s.now, ev) {
		text := ""
		switch e := e.(type) {
		case Probe:
			who, about := nameOf(e.Node), nameOf(e.Node)
			if e.Target != (board.NodeID{}) {
				about = nameOf(e.Target)
				text = fmt.Sprintf("ask %s for %s", who, about)
			} else if s.mute[who] {
				text = "probe " + who
			}
			answer := reply{s.now.Add(2 * time.Millisecond), Answered{From: e.Node, ID: e.ID}}
			switch {
			case who == about:
				if e.Nonce != nil {
					text = fmt.Sprintf("probe %s, who is to sign %q", who, e.Nonce)
					answer.ev = Answered{From: e.Node, ID: e.ID, Proof: []byte("signed")}
				}
			case s.lies[who]: // it has signed itself what the other one should have
				answer.ev = Answered{From: e.Node, ID: e.ID, Proof: e.Node[:]}
			case s.mute[about]:
				answer = reply{s.now.Add(300 * time.Millisecond), Answered{From: e.Node, ID: e.ID, Silent: true}}
			default:
				answer.ev = Answered{From: e.Node, ID: e.ID, Proof: e.Target[:]}
			}
			if !s.mute[who] {
				i := len(s.later)
				for i > 0 && s.later[i-1].at.After(answer.at) {
					i--
				}
				s.later = append(s.later[:i], append([]reply{answer}, s.later[i:]...)...)
			}
		case Answer:
			text = fmt.Sprintf("answer %s: %s", nameOf(e.Node), map[bool]string{true: "silent", false: "it runs"}[e.Silent])
			if e.Proof != nil {
				text += fmt.Sprintf(", %s", e.Proof)
			}
		case Tell:
			text = "tell " + names(e.Nodes) + ":"
			for _, x := range e.Suspicions {
				text += fmt.Sprintf(" %s %d suspected", nameOf(x.Node), x.Incarnation)
				if x.Dead {
					text += " and dead"
				}
			}
			for _, w := range e.Words {
				text += fmt.Sprintf(" %s runs, %d", nameOf(w.Node), w.Incarnation)
			}
		case SayAlive:
			text = fmt.Sprintf("say to %s: I run, %d", names(e.Nodes), e.Word.Incarnation)
			if e.Word.Goodbye {
				text = fmt.Sprintf("say to %s: goodbye", names(e.Nodes))
			}
			if e.Word.BootMs != 100 {
				text += fmt.Sprintf(" since %d", e.Word.BootMs)
			}
		case Redial:
			text = "redial " + nameOf(e.Node)
		case Health:
			text = fmt.Sprintf("%s is %s, %d", nameOf(e.Node), e.State, e.Incarnation)
			if len(e.By) > 0 {
				text += ", by " + names(e.By)
			}
		case Count:
			if strings.HasPrefix(e.Name, "accuser_") || e.Name == "suspended" || e.Name == "asked_for_stranger" {
				text = "count " + e.Name
			}
		}
		if text != "" {
			fmt.Fprintf(&s.out, "%6.2f %s\n", s.now.Sub(s.start).Seconds(), text)
		}
	}
}
