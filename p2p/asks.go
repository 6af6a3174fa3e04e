package p2p

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

const (
	maxAsks   = 32                  // teams that this node asks to be let into, ended ones too
	firstAsk  = 2 * time.Second     // until it asks again; doubled each time
	afterNo   = 30 * time.Second    // the same after a no: whoever said it may think better of it
	maxAsk    = time.Hour           // between two times, after a while
	askFor    = 60 * 24 * time.Hour // then it gives up
	askPrefix = "asking/"
)

// AskedTeam is a team that this node has asked to be let into, and whose admins haven't said yes.
type AskedTeam struct {
	Team      board.TeamID
	Name      string
	Note      string
	Since     time.Time
	LastTry   time.Time // when a node of the team was last asked
	NextTry   time.Time // zero: not again
	LastError string    // why the last try came to nothing; empty: it was answered that nobody has decided yet
	Rejected  bool
	Reason    string // with Rejected: in the words of who did it, if they gave any
}

// asks are the requests to be let into teams: each is said again now and then until it is answered, over restarts too.
type asks struct {
	m    *Mesh
	wake chan struct{} // capacity one

	nodes atomic.Pointer[map[board.NodeID]bool] // that links of open asks name

	mu struct {
		sync.Mutex // held over what is written to the store
		all        map[board.TeamID]*ask
	}
}

// ask is one of them, in the form in which it is kept.
type ask struct {
	Name, Note    string
	Link, Request []byte // weft.v1.InviteLink, weft.v1.Signed
	Since, Last   time.Time
	Next          time.Time // zero: ended
	Tries         int
	Error         string
	Rejected      bool
	Reason        string
	poked         bool // a node of the team has come since the last try began: worth another one at once
}

func newAsks(m *Mesh) *asks {
	a := &asks{m: m, wake: make(chan struct{}, 1)}
	a.mu.all = map[board.TeamID]*ask{}
	m.kv.scan(askPrefix, func(key string, value []byte) {
		x := new(ask)
		t, err := board.ParseTeamID(strings.TrimPrefix(key, askPrefix))
		if err = errors.Join(err, json.Unmarshal(value, x)); err != nil {
			m.log.Warn("couldn't read a kept request to join a team", "key", key, "err", err)
			return
		}
		a.mu.all[t] = x
	})
	a.noteNodes()
	return a
}

// noteNodes makes the set of nodes again. Called with mu held, or before others know of a.
func (a *asks) noteNodes() {
	nodes := map[board.NodeID]bool{}
	for _, x := range a.mu.all {
		if l := x.link(); l != nil && !x.Next.IsZero() {
			for _, i := range l.Invites {
				if len(i.Admitter) == 32 {
					nodes[board.NodeID(i.Admitter)] = true
				}
			}
		}
	}
	a.nodes.Store(&nodes)
}

func (x *ask) link() *weftv1.InviteLink {
	l := new(weftv1.InviteLink)
	if proto.Unmarshal(x.Link, l) != nil {
		return nil
	}
	return l
}

// knows says whether n is a node at which this one has asked to be let into a team: if it comes, it is heard.
func (a *asks) knows(n board.NodeID) bool { return (*a.nodes.Load())[n] }

// heard is told of a stream that a node opens. One at which this node has asked would not come without a reason.
func (a *asks) heard(n board.NodeID) {
	if !a.knows(n) {
		return
	}
	a.mu.Lock()
	for _, x := range a.mu.all {
		if l := x.link(); !x.Next.IsZero() && l != nil &&
			slices.ContainsFunc(l.Invites, func(i *weftv1.InviteKey) bool { return string(i.Admitter) == string(n[:]) }) {
			x.Next, x.poked = a.m.o.Now(), true
		}
	}
	a.mu.Unlock()
	a.nudge()
}

func (a *asks) nudge() { nudge(a.wake) }

// keep begins to ask for a team, or goes on where it has asked with the same note already.
func (a *asks) keep(t board.TeamID, name string, link *weftv1.InviteLink, note string) (*ask, error) {
	raw, err := proto.Marshal(link)
	if err != nil {
		return nil, fmt.Errorf("couldn't keep the link: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.mu.all[t]; old != nil && !old.Next.IsZero() && !old.Rejected && (note == "" || note == old.Note) {
		old.Link = raw
		a.write(t, old)
		return old, nil
	}
	if a.mu.all[t] == nil && len(a.mu.all) >= maxAsks && !a.dropEnded() {
		return nil, fmt.Errorf("couldn't ask to join %q: this node waits for the answers of %d teams already; withdraw one: %w", name, maxAsks, team.ErrLimit)
	}
	request, err := a.m.newRequest(t, note)
	if err != nil {
		return nil, err
	}
	now := a.m.o.Now()
	x := &ask{Name: name, Note: note, Link: raw, Request: request, Since: now, Next: now.Add(firstAsk)}
	a.mu.all[t] = x
	a.write(t, x)
	return x, nil
}

// dropEnded forgets the ask that ended first. Called with mu held.
func (a *asks) dropEnded() bool {
	var oldest board.TeamID
	found := false
	for _, t := range slices.SortedFunc(maps.Keys(a.mu.all), compareTeams) {
		if x := a.mu.all[t]; (x.Next.IsZero() || x.Rejected) && (!found || x.Since.Before(a.mu.all[oldest].Since)) {
			oldest, found = t, true
		}
	}
	if found {
		a.forget(oldest)
	}
	return found
}

// write keeps an ask over restarts. Called with mu held.
func (a *asks) write(t board.TeamID, x *ask) {
	if b, err := json.Marshal(x); err == nil {
		a.m.kv.set(askPrefix+t.String(), b)
	}
	a.noteNodes()
}

// forget is called with mu held.
func (a *asks) forget(t board.TeamID) {
	delete(a.mu.all, t)
	a.m.kv.delete(askPrefix + t.String())
	a.noteNodes()
}

// drop ends an ask that came to nothing at once.
func (a *asks) drop(t board.TeamID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.all[t] != nil {
		a.forget(t)
	}
}

// settle ends an ask whose team has let this node in.
func (a *asks) settle(t board.TeamID) { a.drop(t) }

// answered notes how a try went; nil: nobody has decided yet.
func (a *asks) answered(t board.TeamID, err error) {
	a.m.who.settle(t) // until somebody lets it in this node is a guest, and doesn't stay
	now := a.m.o.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.mu.all[t]
	if x == nil {
		return
	}
	x.Last, x.Error = now, ""
	if err == nil {
		x.Rejected, x.Reason = false, ""
	}
	if err != nil {
		x.Error = err.Error()
	}
	x.again(now, firstAsk)
	if now.Sub(x.Since) > askFor {
		x.Next = time.Time{}
		x.Error = "nobody has decided; not asking any more"
	}
	a.write(t, x)
	a.nudge()
}

// again says when to ask next: later and later.
func (x *ask) again(now time.Time, least time.Duration) {
	wait := max(least, min(firstAsk<<min(x.Tries, 11), maxAsk))
	x.Next = now.Add(wait*3/4 + time.Duration(rand.Int64N(int64(wait/2))))
	x.Tries++
	if x.poked {
		x.Next, x.poked = now, false
	}
}

// refused notes that the answer is no. It goes on asking, seldom: a no can be taken back.
func (a *asks) refused(t board.TeamID, reason string) {
	a.m.who.settle(t)
	a.mu.Lock()
	defer a.mu.Unlock()
	if x := a.mu.all[t]; x != nil {
		now := a.m.o.Now()
		if x.Last, x.Error, x.Rejected, x.Reason = now, "", true, reason; now.Sub(x.Since) > askFor {
			x.Next = time.Time{}
		} else {
			x.again(now, afterNo)
		}
		a.write(t, x)
		a.nudge()
	}
}

// run asks again when it is time, until ctx ends.
func (a *asks) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-a.wake:
		}
		t, x, wait := a.next()
		if x != nil {
			a.m.askAgain(ctx, t, x)
			wait = 0
		}
		timer.Reset(max(wait, 10*time.Millisecond))
	}
}

// next is a copy of the ask that is due, or how long there is none.
func (a *asks) next() (t board.TeamID, due *ask, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait = maxAsk
	now := a.m.o.Now()
	for _, t := range slices.SortedFunc(maps.Keys(a.mu.all), compareTeams) {
		x := a.mu.all[t]
		if x.Next.IsZero() {
			continue
		}
		if d := x.Next.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		c := *x
		return t, &c, 0
	}
	return t, nil, wait
}

// askAgain says a request once more, at the nodes that its link names in turn, and does what follows from the answer.
func (m *Mesh) askAgain(ctx context.Context, t board.TeamID, x *ask) {
	if st, ok := m.o.Store.Team(t); ok && st.IsNode(m.self) {
		m.asks.settle(t)
		return
	}
	link := x.link()
	if link == nil {
		m.asks.drop(t)
		return
	}
	var failed error
	for _, at := range link.Invites {
		if len(at.Admitter) != 32 {
			continue
		}
		c, cancel := context.WithTimeout(ctx, 2*knockTime)
		reply, err := m.askIn(c, t, at, x)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failed = fmt.Errorf("couldn't reach a node of the team: %w", unreached(err))
			continue
		case reply.Waiting:
			m.leaveLobby(board.NodeID(at.Admitter))
			m.asks.answered(t, nil)
			return
		case reply.Code == codeRemoved:
			m.leaveLobby(board.NodeID(at.Admitter))
			m.asks.refused(t, reasonOfNo(reply))
			return
		case reply.Code != "":
			failed = m.refusal(link, reply)
			continue
		}
		c, cancel = context.WithTimeout(ctx, m.o.Limits.LobbyTime)
		_, err = m.adopt(c, t, x.Name, reply)
		cancel()
		if err == nil {
			m.log.Info("let into a team that this node had asked", "team", t.String())
			return
		}
		failed = err
	}
	m.asks.answered(t, failed)
}

// reasonOfNo is why a request was refused, in the words of who did it; "" where they gave none.
func reasonOfNo(reply *weftv1.LobbyReply) string {
	if reply.Message == team.ErrRemoved.Error() {
		return ""
	}
	return cutText(reply.Message, maxReason)
}

// leaveLobby closes the connection to a node at which nothing more is to be said.
func (m *Mesh) leaveLobby(n board.NodeID) {
	if p, err := PeerIDOf(n); err == nil && len(m.who.view.Load().shared[n]) == 0 && !m.gate.isNamed(p) {
		m.host.Network().ClosePeer(p)
	}
}

// Asked lists the teams that this node has asked to be let into, the first asked first.
func (m *Mesh) Asked() []AskedTeam {
	m.asks.mu.Lock()
	defer m.asks.mu.Unlock()
	var out []AskedTeam
	for t, x := range m.asks.mu.all {
		told := AskedTeam{
			Team: t, Name: x.Name, Note: x.Note, Since: x.Since, LastTry: x.Last, NextTry: x.Next, LastError: x.Error,
			Rejected: x.Rejected, Reason: x.Reason,
		}
		if x.Rejected { // answered, as far as people are concerned
			told.NextTry = time.Time{}
		}
		out = append(out, told)
	}
	slices.SortFunc(out, func(a, b AskedTeam) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return compareTeams(a.Team, b.Team)
	})
	return out
}

// ForgetAsked makes this node ask no more to be let into a team. False: it doesn't. What it asked stays with the team.
func (m *Mesh) ForgetAsked(t board.TeamID) bool {
	m.asks.mu.Lock()
	defer m.asks.mu.Unlock()
	if m.asks.mu.all[t] == nil {
		return false
	}
	m.asks.forget(t)
	return true
}
