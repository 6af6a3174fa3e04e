package rpc_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"weft/rpc"
	"weft/rpc/rpctest"
)

// plain opens a stream as curl does, with JSON and nothing around it.
func plain(t *testing.T, r *rpctest.Rig, method, body string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://weft/weft.v1."+method, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); res.Body.Close() })
	return res
}

func TestPlainStreamIsOneObjectALine(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	res := plain(t, r, "SyncService/Sync", `{}`)
	if got := res.Header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("content type %q", got)
	}
	lines := bufio.NewReader(res.Body)
	long := strings.Repeat("é\n", 20_000) // many writes, and line ends that must not end a line
	posted := false
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var batch struct {
			Live   bool
			Cursor string
			Events []struct {
				Shown struct{ Entry struct{ Text string } }
			}
		}
		if err := json.Unmarshal([]byte(line), &batch); err != nil {
			t.Fatalf("%v: %.200s", err, line)
		}
		if len(batch.Events) == 1 && batch.Events[0].Shown.Entry.Text == long {
			return
		}
		if batch.Live && !posted {
			posted = true
			r.Post(t, "crew", long)
		}
	}
}

func TestPlainStreamEndsWithItsError(t *testing.T) {
	r := rpctest.Start(t)
	res := plain(t, r, "SyncService/Sync", `{"cursor":"rubbish"}`)
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Error map[string]any }
	if err := json.Unmarshal(b, &line); err != nil || line.Error["code"] != "out_of_range" || reasonIn(t, line.Error) != "BAD_CURSOR" {
		t.Errorf("%v: %s", err, b)
	}
	for body, reason := range map[string]string{"{": "MALFORMED", `{"cursor":"` + strings.Repeat("x", rpc.MaxRequest) + `"}`: "TOO_LARGE"} {
		res := plain(t, r, "SyncService/Sync", body)
		b, err := io.ReadAll(res.Body)
		if err != nil || !strings.Contains(string(b), `"reason":"`+reason+`"`) {
			t.Errorf("%v: %.300s", err, b)
		}
	}
}

func TestPlainStreamThatEndsWellHasNoErrorLine(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	p := r.Post(t, "crew", "a")
	res := plain(t, r, "BoardService/WatchPost", `{"team":"crew","entry_id":"`+p.EntryId+`"}`)
	b, err := io.ReadAll(res.Body)
	if err != nil || strings.Count(string(b), "\n") != 1 || !strings.Contains(string(b), p.EntryId) {
		t.Errorf("%v: %q", err, b)
	}
}
