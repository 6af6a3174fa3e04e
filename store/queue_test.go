package store

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"weft/board"
)

// named is a task of the first row.
type named string

func (named) prepare(*group) error { return nil }
func (named) finish(error)         {}

func bulkTask(n int) *ingestTask {
	return &ingestTask{in: &ingest{r: &board.Run{Items: make([]board.Item, bulkRun+1)}}, from: n}
}

func taskName(t task) string {
	if i, ok := t.(*ingestTask); ok {
		return fmt.Sprint("bulk ", i.from)
	}
	return string(t.(named))
}

// fillGroup takes a group of at most so many tasks, as the committer does.
func fillGroup(q *queues, limit int, gentle bool) (g []string) {
	t, _ := q.begin(false)
	for t != nil {
		if g = append(g, taskName(t)); len(g) == limit {
			break
		}
		t = q.more(gentle)
	}
	q.filled()
	return g
}

// Posts that wait go before parts of a catch-up that came earlier, and both keep their order.
func TestPostsGoBeforeBulk(t *testing.T) {
	q := newQueues()
	for i := range 3 {
		q.rowOf(bulkTask(i)) <- bulkTask(i)
	}
	for i := range 3 {
		q.rowOf(named("")) <- named(fmt.Sprint("post ", i))
	}
	for n, want := range [][]string{{"post 0", "post 1", "post 2"}, {"bulk 0"}, {"bulk 1"}, {"bulk 2"}, nil} {
		if got := fillGroup(q, 100, true); !slices.Equal(got, want) {
			t.Fatalf("group %d is %q, not %q", n, got, want)
		}
	}
}

// Where nobody posts, a group takes of a catch-up what fits.
func TestBulkAloneFillsGroups(t *testing.T) {
	q := newQueues()
	for i := range 5 {
		q.bulk <- bulkTask(i)
	}
	if got := fillGroup(q, 4, false); len(got) != 4 {
		t.Fatalf("a group of %q", got)
	}
}

// With more posts than fit into any group, a catch-up begins every bulkEvery-th.
func TestBulkIsNotStarved(t *testing.T) {
	q := newQueues()
	const parts = 8
	for i := range parts {
		q.bulk <- bulkTask(i)
	}
	posts, next, since := 0, 0, 0
	for next < parts {
		for len(q.first) < 50 {
			q.first <- named(fmt.Sprint("post ", posts+len(q.first)))
		}
		g := fillGroup(q, 20, true)
		if since++; since > bulkEvery {
			t.Fatalf("%d groups without a part of the catch-up", since)
		}
		if len(g) != 20 {
			t.Fatalf("a group of %d, with 50 posts waiting", len(g))
		}
		for i, name := range g {
			switch name {
			case fmt.Sprint("bulk ", next):
				if i > 0 || since < bulkEvery {
					t.Fatalf("group %d since the last part: a part at place %d", since, i)
				}
				next, since = next+1, 0
			case fmt.Sprint("post ", posts):
				posts++
			default:
				t.Fatalf("%s comes after post %d and bulk %d", name, posts-1, next-1)
			}
		}
	}
}

// What is closed is drained, and then at its end.
func TestQueuesAreDrained(t *testing.T) {
	q := newQueues()
	q.bulk <- bulkTask(0)
	q.first <- named("post")
	q.close()
	var got []string
	for {
		task, open := q.begin(true)
		if task == nil {
			if open {
				t.Fatal("waited for a task, and got none")
			}
			break
		}
		got = append(got, taskName(task))
	}
	if !slices.Equal(got, []string{"post", "bulk 0"}) {
		t.Fatalf("drained %q", got)
	}
}

// A post that comes while the committer is busy is on disk before the catch-up that waited already; live records and
// governance are no bulk.
func TestAPostOvertakesACatchUp(t *testing.T) {
	a := newTeamNode(t, 1, nil)
	b := a.join(2)
	var last board.Position
	for range 2 * bulkRun {
		last = a.post("x").Position
	}
	ctx := context.Background()
	run, err := a.s.Run(ctx, a.board, last.Origin(), 1, last.Seq, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	held, goOn := make(chan struct{}), make(chan struct{})
	b.s.queue.first <- probeTask{func() { close(held); <-goOn }}
	<-held
	var order []bool // whether the records are this node's own
	b.s.OnCommit(func(cs []Committed) {
		for _, c := range cs {
			if c.Board == b.board {
				order = append(order, c.Own)
			}
		}
	})
	done := make(chan error, 2)
	go func() {
		_, err := b.s.Ingest(ctx, a.team, run, false)
		done <- err
	}()
	for len(b.s.queue.bulk) == 0 {
		select {
		case err := <-done:
			t.Fatalf("the catch-up is over: %v", err)
		default:
		}
	}
	go func() {
		_, err := b.s.Append(ctx, []Draft{b.draft("now", "now")})
		done <- err
	}()
	for len(b.s.queue.first) == 0 {
		select {
		case err := <-done:
			t.Fatalf("the post is over: %v", err)
		default:
		}
	}
	close(goOn)
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(order, []bool{true, false}) {
		t.Fatalf("own records: %v", order)
	}
}
