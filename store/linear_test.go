package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"weft/board"
)

// linInput and linOutput are the operations of TestAppendReadAndMarkAreLinearizable.
type linInput struct {
	op string // post, read, mark, unread
	id int
}

type linOutput struct {
	found  bool
	unread uint64
}

// linState: which posts are there, in the order in which the log has them, and how many of them are marked read.
type linState struct {
	posted [40]bool
	n      uint64
	marked uint64
}

var linModel = porcupine.Model{
	Init: func() any { return linState{} },
	Step: func(state, input, output any) (bool, any) {
		st, in, out := state.(linState), input.(linInput), output.(linOutput)
		switch in.op {
		case "post":
			if st.posted[in.id] {
				return out.found, st
			}
			st.posted[in.id] = true
			st.n++
			return !out.found, st
		case "read":
			return st.posted[in.id] == out.found, st
		case "mark":
			st.marked = st.n
			return out.unread == 0, st
		case "unread":
			return st.n-st.marked == out.unread, st
		}
		return false, st
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// TestAppendReadAndMarkAreLinearizable has several clients post (with retries), look up, mark all and count, and checks
// that all of it could have happened one after the other. The reader is another user than the author.
func TestAppendReadAndMarkAreLinearizable(t *testing.T) {
	ctx := context.Background()
	f := newTeamNode(t, 1, nil)
	var reader board.UserID
	reader[0] = 9
	if err := f.s.AddUser(ctx, reader); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	var mu sync.Mutex
	var ops []porcupine.Operation
	var wg sync.WaitGroup
	for c := range 6 {
		wg.Go(func() {
			for i := range 14 {
				in := linInput{[]string{"post", "read", "unread", "post", "read", "mark"}[(i+c)%6], (i*5 + c*3) % 20}
				call := time.Since(start).Nanoseconds()
				out, err := f.linearOp(ctx, in, reader)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ops = append(ops, porcupine.Operation{ClientId: c, Input: in, Call: call, Output: out, Return: time.Since(start).Nanoseconds()})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if !porcupine.CheckOperations(linModel, ops) {
		for _, o := range ops {
			t.Log(o.ClientId, o.Call, o.Return, linModel.DescribeOperation(o.Input, o.Output))
		}
		t.Fatal("no order of these operations explains their answers")
	}
}

func (f *fixture) linearOp(ctx context.Context, in linInput, reader board.UserID) (out linOutput, err error) {
	id := fmt.Sprint("id", in.id)
	switch in.op {
	case "post":
		var rs []Receipt
		if rs, err = f.s.Append(ctx, []Draft{f.draft("text", id)}); err == nil {
			out.found = rs[0].Duplicate
		}
	case "read":
		_, err = f.lookup(id)
		if out.found = err == nil; errors.Is(err, board.ErrNotFound) {
			err = nil
		}
	case "mark":
		out.unread, err = f.s.MarkAll(ctx, reader, f.board)
	case "unread":
		out.unread, err = f.s.Unread(reader, f.board)
	}
	return out, err
}
