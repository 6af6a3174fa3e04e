package rpc_test

import (
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/rpc/rpctest"
)

// stall opens a stream that nobody reads.
func stall(t *testing.T, r *rpctest.Rig, cursor string) {
	t.Helper()
	body, err := proto.Marshal(&weftv1.SyncRequest{Cursor: cursor})
	if err != nil {
		t.Fatal(err)
	}
	frame := append([]byte{0, byte(len(body) >> 24), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://weft/weft.v1.SyncService/Sync", strings.NewReader(string(frame)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/connect+proto")
	res, err := r.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: %s", res.Status, b)
	}
}

// heldOutsideTheDatabase is how many bytes are in use that nothing of the database has allocated, by the heap profile.
// What the database holds (memtables, tables that it is making) comes and goes with up to 100 MB and tells nothing of
// readers.
func heldOutsideTheDatabase() (bytes float64) {
	runtime.GC()
	runtime.GC() // a profile is of the heap at the start of the last collection
	n, _ := runtime.MemProfile(nil, false)
	records := make([]runtime.MemProfileRecord, n+256)
	n, _ = runtime.MemProfile(records, false)
	for _, r := range records[:n] {
		if r.InUseObjects() == 0 || ofTheDatabase(r.Stack()) {
			continue
		}
		// Of allocations of this size so many are sampled (as in pprof's scaleHeapSample).
		each := float64(r.InUseBytes()) / float64(r.InUseObjects())
		bytes += float64(r.InUseBytes()) / (1 - math.Exp(-each/float64(runtime.MemProfileRate)))
	}
	return bytes
}

func ofTheDatabase(stack []uintptr) bool {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		if strings.Contains(f.Function, "dgraph-io/") {
			return true
		}
		if !more {
			return false
		}
	}
}

func TestReadersThatStopReadingCostNothingAndDelayNobody(t *testing.T) {
	r, _ := chatter(t, 0)
	w := watch(t, r, &weftv1.SyncRequest{})
	w.untilLive()
	const stalled = 20
	for range stalled {
		stall(t, r, w.cursor)
	}
	const each, rounds = 200, 50 // 40 MB in all, to each of the stalled, if it were queued: 800 MB
	words := strings.Repeat("x", 4000)
	var before float64
	var goroutines int
	for round := range rounds {
		m := &weftv1.PostRequest{Team: "crew"}
		for range each {
			m.Posts = append(m.Posts, &weftv1.NewPost{Text: words})
		}
		if _, err := post(t, r, m); err != nil {
			t.Fatal(err)
		}
		if got := w.texts(each); len(got) != each {
			t.Fatalf("the reader got %d", len(got))
		}
		if round == 0 { // from here on the stalled hold the batch that their readers do not take
			before, goroutines = heldOutsideTheDatabase(), runtime.NumGoroutine()
		}
	}
	// A stream holds one batch (256 KiB) as entries and as bytes, and its connection's buffers.
	const perStream = 768 << 10
	if after := heldOutsideTheDatabase(); after > before+stalled*perStream {
		t.Errorf("beside the database %.1f MB are in use after %d rounds, %.1f MB after the first: more than %d KiB for each of %d readers that don't read",
			after/(1<<20), rounds, before/(1<<20), perStream>>10, stalled)
	} else {
		t.Logf("beside the database: %.1f MB after the first round, %.1f MB after the last", before/(1<<20), after/(1<<20))
	}
	if now := runtime.NumGoroutine(); now > goroutines+stalled {
		t.Errorf("%d goroutines after %d rounds, %d after the first", now, rounds, goroutines)
	}
}
