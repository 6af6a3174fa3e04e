package board

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"weft/sim/transcripts"
)

// TestTranscripts runs the conversations in testdata/replica: what happens to one Replica, and what it does then.
// To accept what it says now: go test -run TestTranscripts -rewrite
//
//	start [self=me] [newest-first=N] [hold=N]   a Replica of team with nodes me, ann, bob, cid and board general
//	nodes NAME …                       the team's nodes are now these
//	log NAME 1/10 2/5@1/8 [fork=1/4]   NAME's log: 10 records in epoch 1, then epoch 2 that seals 1/8;
//	                                   fork: a second content from there on, named NAME' below
//	up PEER | down PEER                both streams
//	vector PEER [governance] [delta] NAME:1/10 …
//	held NAME 1/1..10 | lost NAME 1/1..5
//	head PEER NAME 1/10
//	push PEER NAME 1/1..3 [future]
//	answer PEER ID NAME 1/1..3 [done] [STATUS] [governance]
//	stored TOKEN [pending|fork|bad|…]
//	orphaned NAME 1/1..3 | restored NAME 1/1..3
//	floor NAME 1/5                     NAME's log is pruned up to there
//	compared PEER NAME 1/3 1/5 [proven|failed]   up to 1/3 PEER's records are those held, 1/5 is not
//	digest PEER same|said|other
//	wait DURATION | status
func TestTranscripts(t *testing.T) {
	transcripts.Play(t, "testdata/replica", func() (func([]string) error, *strings.Builder) {
		s := &transcript{}
		return s.command, &s.out
	})
}

type transcript struct {
	r      *Replica
	now    time.Time
	out    strings.Builder
	team   TeamID
	names  map[NodeID]string
	chains map[string]map[Epoch]*Run // by name of log
}

func (s *transcript) node(name string) NodeID {
	n := NodeID(simID(strings.TrimSuffix(name, "'")))
	s.names[n] = strings.TrimSuffix(name, "'")
	return n
}

func (s *transcript) general() ID { return GeneralID(s.team) }

func (s *transcript) command(w []string) error {
	flag := func(name string) (string, bool) {
		for _, x := range w[1:] {
			if k, v, _ := strings.Cut(x, "="); k == name {
				return v, true
			}
		}
		return "", false
	}
	_, governance := flag("governance")
	board := s.general()
	if governance {
		board = GovernanceID(s.team)
	}
	switch w[0] {
	case "start":
		return s.start(flag)
	case "log":
		return s.log(w[1], w[2:], flag)
	case "digest": // of the boards: the same as the Replica's, as what the peer said last, or another
		d := map[string]Hash{"same": s.r.teams.at(s.team).digest(false), "other": {1}}[w[2]]
		if x, ok := s.r.PeerVector(s.node(w[1]), s.team, board); ok && w[2] == "said" {
			d = TeamDigest([]BoardVector{{board, x}})
		}
		s.step(PeerVector{Peer: s.node(w[1]), Team: s.team, Digest: d})
	case "nodes":
		var nodes []NodeID
		for _, name := range w[1:] {
			nodes = append(nodes, s.node(name))
		}
		s.step(TeamChanged{Team: s.team, Nodes: nodes, Boards: []ID{s.general()}})
	case "floor":
		e, seq, err := point(w[2])
		s.step(Floored{s.team, s.general(), s.node(w[1]), []Point{{e, seq}}})
		return err
	case "lost":
		run, err := s.run(w[1], w[2], board)
		if err != nil {
			return err
		}
		s.step(Lost{s.team, board, run.Node, Stretch{run.Epoch, run.First, run.LastSeq(), run.Hashes()[len(run.Items)-1], run.Prev}})
	case "up", "down":
		for _, g := range []bool{true, false} {
			if w[0] == "up" {
				s.step(PeerUp{s.node(w[1]), g})
			} else {
				s.step(PeerDown{s.node(w[1]), g})
			}
		}
	case "vector":
		return s.vector(w, board, governance, flag)
	case "held":
		run, err := s.run(w[1], w[2], board)
		if err != nil {
			return err
		}
		s.step(Held{s.team, board, run.Node, Stretch{run.Epoch, run.First, run.LastSeq(), run.Hashes()[len(run.Items)-1], run.Prev}})
	case "head":
		run, err := s.run(w[2], strings.Replace(w[3], "/", "/1..", 1), board)
		if err != nil {
			return err
		}
		h := run.Hashes()
		s.step(HeadHeard{s.node(w[1]), s.team, Position{board, run.Node, run.Epoch, run.LastSeq(), h[len(h)-1]}})
	case "push":
		return s.push(w, board, flag)
	case "answer":
		return s.answer(w, board, governance, flag)
	case "stored":
		token, err := strconv.ParseUint(w[1], 10, 64)
		if err != nil {
			return err
		}
		s.step(Ingested{token, outcomes[strings.Join(w[2:], " ")]})
	case "governance-advanced":
		s.step(GovernanceAdvanced{s.team})
	case "orphaned", "restored":
		run, err := s.run(w[1], w[2], board)
		if err != nil {
			return err
		}
		var seqs []uint64
		for q := run.First; q <= run.LastSeq(); q++ {
			seqs = append(seqs, q)
		}
		if w[0] == "orphaned" {
			s.step(Orphaned{s.team, board, run.Origin, seqs})
		} else {
			s.step(Restored{s.team, board, run.Origin, seqs})
		}
	case "wait":
		d, err := time.ParseDuration(w[1])
		s.wait(d)
		return err
	case "compared":
		return s.compared(w, flag)
	case "status":
		s.status()
	default:
		return errors.New("no such command")
	}
	return nil
}

var outcomes = map[string]error{
	"pending": ErrPending, "fork": ErrFork, "bad": ErrBadSignature, "gap": ErrGap, "unknown": ErrUnknownOrigin, "full": errors.New("disk full"),
}

func (s *transcript) start(flag func(string) (string, bool)) error {
	s.now, s.team, s.names, s.chains = time.UnixMilli(0), simID("crew"), map[NodeID]string{}, map[string]map[Epoch]*Run{}
	cfg := ReplicaConfig{Self: s.node("me"), Exchange: time.Hour, NewestFirst: 1000}
	if v, ok := flag("newest-first"); ok {
		cfg.NewestFirst, _ = strconv.ParseUint(v, 10, 64)
	}
	if v, ok := flag("hold"); ok {
		cfg.HoldRecords, _ = strconv.Atoi(v)
	}
	if v, ok := flag("window"); ok {
		cfg.Window, _ = strconv.Atoi(v)
	}
	s.r = NewReplica(cfg, rand.New(rand.NewPCG(1, 1)))
	nodes := []NodeID{s.node("me"), s.node("ann"), s.node("bob"), s.node("cid")}
	s.step(TeamChanged{Team: s.team, Nodes: nodes, Boards: []ID{s.general()}})
	return nil
}

// log makes a log's records.
func (s *transcript) log(name string, parts []string, flag func(string) (string, bool)) error {
	for _, board := range []ID{s.general(), GovernanceID(s.team)} {
		for _, key := range []string{name, name + "'"} {
			s.chains[key+board.String()] = map[Epoch]*Run{}
		}
		for _, part := range parts {
			if strings.Contains(part, "=") {
				continue
			}
			what, seals, _ := strings.Cut(part, "@")
			e, length, err := point(what)
			if err != nil {
				return err
			}
			var prev Link
			if seals != "" {
				pe, ps, err := point(seals)
				if err != nil {
					return err
				}
				prev = Link{pe, ps, s.chains[name+board.String()][pe].Hashes()[ps-1]}
			}
			s.chains[name+board.String()][e] = s.chain(name, board, e, length, prev, 0)
			if f, ok := flag("fork"); ok {
				if fe, from, err := point(f); err == nil && fe == e {
					s.chains[name+"'"+board.String()][e] = s.chain(name, board, e, length, prev, from)
				}
			}
		}
	}
	return nil
}

func (s *transcript) chain(name string, board ID, e Epoch, length uint64, prev Link, forkAt uint64) *Run {
	r := &Run{Board: board, Origin: Origin{s.node(name), e}, First: 1, Prev: prev}
	for i := uint64(1); i <= length; i++ {
		body := fmt.Sprintf("%s %d/%d", name, e.N, i)
		if forkAt > 0 && i >= forkAt {
			body += " otherwise"
		}
		entry := NewEntry(Header{Team: s.team, Board: board, Device: DeviceID{1}, DevSeq: 1, ClientMsgID: body, HLC: HLCAt(s.now) + 1, Kind: KindPost}, []byte(body))
		entry.Signature = make([]byte, 64)
		r.Items = append(r.Items, Item{Entry: entry, Received: 1, HeadSig: make([]byte, 64)})
	}
	return r
}

func point(s string) (Epoch, uint64, error) {
	a, b, ok := strings.Cut(s, "/")
	n, err1 := strconv.ParseUint(a, 10, 64)
	q, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return Epoch{}, 0, fmt.Errorf("%q is not EPOCH/SEQ", s)
	}
	return Epoch{n, n}, q, nil
}

// run cuts records EPOCH/FIRST..LAST out of a log.
func (s *transcript) run(name, rows string, board ID) (*Run, error) {
	a, b, ok := strings.Cut(rows, "..")
	e, first, err := point(a)
	if err != nil {
		return nil, err
	}
	last := first
	if ok {
		if last, err = strconv.ParseUint(b, 10, 64); err != nil {
			return nil, err
		}
	}
	whole := s.chains[name+board.String()][e]
	if whole == nil || last > whole.LastSeq() {
		return nil, fmt.Errorf("log %s has no %s", name, rows)
	}
	p := &piece{run: whole, hashes: whole.Hashes()}
	return p.part(first, last), nil
}

func (s *transcript) vector(w []string, board ID, governance bool, flag func(string) (string, bool)) error {
	_, delta := flag("delta")
	var v Vector
	for _, x := range w[2:] {
		name, rows, ok := strings.Cut(x, ":")
		if !ok {
			continue
		}
		e, seq, err := point(rows)
		if err != nil {
			return err
		}
		l := Leaf{Node: s.node(name), Epoch: e, Seq: seq, Hash: Hash{9}}
		if c := s.chains[name+board.String()][e]; c != nil && seq <= c.LastSeq() {
			l.Hash = c.Hashes()[seq-1]
		}
		v = append(v, l)
	}
	sortVector(v)
	s.step(PeerVector{Peer: s.node(w[1]), Governance: governance, Team: s.team, Whole: !delta, Boards: []BoardVector{{board, v}}})
	return nil
}

func (s *transcript) push(w []string, board ID, flag func(string) (string, bool)) error {
	run, err := s.run(w[2], w[3], board)
	if err != nil {
		return err
	}
	if _, ok := flag("future"); ok {
		items := append([]Item{}, run.Items...)
		for i := range items {
			e := *items[i].Entry
			e.Header.HLC = HLCAt(s.now.Add(time.Hour))
			items[i].Entry = &e
		}
		copied := *run
		copied.Items = items
		run = &copied
	}
	s.step(Pushed{s.node(w[1]), s.team, run})
	return nil
}

func (s *transcript) answer(w []string, board ID, governance bool, flag func(string) (string, bool)) error {
	id, err := strconv.ParseUint(w[2], 10, 64)
	if err != nil {
		return err
	}
	e := Answered{Peer: s.node(w[1]), Governance: governance, ID: id}
	if len(w) > 4 && strings.Contains(w[4], "/") {
		if e.Run, err = s.run(w[3], w[4], board); err != nil {
			return err
		}
	}
	_, e.Done = flag("done")
	for name, st := range map[string]AnswerStatus{"not-held": AnswerNotHeld, "damaged": AnswerDamaged, "busy": AnswerBusy, "not-member": AnswerNotMember} {
		if _, ok := flag(name); ok {
			e.Status = st
		}
	}
	s.step(e)
	return nil
}

func (s *transcript) step(e Event) {
	for _, x := range s.r.Step(s.now, e) {
		s.print(x)
	}
}

func (s *transcript) compared(w []string, flag func(string) (string, bool)) error {
	e, same, err := point(w[3])
	if err != nil {
		return err
	}
	_, differs, err := point(w[4])
	if err != nil {
		return err
	}
	x := ForkCompared{Team: s.team, Board: s.general(), Origin: Origin{s.node(w[2]), e}, From: s.node(w[1]), Same: same, Differs: differs}
	_, x.Proven = flag("proven")
	_, x.Failed = flag("failed")
	s.step(x)
	return nil
}

// wait lets time pass, with a Tick whenever one is due.
func (s *transcript) wait(d time.Duration) {
	end := s.now.Add(d)
	for i := 0; i < 1000; i++ {
		wake := s.r.Wake()
		if wake.IsZero() || wake.After(end) {
			break
		}
		if wake.After(s.now) {
			s.now = wake
		}
		before := s.out.Len()
		s.step(Tick{})
		if said := s.out.String()[before:]; said != "" {
			rest := s.out.String()[:before]
			s.out.Reset()
			s.out.WriteString(rest)
			fmt.Fprintf(&s.out, "at %.1f s:\n%s", float64(s.now.UnixMilli())/1000, said)
		}
	}
	s.now = end
	s.step(Tick{})
}

func (s *transcript) print(x Effect) {
	say := func(format string, a ...any) { fmt.Fprintf(&s.out, "  "+format+"\n", a...) }
	stream := func(governance bool) string {
		if governance {
			return " (governance)"
		}
		return ""
	}
	switch x := x.(type) {
	case SendVector:
		kind := "change"
		if x.Whole {
			kind = "whole vector"
		}
		say("tell %s%s: %s %s", s.names[x.Peer], stream(x.Governance), kind, s.vectors(x.Boards))
	case SendDigest:
		say("tell %s%s: digest", s.names[x.Peer], stream(x.Governance))
	case AskVector:
		say("ask %s%s for its whole vector", s.names[x.Peer], stream(x.Governance))
	case Want:
		how := "from"
		have := "the start"
		if len(x.Have) > 0 {
			have = fmt.Sprintf("after %d/%d", x.Have[len(x.Have)-1].Epoch.N, x.Have[len(x.Have)-1].Seq)
		}
		if x.Backward {
			how, have = "newest first", ""
		}
		say("ask %s%s, transfer %d: %s's log up to %d/%d %s", s.names[x.Peer], stream(x.Governance), x.ID, s.names[x.Node], x.Toward.Epoch.N, x.Toward.Seq, strings.TrimSpace(how+" "+have))
	case SendCredit:
		say("credit %s for transfer %d: %d bytes", s.names[x.Peer], x.ID, x.Bytes)
	case SendCancel:
		say("cancel %s's transfer %d", s.names[x.Peer], x.ID)
	case Ingest:
		tail := ""
		if x.Tail {
			tail = ", newest part"
		}
		say("store %d: %s %d/%d..%d%s", x.Token, s.names[x.Run.Node], x.Run.Epoch.N, x.Run.First, x.Run.LastSeq(), tail)
	case ReRecord:
		say("record again: %s %d/%v", s.names[x.Origin.Node], x.Origin.Epoch.N, x.Seqs)
	case CompareFork:
		say("compare: %s's %s %d/%d..%d", s.names[x.From], s.names[x.Run.Node], x.Run.Epoch.N, x.Run.First, x.Run.LastSeq())
	case ClosePeer:
		say("leave %s for %s: %s", s.names[x.Peer], x.BanFor, x.Reason)
	case Count:
		say("count %s %d", x.Name, x.N)
	}
}

func (s *transcript) vectors(bs []BoardVector) string {
	var words []string
	for _, b := range bs {
		for _, l := range b.Vector {
			w := fmt.Sprintf("%s:%d/%d", s.names[l.Node], l.Epoch.N, l.Seq)
			if l.Base != (Point{}) {
				w += fmt.Sprintf("(from %d/%d)", l.Base.Epoch.N, l.Base.Seq)
			}
			words = append(words, w)
		}
	}
	return "[" + strings.Join(words, " ") + "]"
}

func (s *transcript) status() {
	for _, st := range s.r.Status(s.team) {
		name := "general"
		if st.Governance {
			name = "governance"
		}
		var from []string
		for _, n := range st.From {
			from = append(from, s.names[n])
		}
		fmt.Fprintf(&s.out, "  %s: behind %d from [%s], pending %d, arriving %v, unavailable %v\n", name, st.Behind, strings.Join(from, " "), st.Pending, st.Arriving, st.Unavailable)
	}
}
