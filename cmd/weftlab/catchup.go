package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"weft/board"
	"weft/p2p"
	"weft/store"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// catchupBench measures how fast a fresh node gets a board from another one over loopback, every signature checked, and
// what posting pays for it.
type catchupBench struct {
	entries []int
	posting bool
	profile string
}

func (b *catchupBench) flags(c *cobra.Command) {
	c.Flags().IntSliceVar(&b.entries, "entries", []int{10_000, 0}, "sizes of the board; 0: --large")
	c.Flags().BoolVar(&b.posting, "posting", false, "also measure posts beside the last of them")
	c.Flags().StringVar(&b.profile, "cpuprofile", "", "write a CPU profile of both nodes to this file")
}

// peerNode is a fixture with a mesh.
type peerNode struct {
	*fixture
	mesh   *p2p.Mesh
	cancel context.CancelFunc
	ended  chan error
}

func startPeer(f *fixture) (*peerNode, error) {
	ctx, cancel := context.WithCancel(context.Background())
	m, err := p2p.New(ctx, p2p.Options{Key: f.node, Store: f.store, Identity: f.id, Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}})
	if err != nil {
		cancel()
		return nil, err
	}
	p := &peerNode{fixture: f, mesh: m, cancel: cancel, ended: make(chan error, 1)}
	go func() { p.ended <- m.Run(ctx) }()
	return p, nil
}

func (p *peerNode) close() {
	p.cancel()
	<-p.ended
	p.mesh.Close()
	p.store.Close()
}

// invite makes a link to the peer's team.
func (p *peerNode) invite(ctx context.Context) (*weftv1.InviteLink, error) {
	st, ok := p.store.Team(p.team)
	if !ok {
		return nil, fmt.Errorf("couldn't find the team")
	}
	var nonce [16]byte
	var key [32]byte
	rand.Read(nonce[:])
	rand.Read(key[:])
	expires := uint64(time.Now().Add(time.Hour).UnixMilli())
	o, err := team.NewInvite(st, p.id, team.Member, p.node.Public(), 10, expires, nonce, key)
	if err != nil {
		return nil, err
	}
	if _, err := p.store.AppendObject(ctx, p.team, o); err != nil {
		return nil, err
	}
	if st, ok = p.store.Team(p.team); !ok {
		return nil, fmt.Errorf("couldn't find the team")
	}
	return team.NewLink(st, p.id, o, key, p.mesh.InviteAddrs())
}

func (b *catchupBench) run(ctx context.Context, l *lab) error {
	stop, err := profileTo(b.profile)
	if err != nil {
		return err
	}
	defer stop()
	for i, n := range b.entries {
		if n == 0 {
			n = l.large
		}
		for range l.runs {
			if err := b.once(ctx, l, n, false); err != nil {
				return err
			}
			if b.posting && i == len(b.entries)-1 {
				if err := b.once(ctx, l, n, true); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *catchupBench) once(ctx context.Context, l *lab, entries int, posting bool) error {
	f, _, err := l.openBig(ctx, entries)
	if err != nil {
		return err
	}
	from, err := startPeer(f)
	if err != nil {
		f.store.Close()
		return err
	}
	defer from.close()
	dir, err := l.tempDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	link, err := from.invite(ctx)
	if err != nil {
		return err
	}
	to, err := b.fresh(ctx, dir)
	if err != nil {
		return err
	}
	defer to.close()
	if posting {
		return b.beside(ctx, l, from, to, link, entries)
	}
	cpu := cpuTime()
	took, err := b.pull(ctx, l, from, to, link)
	if err != nil {
		return err
	}
	b.show(l, entries, took, cpuTime()-cpu)
	return b.same(ctx, from, to)
}

// fresh is a node of another person, with nothing but its keys.
func (b *catchupBench) fresh(ctx context.Context, dir string) (*peerNode, error) {
	f, err := emptyFixture(ctx, dir, "bob")
	if err != nil {
		return nil, err
	}
	p, err := startPeer(f)
	if err != nil {
		f.store.Close()
	}
	return p, err
}

// pulled is how long the parts of a catch-up took.
type pulled struct {
	all  time.Duration // from before the join: dial, lobby and governance too
	pull time.Duration // from when the team was adopted, which is just before the sync streams open
}

// pull joins and waits until everything is there.
func (b *catchupBench) pull(ctx context.Context, l *lab, from, to *peerNode, link *weftv1.InviteLink) (p pulled, err error) {
	want := from.store.Vector(from.board)
	to.team, to.board = from.team, from.board
	nudge, stop := to.store.Subscribe()
	defer stop()
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	joined := make(chan error, 1)
	var joinTook time.Duration
	go func() {
		_, err := to.mesh.Join(ctx, link, "")
		joinTook = time.Since(start)
		joined <- err
	}()
	var adopted, first time.Duration
	last := time.Now()
	for {
		if _, ok := to.store.Team(from.team); ok && adopted == 0 {
			adopted = time.Since(start)
		}
		info, ok := to.store.Board(to.board)
		if first == 0 && ok && info.Records > 0 {
			first = time.Since(start)
		}
		if ok && info.Records > 0 && to.store.Holding(to.board).Covers(want) {
			break
		}
		if time.Since(last) > 2*time.Second {
			l.say("  %s records", number(float64(info.Records)))
			last = time.Now()
		}
		select {
		case <-nudge:
		case err := <-joined:
			joined <- err
			if err != nil {
				return p, err
			}
			select {
			case <-nudge:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return p, fmt.Errorf("couldn't catch up: %d records after %s: %w", info.Records, time.Since(start).Round(time.Second), ctx.Err())
		}
	}
	p.all = time.Since(start)
	p.pull = p.all - adopted
	if err := <-joined; err != nil {
		return p, err
	}
	ms := func(d time.Duration) string { return number(d.Seconds() * 1000) }
	l.say("adopted after %s ms, first record %s ms, all there %s ms; the join returned after %s ms", ms(adopted), ms(first), ms(p.all), ms(joinTook))
	return p, nil
}

func (b *catchupBench) show(l *lab, entries int, took pulled, cpu time.Duration) {
	what := "catch-up of " + number(float64(entries))
	rate := bar{}
	if entries <= 20_000 {
		l.out.add(what+", from stream open", took.pull.Seconds(), "s", atMost(0.7*float64(entries)/10_000))
		l.out.add(what+", from before the join", took.all.Seconds(), "s", bar{})
	} else {
		rate = atLeast(15_000)
	}
	perSecond := float64(entries) / took.pull.Seconds()
	l.out.add(what, perSecond, "entries/s", rate)
	l.out.worked(entries, cpu)
	l.out.field("lost", 0) // same compares the boards and fails otherwise
	l.out.field("duplicates", 0)
	l.say("%s: %.2f s, %s entries/s, %.0f µs of CPU an entry at both nodes", what, took.pull.Seconds(), number(perSecond), float64(cpu.Microseconds())/float64(entries))
}

// same compares the boards: nothing lost, nothing twice, the same order.
func (b *catchupBench) same(ctx context.Context, from, to *peerNode) error {
	h1, n1, err := from.store.Hash(ctx, from.board)
	if err != nil {
		return err
	}
	h2, n2, err := to.store.Hash(ctx, to.board)
	if err != nil {
		return err
	}
	if h1 != h2 || n1 != n2 {
		return fmt.Errorf("couldn't get the same board: %d entries there, %d here", n1, n2)
	}
	return nil
}

// beside posts at both nodes, into another board, while one catches up.
func (b *catchupBench) beside(ctx context.Context, l *lab, from, to *peerNode, link *weftv1.InviteLink, entries int) error {
	const rate = 100
	texts := texts()
	post := func(p *peerNode, t board.TeamID) poster {
		return func(ctx context.Context, id, text string) error {
			d := p.draft(id, text)
			d.Team, d.Board = t, board.GeneralID(t)
			_, err := p.store.Append(ctx, []store.Draft{d})
			return err
		}
	}
	both := []struct {
		who  string
		node *peerNode
		post poster
		idle float64
		busy chan []time.Duration
	}{{who: "the node that gives", node: from}, {who: "the node that takes", node: to}}
	for i := range both {
		t, err := both[i].node.found(ctx, "busy")
		if err != nil {
			return err
		}
		both[i].post = post(both[i].node, t)
		quiet, err := paced(ctx, rate, 5*time.Second, texts, both[i].post)
		if err != nil {
			return err
		}
		_, both[i].idle, _ = quantiles(quiet.latency)
		both[i].busy = make(chan []time.Duration, 1)
	}
	pulling, cancel := context.WithCancel(ctx)
	defer cancel()
	failures := make(chan error, len(both))
	for _, p := range both {
		go func() {
			var all []time.Duration
			var err error
			for pulling.Err() == nil && err == nil {
				var r loadResult
				if r, err = paced(ctx, rate, time.Second, texts, p.post); err == nil {
					all = append(all, r.latency...)
				}
			}
			failures <- err
			p.busy <- all
		}()
	}
	took, err := b.pull(ctx, l, from, to, link)
	cancel()
	for range both {
		if failed := <-failures; err == nil {
			err = failed
		}
	}
	if err != nil {
		return err
	}
	l.out.add("catch-up beside posting", float64(entries)/took.pull.Seconds(), "entries/s", atLeast(5000))
	for _, p := range both {
		_, busy, worst := quantiles(<-p.busy)
		l.out.add("posting beside a catch-up, at "+p.who+": p99 against without", busy/p.idle, "times", atMost(2))
		l.say("posting at %s: p99 %.1f ms alone, %.1f ms beside the catch-up (worst %.0f)", p.who, p.idle, busy, worst)
	}
	return nil
}
