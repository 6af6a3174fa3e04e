package daemon

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

// held is what a process holds that must not grow with what came and went (I9).
type held struct {
	goroutines, files int
	maps              int // of files
	heap              uint64
	streams           float64 // of the node that stays
}

func measure(t *testing.T, stays *Daemon) held {
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
	h := held{goroutines: runtime.NumGoroutine(), files: len(files), maps: strings.Count(string(mapped), "/store/"), heap: m.HeapAlloc}
	for _, p := range stays.Mesh().Peers() {
		if p.Connected {
			h.streams++
		}
	}
	return h
}

// TestWhatComesAndGoesLeavesNothing has a whole node start, take part and stop twenty times, beside one that stays. In the end
// goroutines, descriptors, mapped files and connections are as few as after three rounds, and the heap is as small.
func TestWhatComesAndGoesLeavesNothing(t *testing.T) {
	stays := start(t, testConfig(t, "ada", io.Discard))
	ctx := t.Context()
	c := dial(t, stays)
	must(c.Teams.CreateTeam(ctx, connect.NewRequest(&weftv1.CreateTeamRequest{Name: "crew"})))
	link := must(c.Teams.CreateInvite(ctx, connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew", Uses: 100}))).Link
	rounds, warm := 20, 3
	if testing.Short() {
		rounds = 6
	}
	config := testConfig(t, "guest", io.Discard)
	visit := func(i int) {
		d, err := Start(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		g, err := client.Dial(ctx, client.Options{Socket: d.Socket()})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			must(g.Teams.Join(ctx, connect.NewRequest(&weftv1.JoinTeamRequest{Link: link})))
		}
		if _, err := c.Post(ctx, client.Post{Team: "crew", Text: "hello", Wait: "replicated"}); err != nil {
			t.Fatal(err)
		}
		g.Close()
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	var base held
	for i := range rounds {
		visit(i)
		if i == warm-1 {
			base = measure(t, stays)
		}
	}
	// What is on its way out (a connection being closed, a goroutine of a library that waits for a second) is gone soon.
	now := measure(t, stays)
	waitFor(t, "all is as before", func() bool {
		now = measure(t, stays)
		return now.goroutines <= base.goroutines+4 && now.files <= base.files && now.maps <= base.maps && now.streams == 0
	}, func() string { return fmt.Sprintf("%+v after %d rounds, %+v after %d", now, rounds, base, warm) })
	// A memtable of the node that stays may be there or not; one store or mesh kept of each round would be 50 MB and more.
	if now.heap > base.heap+16<<20 {
		t.Errorf("the heap grew from %d to %d MB", base.heap>>20, now.heap>>20)
	}
	t.Logf("%+v after %d rounds, %+v after %d", now, rounds, base, warm)
}

// waitFor looks again and again until ok holds, at most ten seconds.
func waitFor(t *testing.T, what string, ok func() bool, found func() string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not in time: %s: %s", what, found())
		}
	}
}
