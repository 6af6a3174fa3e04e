package daemon

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/tyler-smith/go-bip39"
	"go.uber.org/goleak"

	weftv1 "weft/api/weft/v1"
	"weft/client"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Started once per process by libraries, for the life of it.
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("github.com/ipfs/go-log/writer.(*MirrorWriter).logRoutine"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"),
	)
}

// buffer is a log that is read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// testConfig is a node that talks to nobody but its test.
func testConfig(t *testing.T, name string, log io.Writer) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := DefaultConfig()
	c.Dir, c.Name, c.MDNS, c.LogLevel = filepath.Join(dir, "n"), name, false, slog.LevelDebug
	c.Listen = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}
	c.LogTo, c.Version = log, "test"
	return c
}

func start(t *testing.T, c Config) *Daemon {
	t.Helper()
	d, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Stop() })
	return d
}

func dial(t *testing.T, d *Daemon) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Options{Socket: d.Socket()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// must takes the answer of a call that has to succeed.
func must[T any](res *connect.Response[T], err error) *T {
	if err != nil {
		panic(err)
	}
	return res.Msg
}

// TestNothingSecretIsLogged lets two nodes do what nodes do, logs everything, and looks for what must not be there.
func TestNothingSecretIsLogged(t *testing.T) {
	var logA, logB buffer
	a := start(t, testConfig(t, "Ada Secretname", &logA))
	b := start(t, testConfig(t, "Ben Secretname", &logB))
	ca, cb := dial(t, a), dial(t, b)
	ctx := t.Context()
	secrets := map[string]string{}
	for _, d := range []*Daemon{a, b} {
		for _, file := range []string{nodeKeyFile, deviceKeyFile, recoveryKeyFile} {
			seed, err := readKey(filepath.Join(d.cfg.Dir, "keys"), file)
			if err != nil {
				t.Fatal(err)
			}
			secrets[file+" in hex"] = hex.EncodeToString(seed[:])
			if secrets[file+" in words"], err = bip39.NewMnemonic(seed[:]); err != nil {
				t.Fatal(err)
			}
		}
	}
	must(ca.Teams.CreateTeam(ctx, connect.NewRequest(&weftv1.CreateTeamRequest{Name: "planted team name"})))
	link := must(ca.Teams.CreateInvite(ctx, connect.NewRequest(&weftv1.CreateInviteRequest{Team: "planted team name"}))).Link
	must(cb.Teams.Join(ctx, connect.NewRequest(&weftv1.JoinTeamRequest{Link: link})))
	r, err := ca.Post(ctx, client.Post{Team: "planted team name", Text: "planted body of a message", ClientMsgID: "planted message id", Wait: "replicated"})
	if err != nil {
		t.Fatal(err)
	}
	// Refusals quote what was asked for to the one who asked, not to the log.
	if _, err := cb.Post(ctx, client.Post{Team: "planted nowhere", Text: "planted body of a message"}); err == nil {
		t.Error("posted to nowhere")
	}
	if _, err := cb.Teams.Join(ctx, connect.NewRequest(&weftv1.JoinTeamRequest{Link: link + "x"})); err == nil {
		t.Error("joined by a damaged link")
	}
	secrets["recovery words that were shown"] = must(cb.Nodes.TakeRecoveryKey(ctx, connect.NewRequest(&weftv1.TakeRecoveryKeyRequest{}))).Words
	must(cb.Boards.MarkRead(ctx, connect.NewRequest(&weftv1.MarkReadRequest{Team: "planted team name", All: true})))
	secrets["the link"], secrets["the link without its first part"] = link, link[5:]
	secrets["the whole entry id"], secrets["the whole node id"] = r.EntryId, a.Info().NodeId
	secrets["the whole user id"] = a.Info().UserId
	for _, d := range []*Daemon{a, b} {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	}
	for what, secret := range secrets {
		for _, log := range []string{logA.String(), logB.String()} {
			if strings.Contains(log, secret) {
				t.Errorf("%s was logged", what)
			}
		}
	}
	for _, log := range []string{logA.String(), logB.String()} {
		if m := regexp.MustCompile(`.*(?i:planted|secretname).*`).FindString(log); m != "" {
			t.Errorf("what people wrote was logged: %s", m)
		}
		if !strings.Contains(log, "started") || !strings.Contains(log, "stopped") {
			t.Errorf("the log is empty, so this test proves nothing:\n%s", log)
		}
	}
}

// TestAStopLosesNothing stops a node while posts come in: what was acknowledged is there after the next start, and
// callers get an error, not silence.
func TestAStopLosesNothing(t *testing.T) {
	var log buffer
	cfg := testConfig(t, "Ada", &log)
	cfg.PostRate = -1
	d := start(t, cfg)
	c := dial(t, d)
	must(c.Teams.CreateTeam(t.Context(), connect.NewRequest(&weftv1.CreateTeamRequest{Name: "crew"})))
	// A stream and a follower that wait for ever must not hold up the stop.
	streaming := make(chan error, 1)
	go func() {
		stream, err := c.Streams.Sync(context.Background(), connect.NewRequest(&weftv1.SyncRequest{}))
		for err == nil && stream.Receive() {
			select {
			case streaming <- nil: // it is open
			default:
			}
		}
	}()
	<-streaming
	impatient := client.New(client.Options{Socket: d.Socket(), RetryFor: -1})
	defer impatient.Close()
	acked := make(chan []string)
	first := make(chan struct{})
	go func() {
		var ids []string
		for i := 0; ; i++ {
			r, err := impatient.Post(context.Background(), client.Post{Team: "crew", Text: fmt.Sprint("post ", i)})
			if err != nil {
				break
			}
			if ids = append(ids, r.EntryId); i == 20 {
				close(first)
			}
		}
		acked <- ids
	}()
	<-first
	if err := d.Stop(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	ids := <-acked
	again := dial(t, start(t, cfg))
	there := map[string]bool{}
	page := must(again.Boards.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: "crew", Limit: 1000})))
	for _, e := range page.Entries {
		there[e.EntryId] = true
	}
	for _, id := range ids[max(0, len(ids)-len(page.Entries)):] {
		if !there[id] {
			t.Errorf("%s was acknowledged before the stop and is gone", id)
		}
	}
}

func TestPagesForMachines(t *testing.T) {
	var log buffer
	cfg := testConfig(t, "Ada", &log)
	cfg.Metrics = freePort(t)
	d := start(t, cfg)
	onSocket := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.Socket())
	}}}
	defer onSocket.CloseIdleConnections()
	onPort := &http.Client{Transport: &http.Transport{}}
	defer onPort.CloseIdleConnections()
	get := func(c *http.Client, url, host string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	for _, page := range []string{"/healthz", "/readyz"} {
		for name, c := range map[string]*http.Client{"http://weft": onSocket, "http://" + cfg.Metrics: onPort} {
			if code, body := get(c, name+page, ""); code != http.StatusOK || body != "ok\n" {
				t.Errorf("%s%s: %d %q", name, page, code, body)
			}
		}
	}
	for name, c := range map[string]*http.Client{"http://weft": onSocket, "http://" + cfg.Metrics: onPort} {
		if code, body := get(c, name+"/metrics", ""); code != http.StatusOK || !strings.Contains(body, `weft_build_info{version="test"} 1`) {
			t.Errorf("%s/metrics: %d", name, code)
		}
	}
	if code, _ := get(onPort, "http://"+cfg.Metrics+"/metrics", "evil.example"); code != http.StatusForbidden {
		t.Errorf("a page that names another host got %d", code)
	}
	if code, _ := get(onPort, "http://"+cfg.Metrics+"/weft.v1.NodeService/GetInfo", ""); code != http.StatusNotFound {
		t.Errorf("the API on the port for metrics: %d", code)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestWhatKeepsANodeFromStartingLeavesNothingBehind(t *testing.T) {
	var log buffer
	running := start(t, testConfig(t, "Ada", &log))
	taken := running.Info().Listen[0]
	for name, spoil := range map[string]func(*Config){
		"folder in use": func(c *Config) { c.Dir = running.cfg.Dir },
		"folder is a file": func(c *Config) {
			os.MkdirAll(filepath.Dir(c.Dir), 0o700)
			os.WriteFile(c.Dir, nil, 0o600)
		},
		"port taken":         func(c *Config) { c.Listen = []string{taken[:strings.Index(taken, "/p2p/")]} },
		"metrics port taken": func(c *Config) { c.Metrics = takenPort(t) },
		"nonsense address":   func(c *Config) { c.Listen = []string{"nonsense"} },
		"nonsense peer":      func(c *Config) { c.Peer = []string{"nonsense"} },
		"open metrics":       func(c *Config) { c.Metrics = "0.0.0.0:0" },
	} {
		cfg := testConfig(t, "Ben", &log)
		spoil(&cfg)
		began := time.Now()
		d, err := Start(t.Context(), cfg)
		if err == nil {
			t.Errorf("%s: started", name)
			d.Stop()
			continue
		}
		t.Logf("%s: %v (%s)", name, err, time.Since(began).Round(time.Millisecond))
		if strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
			t.Errorf("%s: not one clear line: %v", name, err)
		}
		if name == "folder in use" && !errors.Is(err, ErrFolderInUse) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func takenPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestAClockThatIsAnHourWrong lets a node with a wrong clock talk to one with a right clock: nothing is lost on either
// side, and doctor says what is the matter.
func TestAClockThatIsAnHourWrong(t *testing.T) {
	var logA, logB buffer
	wrong := testConfig(t, "Ada", &logA)
	wrong.Now = func() time.Time { return time.Now().Add(time.Hour) }
	a, b := start(t, wrong), start(t, testConfig(t, "Ben", &logB))
	ca, cb := dial(t, a), dial(t, b)
	ctx := t.Context()
	must(ca.Teams.CreateTeam(ctx, connect.NewRequest(&weftv1.CreateTeamRequest{Name: "crew"})))
	link := must(ca.Teams.CreateInvite(ctx, connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew"}))).Link
	must(cb.Teams.Join(ctx, connect.NewRequest(&weftv1.JoinTeamRequest{Link: link})))
	for _, c := range []*client.Client{ca, cb} {
		if _, err := c.Post(ctx, client.Post{Team: "crew", Text: "what time is it", Wait: "replicated"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*client.Client{ca, cb} {
		page := must(c.Boards.History(ctx, connect.NewRequest(&weftv1.HistoryRequest{Team: "crew"})))
		if len(page.Entries) != 2 {
			t.Errorf("%d entries instead of two", len(page.Entries))
		}
	}
	// Doctor hears of it with the first beat after the posts.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for patience := time.After(30 * time.Second); ; {
		var found []string
		for _, d := range []*Daemon{a, b} {
			for _, c := range d.doctor(ctx) {
				if c.Name == "clock against peers" && c.Level == levelFail {
					found = append(found, c.Found)
				}
			}
		}
		if len(found) == 2 {
			t.Log(found)
			return
		}
		select {
		case <-tick.C:
		case <-patience:
			t.Fatalf("doctor found %q only", found)
		}
	}
}
