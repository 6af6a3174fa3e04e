package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/testutil"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/rpc"
	"weft/rpc/rpctest"
)

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestPanicIsAnsweredAndCounted(t *testing.T) {
	log := &lockedBuffer{}
	r := rpctest.Start(t, func(r *rpctest.Rig) { r.Log = slog.New(slog.NewTextHandler(log, nil)) })
	r.Mesh.SetAddPeer(func(context.Context, string) (board.NodeID, error) { panic("secret words") })
	_, err := r.Client.Nodes.AddPeer(t.Context(), connect.NewRequest(&weftv1.AddPeerRequest{Address: "x"}))
	refused(t, err, "INTERNAL", connect.CodeInternal)
	if n, err := testutil.GatherAndCount(r.Registry, "weft_rpc_panics_total"); err != nil || n != 1 {
		t.Errorf("panics are not exported: %d %v", n, err)
	}
	if got := counted(t, r, "weft_rpc_panics_total"); got != 1 {
		t.Errorf("%v panics counted", got)
	}
	if _, err := r.Client.Nodes.GetInfo(t.Context(), connect.NewRequest(&weftv1.GetInfoRequest{})); err != nil {
		t.Errorf("the node is dead after a panic: %v", err)
	}
	if s := log.String(); !strings.Contains(s, "panic in a call") || strings.Contains(s, "secret words") {
		t.Errorf("log: %s", s)
	}
}

// counted is the sum of a counter's values.
func counted(t *testing.T, r *rpctest.Rig, name string) (sum float64) {
	t.Helper()
	families, err := r.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.Metric {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestCallsAreCountedByProcedureAndCode(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	r.Post(t, "crew", "a")
	if _, err := post(t, r, &weftv1.PostRequest{Team: "none", Posts: []*weftv1.NewPost{{Text: "a"}}}); err == nil {
		t.Fatal("posted to nowhere")
	}
	families, err := r.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "weft_rpc_calls_total" {
			continue
		}
		for _, m := range f.Metric {
			key := ""
			for _, l := range m.Label {
				key += l.GetValue() + " "
			}
			got[key] = m.GetCounter().GetValue()
		}
	}
	if got["ok BoardService/Post "] != 1 || got["not_found BoardService/Post "] != 1 || got["ok TeamService/CreateTeam "] != 1 {
		t.Errorf("counted %v", got)
	}
}

func TestLogSaysNothingOfWhatWasSaid(t *testing.T) {
	log := &lockedBuffer{}
	r := rpctest.Start(t, func(r *rpctest.Rig) {
		r.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	r.Team(t, "crew")
	r.Post(t, "crew", "planted-in-text")
	link, err := r.Client.Teams.CreateInvite(t.Context(), connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Client.Teams.Join(t.Context(), connect.NewRequest(&weftv1.JoinTeamRequest{Link: link.Msg.Link})); err == nil {
		t.Fatal("joined nobody")
	}
	if _, err := r.Client.Teams.Join(t.Context(), connect.NewRequest(&weftv1.JoinTeamRequest{Link: link.Msg.Link[:60]})); err == nil {
		t.Fatal("joined by half a link")
	}
	_, err = post(t, r, &weftv1.PostRequest{Team: "planted-in-team", Posts: []*weftv1.NewPost{{Text: "planted-in-text"}}})
	if err == nil {
		t.Fatal("posted to nowhere")
	}
	s := log.String()
	if !strings.Contains(s, "BoardService/Post") {
		t.Fatalf("nothing is logged: %q", s)
	}
	for _, secret := range []string{"planted-in", link.Msg.Link[5:40]} {
		if strings.Contains(s, secret) {
			t.Errorf("the log has %q: %s", secret, s)
		}
	}
}

func TestCallsUnderWayAreFinishedWhenTheNodeStops(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	entered, leave := make(chan struct{}), make(chan struct{})
	r.Mesh.SetAddPeer(func(context.Context, string) (board.NodeID, error) {
		close(entered)
		<-leave
		return board.NodeID{1}, nil
	})
	answered := make(chan error, 1)
	go func() {
		_, err := r.Client.Nodes.AddPeer(t.Context(), connect.NewRequest(&weftv1.AddPeerRequest{Address: "x"}))
		answered <- err
	}()
	<-entered
	stopped := make(chan struct{})
	go func() { r.Stop(); close(stopped) }()
	waitUntil(t, "new calls are refused", func() bool {
		_, err := client.New(client.Options{Socket: r.Socket}).Nodes.GetInfo(t.Context(), connect.NewRequest(&weftv1.GetInfoRequest{}))
		return err != nil
	})
	close(leave)
	if err := <-answered; err != nil {
		t.Errorf("the call under way was cut: %v", err)
	}
	<-stopped
}

func TestAStuckReaderDoesNotHoldUpTheStop(t *testing.T) {
	r, say := chatter(t, 0)
	w := watch(t, r, &weftv1.SyncRequest{})
	w.untilLive()
	stall(t, r, w.cursor)
	w.close()
	for range 4 {
		say(1)
		m := &weftv1.PostRequest{Team: "crew"}
		for range 200 {
			m.Posts = append(m.Posts, &weftv1.NewPost{Text: strings.Repeat("x", 8000)})
		}
		if _, err := post(t, r, m); err != nil {
			t.Fatal(err)
		}
	}
	r.Stop() // returns: its connection is cut after the grace
}

func TestServeTellsWhenItsListenerFails(t *testing.T) {
	r := rpctest.Start(t)
	l, err := rpc.ListenUnix(r.Dir + "/other/weft.sock")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := rpc.Serve(t.Context(), l, http.NotFoundHandler(), nil); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
