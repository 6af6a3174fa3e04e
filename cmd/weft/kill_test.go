package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/client"
	"weft/daemon"
	"weft/sim/check"
)

const (
	killWriters = 8
	// killBoard is the board's name for the checker.
	killBoard = "crew/general"
)

// TestKillLoop kills a real node with -9 at random moments while several writers post, and in the end looks for each
// acknowledged post: there once, in its writer's order, in logs without a hole. WEFT_KILLS says how often (10).
func TestKillLoop(t *testing.T) {
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("WEFT_KILLS")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d kills, seed %d", kills, seed)
	rnd := rand.New(rand.NewPCG(seed, 1))

	dir := shortDir(t)
	args := []string{"--post-rate=-1", "--name", "Ada"}
	node := startNode(t, dir, args...)
	node.weft(t, "team", "create", "crew")

	l := &killLoop{checker: check.New(), socket: daemon.SocketPath(dir)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	for i := range killWriters {
		writers.Go(func() { l.write(ctx, t, "w"+strconv.Itoa(i)) })
	}
	inFlight := 0
	for range kills {
		// From the moment of the start on: some kills hit the start itself, some a node that is busy.
		<-time.After(time.Duration(rnd.IntN(250)) * time.Millisecond)
		if l.flying.Load() > 0 {
			inFlight++
		}
		node.kill()
		var err error
		if node, err = launch(dir, os.Environ(), args...); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(node.kill)
		if rnd.IntN(4) > 0 { // the others are killed while they start
			if err := node.ready(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := node.ready(ctx); err != nil {
		t.Fatal(err)
	}
	l.enough.Store(true)
	writers.Wait()
	if inFlight*2 < kills {
		t.Errorf("only %d of %d kills met posts in flight", inFlight, kills)
	}
	t.Logf("%d posts acknowledged, %d kills with posts in flight", l.acked.Load(), inFlight)
	l.verify(t, node)
	if err := node.stop(); err != nil {
		t.Errorf("the last node didn't stop in order: %v", err)
	}
}

// killLoop is what the writers share.
type killLoop struct {
	checker *check.Checker
	socket  string
	flying  atomic.Int64 // posts sent and not answered
	acked   atomic.Int64
	enough  atomic.Bool
}

// write posts one numbered text after the other, each until it is acknowledged, whatever happens to the node.
func (l *killLoop) write(ctx context.Context, t *testing.T, name string) {
	c := client.New(client.Options{Socket: l.socket, RetryFor: patience})
	defer c.Close()
	for n := uint64(1); !l.enough.Load(); n++ {
		id := fmt.Sprintf("%s-%d", name, n)
		p := check.Post{Board: killBoard, Author: "Ada", MsgID: id, Text: "text of " + id, Sender: name, Seq: n}
		l.checker.Attempt(p)
		l.flying.Add(1)
		r, err := c.Post(ctx, client.Post{Team: "crew", Text: p.Text, ClientMsgID: id})
		l.flying.Add(-1)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v (%s, %s)", id, err, connect.CodeOf(err), client.ReasonOf(err))
			}
			return
		}
		l.acked.Add(1)
		l.checker.Acked(p, check.Ack{Node: "a", Entry: r.EntryId, Origin: r.Origin, Seq: r.Seq})
	}
}

// verify reads the whole board and asks the checker.
func (l *killLoop) verify(t *testing.T, node *process) {
	t.Helper()
	c := client.New(client.Options{Socket: l.socket})
	defer c.Close()
	since := l.checker.Now()
	var seen []check.Seen
	res, err := call(t.Context(), c.Boards.History, &weftv1.HistoryRequest{Team: "crew", Limit: 1000})
	for {
		if err != nil {
			t.Fatal(err)
		}
		page := make([]check.Seen, len(res.Entries))
		for i, e := range res.Entries {
			page[i] = check.Seen{Entry: e.EntryId, Author: "Ada", MsgID: e.ClientMsgId, Text: e.Text, Device: e.Device, HLC: e.Hlc, Own: e.Own, Read: e.Read}
		}
		seen = append(page, seen...)
		if res.Before == "" || len(res.Entries) == 0 {
			break
		}
		res, err = call(t.Context(), c.Boards.History, &weftv1.HistoryRequest{Team: "crew", Limit: 1000, Before: res.Before})
	}
	l.checker.List("a", killBoard, since, seen)
	l.checker.Settle("a")
	if err := l.checker.Err(); err != nil {
		t.Errorf("after %d acknowledged posts: %v", l.acked.Load(), err)
	}
	if int64(len(seen)) < l.acked.Load() {
		t.Errorf("%d entries shown, %d acknowledged", len(seen), l.acked.Load())
	}
	node.weft(t, "check") // reads every record: checksums, chains without a hole
}
