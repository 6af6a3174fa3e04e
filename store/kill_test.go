package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"weft/board"
)

// childEnv holds the folder in which this test binary is to post until it is killed.
const childEnv = "WEFT_STORE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child posts from several goroutines and says on standard output what was acknowledged.
func child(dir string) {
	p := newPerson(panicT{}, 1)
	s, err := Open(context.Background(), Options{Dir: dir, Node: p.node, Users: []board.UserID{p.id.User}, Quotas: Quotas{AuthorPerSecond: -1}, MinFree: 1, MemTable: 8 << 20})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	team := s.Teams()[0]
	run := time.Now().UnixNano()
	out := make(chan string, 64)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				d := Draft{Team: team, Board: board.GeneralID(team), Author: p.id.User, Device: p.id.Device, Kind: board.KindPost,
					Body: []byte(strings.Repeat("x", 1+i*37%900)), ClientMsgID: fmt.Sprintf("%d-%d-%d", run, w, i)}
				rs, err := s.Append(context.Background(), []Draft{d})
				if err != nil {
					out <- "error " + err.Error()
					return
				}
				r := rs[0]
				out <- fmt.Sprintf("ack %s %d %d %d %s", d.ClientMsgID, r.Position.Epoch.N, r.Position.Epoch.R, r.Position.Seq, r.Entry)
			}
		}()
	}
	for line := range out {
		fmt.Println(line)
	}
}

// panicT stands for a test where there is none.
type panicT struct{ testing.TB }

func (panicT) Helper()           {}
func (panicT) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// kills is how often the loop kills: WEFT_KILLS, or 5.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("WEFT_KILLS")); err == nil {
		return n
	}
	return 5
}

// TestKillLosesNothingAcknowledged kills a posting process again and again, most times with posts in flight.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	f := newTeamNode(t, 1, func(o *Options) { o.Now = nil })
	f.close()
	acked := map[string]string{} // client_msg_id -> where
	var ids []string
	for k := range kills() {
		for id, at := range runAndKill(t, f.dir, 1+rand.IntN(3000)) {
			if _, twice := acked[id]; twice {
				t.Fatalf("post %s was acknowledged twice", id)
			}
			acked[id] = at
			ids = append(ids, id)
		}
		f.open()
		f.checkAcked(acked, ids, k)
		f.close()
	}
}

// runAndKill starts a posting process and kills it after so many acknowledgements.
func runAndKill(t *testing.T, dir string, after int) map[string]string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := map[string]string{}
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF && len(acked) >= after {
			break
		}
		if err != nil || strings.HasPrefix(line, "error") {
			cmd.Process.Kill()
			t.Fatalf("child: %q %v", line, err)
		}
		id, at, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "ack "), " ")
		acked[id] = at
		if len(acked) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait()
	return acked
}

// checkAcked looks for every acknowledged post where its receipt said, and follows all logs.
func (f *fixture) checkAcked(acked map[string]string, ids []string, run int) {
	f.t.Helper()
	ctx := context.Background()
	for _, id := range ids {
		e, err := f.lookup(id)
		if err != nil {
			f.t.Fatalf("run %d: post %s was acknowledged and is gone: %v", run, id, err)
		}
		if at := fmt.Sprintf("%d %d %d %s", e.Origin.Epoch.N, e.Origin.Epoch.R, e.Seq, e.Entry.ID); at != acked[id] {
			f.t.Fatalf("run %d: post %s was acknowledged at %s and stands at %s", run, id, acked[id], at)
		}
	}
	c, err := f.s.Check(ctx, nil)
	if err != nil || c.Damaged > 0 {
		f.t.Fatalf("run %d: check: %+v %v", run, c, err)
	}
	if st := f.s.Status(); st.Short != "" || st.Damaged > 0 || st.Mended {
		f.t.Fatalf("run %d: %+v", run, st)
	}
}
