package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Folders that are copied, brought back and run twice, and a link that two people use at once, with real processes.

// startedIn starts nodes with these names, each in a folder of its own, in one team that the first founds.
func startedIn(t *testing.T, names ...string) []*process {
	t.Helper()
	var nodes []*process
	for i, name := range names {
		p := startNode(t, shortDir(t), "--name", name, "--post-rate=-1")
		if nodes = append(nodes, p); i == 0 {
			p.weft(t, "team", "create", "crew")
		} else {
			p.weft(t, "join", strings.TrimSpace(nodes[0].weft(t, "team", "invite", "crew")))
		}
	}
	return nodes
}

// board is everything that a node shows of the team's first board, without the times.
func (p *process) board(t *testing.T) []string {
	t.Helper()
	var lines []string
	for _, l := range strings.Split(p.weft(t, "read", "crew", "--last", "1000"), "\n") {
		if _, said, ok := strings.Cut(l, ": "); ok {
			lines = append(lines, said)
		}
	}
	return lines
}

// agree waits until all nodes show the same, with all of these in it, each once.
func agree(t *testing.T, want []string, nodes ...*process) {
	t.Helper()
	var shown [][]string
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		shown = nil
		ok := true
		for _, p := range nodes {
			lines := p.board(t)
			shown = append(shown, lines)
			sorted := slices.Sorted(slices.Values(lines))
			ok = ok && slices.Equal(lines, shown[0]) && slices.Equal(sorted, slices.Sorted(slices.Values(want)))
		}
		if ok {
			return
		}
	}
	t.Fatalf("they never showed the same %d posts: %q", len(want), shown)
}

// copied is a copy of a node's folder, without what belongs to the running process.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := shortDir(t)
	if out, err := exec.Command("cp", "-a", "--sparse=always", dir, to).CombinedOutput(); err != nil {
		t.Fatalf("couldn't copy: %v %s", err, out)
	}
	if err := os.RemoveAll(filepath.Join(to, "run")); err != nil {
		t.Fatal(err)
	}
	return to
}

// restored stops a node, and starts it from a copy of an old folder of it.
func restored(t *testing.T, p *process, old string) *process {
	t.Helper()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	return startNode(t, copied(t, old), "--name", "Ben", "--post-rate=-1")
}

// A folder of a while ago is brought back, twice, with the others there and without: nothing that anybody has is lost, and
// no number is used twice, so that all show the same in the end.
func TestAnOldCopyIsBroughtBackTwice(t *testing.T) {
	nodes := startedIn(t, "Ada", "Ben", "Cyd")
	a, b, c := nodes[0], nodes[1], nodes[2]
	var want []string
	say := func(p *process, text string) {
		t.Helper()
		p.weft(t, "post", "crew", text)
		want = append(want, text)
	}
	say(a, "a1")
	say(b, "b1")
	agree(t, want, a, b, c)
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	old := copied(t, b.dir)
	b = startNode(t, b.dir, "--name", "Ben", "--post-rate=-1")
	say(b, "b2, which the copy lacks")
	agree(t, want, a, b, c)
	for i := range 2 {
		b = restored(t, b, old)
		say(b, fmt.Sprintf("after %d copies were brought back among the others", i+1))
		say(a, fmt.Sprint("meanwhile ", i))
		agree(t, want, a, b, c)
	}
	for _, p := range []*process{a, c} {
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		b = restored(t, b, old)
		b.weft(t, "post", "crew", fmt.Sprintf("after %d copies were brought back alone", i+1))
	}
	want = append(want, "after 2 copies were brought back alone") // the first of these was on a disk that is gone
	a = startNode(t, a.dir, "--name", "Ada")
	c = startNode(t, c.dir, "--name", "Cyd")
	say(a, "all are there again")
	agree(t, want, a, b, c)
}

// A machine is copied while it runs, once or twice, and all go on under one node's key: nothing breaks, and in the end
// everything that any of them has written is with everybody.
func TestACopyOfARunningNode(t *testing.T)     { runsTwice(t, 1) }
func TestTwoCopiesOfARunningNode(t *testing.T) { runsTwice(t, 2) }

func runsTwice(t *testing.T, copies int) {
	nodes := startedIn(t, "Ada", "Ben")
	a, same := nodes[0], nodes[1:] // those with Ben's key
	var want []string
	say := func(p *process, text string) {
		t.Helper()
		p.weft(t, "post", "crew", text)
		want = append(want, text)
	}
	say(same[0], "before")
	agree(t, want, a, same[0])
	same[0].cmd.Process.Signal(syscall.SIGSTOP) // so that the copies are of one moment
	dirs := []string{same[0].dir}
	for range copies {
		dirs = append(dirs, copied(t, same[0].dir))
	}
	same[0].cmd.Process.Signal(syscall.SIGCONT)
	for _, dir := range dirs[1:] {
		same = append(same, startNode(t, dir, "--name", "Ben", "--post-rate=-1"))
	}
	for i := range 5 {
		for k, p := range same {
			say(p, fmt.Sprintf("copy %d says %d", k, i))
		}
		say(a, fmt.Sprint("ada says ", i))
	}
	for _, p := range same {
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	}
	// One after the other, since each of them is the others' own log to everybody else.
	for k, dir := range dirs {
		p := startNode(t, dir, "--name", "Ben")
		showsText(t, a, fmt.Sprintf("copy %d says 4", k))
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range slices.Backward(dirs) {
		p := startNode(t, dir, "--name", "Ben")
		agree(t, want, a, p)
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// showsText waits until a node shows a text.
func showsText(t *testing.T, p *process, text string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if slices.Contains(p.board(t), text) {
			return
		}
	}
	t.Fatalf("it never showed %q: %q", text, p.board(t))
}

// Two people use one link for one at the same moment, at two nodes: one gets in, and the other one is told why not.
func TestOneLinkTwoPeople(t *testing.T) {
	a := startedIn(t, "Ada")[0]
	ben, cyd := startNode(t, shortDir(t), "--name", "Ben"), startNode(t, shortDir(t), "--name", "Cyd")
	link := strings.TrimSpace(a.weft(t, "team", "invite", "crew"))
	type outcome struct {
		out string
		err error
	}
	done := make(chan outcome, 2)
	for _, p := range []*process{ben, cyd} {
		go func() {
			out, err := exec.Command("weft", "--dir", p.dir, "join", link).CombinedOutput()
			done <- outcome{string(out), err}
		}()
	}
	x, y := <-done, <-done
	if x.err != nil {
		x, y = y, x
	}
	if x.err != nil || y.err == nil || !strings.Contains(y.out, "used up") {
		t.Fatalf("%v: %s; %v: %s", x.err, x.out, y.err, y.out)
	}
	if got := strings.Count(a.weft(t, "team", "members", "crew"), "member"); got != 1 {
		t.Errorf("%d people came in by a link for one:\n%s", got, a.weft(t, "team", "members", "crew"))
	}
}
