package daemon

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// held is what a process holds that must not grow with what came and went (I9).
type held struct {
	goroutines, files int
	maps              int // of files
	nodes             int // that have stopped and are still reachable: what holds a part of one holds all of it
	heap              uint64
	streams           float64 // of the node that stays
}

// visitors are nodes that have stopped. Nothing may lead to them any more.
type visitors []func() bool

// left notes a node that has stopped, by its parts.
func (v *visitors) left(d *Daemon) {
	node, db, mesh := weak.Make(d), weak.Make(d.Store()), weak.Make(d.Mesh())
	*v = append(*v, func() bool { return node.Value() != nil || db.Value() != nil || mesh.Value() != nil })
}

func (v visitors) held() (n int) {
	for _, is := range v {
		if is() {
			n++
		}
	}
	return n
}

func measure(t *testing.T, stays *Daemon, left visitors) held {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // what the first one put into pools' victims
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h := held{goroutines: runtime.NumGoroutine(), files: len(files), maps: strings.Count(string(mapped), "/store/"), nodes: left.held(), heap: m.HeapAlloc}
	for _, p := range stays.Mesh().Peers() {
		if p.Connected {
			h.streams++
		}
	}
	return h
}

// TestWhatComesAndGoesLeavesNothing has a whole node start, take part and stop twenty times, beside one that stays. In the end
// goroutines, descriptors, mapped files and connections are as few as after three rounds, and of the nodes that have stopped
// nothing is reachable.
func TestWhatComesAndGoesLeavesNothing(t *testing.T) {
	stays := start(t, testConfig(t, "ada", io.Discard))
	c := dial(t, stays)
	link := crewOf(t, c)
	rounds, warm := 20, 3
	if testing.Short() {
		rounds = 6
	}
	config := testConfig(t, "guest", io.Discard)
	var base held
	var left visitors
	for i := range rounds {
		visit(t, config, c, link, i == 0, &left)
		if i == warm-1 {
			base = measure(t, stays, left)
		}
	}
	// What is on its way out (a connection being closed, a goroutine of a library that waits for a second) is gone soon.
	now := measure(t, stays, left)
	waitFor(t, "all is as before", func() bool {
		now = measure(t, stays, left)
		return now.goroutines <= base.goroutines+4 && now.files <= base.files && now.maps <= base.maps && now.streams == 0 && now.nodes == 0
	}, func() string { return fmt.Sprintf("%+v after %d rounds, %+v after %d", now, rounds, base, warm) })
	t.Logf("%+v after %d rounds, %+v after %d", now, rounds, base, warm)
}

// TestGuestsThatComeOnceAreForgotten: each of these nodes is new, joins, takes part and is never seen again. Of each the team
// keeps its name, and nothing else is left: the node that stays tries to reach them, a few at a time.
func TestGuestsThatComeOnceAreForgotten(t *testing.T) {
	stays := start(t, testConfig(t, "ada", io.Discard))
	c := dial(t, stays)
	link := crewOf(t, c)
	const guests, warm = 6, 2
	var base held
	var left visitors
	for i := range guests {
		visit(t, testConfig(t, fmt.Sprintf("guest %d", i), io.Discard), c, link, true, &left)
		if i == warm-1 {
			base = measure(t, stays, left)
		}
	}
	const dial = 16 // goroutines of one dial at most
	now := measure(t, stays, left)
	waitFor(t, "all is as before", func() bool {
		now = measure(t, stays, left)
		return now.goroutines <= base.goroutines+guests*dial && now.files <= base.files+guests && now.maps <= base.maps && now.streams == 0 && now.nodes == 0
	}, func() string { return fmt.Sprintf("%+v after %d guests, %+v after %d", now, guests, base, warm) })
	t.Logf("%+v after %d guests, %+v after %d", now, guests, base, warm)
}

// crewOf makes team crew and gives an invite for many.
func crewOf(t *testing.T, c *client.Client) (link string) {
	t.Helper()
	must(c.Teams.CreateTeam(t.Context(), connect.NewRequest(&weftv1.CreateTeamRequest{Name: "crew"})))
	return must(c.Teams.CreateInvite(t.Context(), connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew", Uses: 100}))).Link
}

// visit has a node start, join if it is to, take a post that c makes, and stop.
func visit(t *testing.T, config Config, c *client.Client, link string, join bool, left *visitors) {
	t.Helper()
	ctx := t.Context()
	d, err := Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	g, err := client.Dial(ctx, client.Options{Socket: d.Socket()})
	if err != nil {
		t.Fatal(err)
	}
	if join {
		must(g.Teams.Join(ctx, connect.NewRequest(&weftv1.JoinTeamRequest{Link: link})))
	}
	if _, err := c.Post(ctx, client.Post{Team: "crew", Text: "hello", Wait: "replicated"}); err != nil {
		t.Fatal(err)
	}
	g.Close()
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	left.left(d)
}

// waitFor looks again and again until ok holds, at most ten seconds.
func waitFor(t *testing.T, what string, ok func() bool, found func() string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not in time: %s: %s", what, found())
		}
	}
}
