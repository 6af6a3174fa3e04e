package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// long is a history that takes a while to bring over, on any machine.
const (
	long     = 40_000
	longLine = 600
)

// TestRemovedWhileSyncing has two machines and a cable between them. While a long history goes over it, the one who gets it
// is removed: their node is told, gets nothing more, and nothing goes over the cable any more though the team goes on.
func TestRemovedWhileSyncing(t *testing.T) { inNamespaces(t, removedWhileSyncing) }

func removedWhileSyncing(t *testing.T) {
	far, err := cable("10.77.0.1", "10.77.0.2")
	if err != nil {
		t.Fatalf("couldn't join two network namespaces: %v", err)
	}
	defer far.Close()
	env := os.Environ()
	a, err := launch(shortDir(t), env, "--name", "Ada", "--post-rate=-1", "--listen", "/ip4/10.77.0.1/udp/0/quic-v1", "--listen", "/ip4/10.77.0.1/tcp/0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.kill)
	dirB := shortDir(t)
	startB := func() *process {
		var b *process
		err := inNamespace(int(far.Fd()), func() (err error) {
			b, err = launch(dirB, env, "--name", "Ben", "--listen", "/ip4/10.77.0.2/udp/0/quic-v1", "--listen", "/ip4/10.77.0.2/tcp/0")
			return err
		})
		if err == nil {
			err = b.ready(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.kill)
		return b
	}
	if err := a.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := startB()
	a.weft(t, "team", "create", "crew")
	b.weft(t, "join", strings.TrimSpace(a.weft(t, "team", "invite", "crew")))
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	a.feed(t, strings.Repeat(strings.Repeat("x", longLine)+"\n", long), "post", "crew", "-")

	b = startB()
	began := sentOver(t, "near")
	for end := time.Now().Add(patience); sentOver(t, "near") < began+1<<20; <-time.After(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nothing comes:\n%s", b.log())
		}
	}
	a.weft(t, "team", "remove", "crew", "Ben", "--reason", "over the cable")
	removed := time.Now()
	eventually(t, b, "removed.*Ada.*over the cable|over the cable.*Ada", "team", "list")
	told := time.Since(removed)
	// What closes the connection, and what the kernels say to each other.
	before := sentOver(t, "near")
	for end, quiet := time.Now().Add(patience), false; !quiet; {
		<-time.After(2 * time.Second)
		now := sentOver(t, "near")
		if quiet = now-before < 1000; !quiet && time.Now().After(end) {
			t.Fatal("after the removal it goes on")
		}
		before = now
	}
	has := shows(t, b)
	if has == 0 || has >= long {
		t.Fatalf("it had %d of the %d entries: nothing is shown", has, long)
	}
	for i := range 20 {
		a.weft(t, "post", "crew", fmt.Sprint("and they don't hear this: ", i, strings.Repeat(" word", 100)))
		<-time.After(100 * time.Millisecond)
	}
	<-time.After(3 * time.Second)
	// The kernel itself says a word now and then: neighbours, multicast groups.
	if sent := sentOver(t, "near") - before; sent > 1000 {
		t.Errorf("%d bytes went over the cable after the removal", sent)
	} else {
		t.Logf("told %s after the command had returned; %d bytes went before, %d after; it has %d of %d entries", told.Round(time.Millisecond), before-began, sent, has, long)
	}
	if now := shows(t, b); now != has {
		t.Errorf("it shows %d entries, and showed %d", now, has)
	}
}

// sentOver is how many bytes the kernel has sent over a link of this thread's network namespace.
func sentOver(t *testing.T, link string) uint64 {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f, err := os.Open("/proc/thread-self/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, _ := strings.Cut(strings.TrimSpace(s.Text()), ":")
		if cols := strings.Fields(rest); name == link && len(cols) > 8 {
			n, err := strconv.ParseUint(cols[8], 10, 64) // 8 columns of what was received come first
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no link %s here", link)
	return 0
}

// shows is how many of the entries with the long lines a node shows.
func shows(t *testing.T, p *process) int {
	t.Helper()
	return strings.Count(p.weft(t, "read", "crew", "--last", strconv.Itoa(2*long)), strings.Repeat("x", longLine))
}
