package rpc_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/rpc/rpctest"
)

var words = strings.Repeat("a few words of English ", 9)

// BenchmarkPost is one post a call by 64 callers through the socket.
func BenchmarkPost(b *testing.B) {
	r := rpctest.Start(b)
	id := r.Team(b, "crew").String()
	var n atomic.Uint64
	b.SetParallelism(32) // × GOMAXPROCS
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, err := r.Client.Boards.Post(b.Context(), connect.NewRequest(&weftv1.PostRequest{
				Team: id, Posts: []*weftv1.NewPost{{Text: words, ClientMsgId: fmt.Sprint(n.Add(1))}},
			}))
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

// BenchmarkPostBatch is 100 posts a call by 8 callers.
func BenchmarkPostBatch(b *testing.B) {
	r := rpctest.Start(b)
	id := r.Team(b, "crew").String()
	var n atomic.Uint64
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m := &weftv1.PostRequest{Team: id}
			for range 100 {
				m.Posts = append(m.Posts, &weftv1.NewPost{Text: words, ClientMsgId: fmt.Sprint(n.Add(1))})
			}
			if _, err := r.Client.Boards.Post(b.Context(), connect.NewRequest(m)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "posts/s")
}

// BenchmarkGetInfo is what a call costs by itself.
func BenchmarkGetInfo(b *testing.B) {
	r := rpctest.Start(b)
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Client.Nodes.GetInfo(b.Context(), connect.NewRequest(&weftv1.GetInfoRequest{})); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkLogin is what a client asks first: the boards of 16 teams, 1,000 in all, with unread counts and last entries.
func BenchmarkLogin(b *testing.B) {
	r := rpctest.Start(b)
	for i := range 16 {
		name := fmt.Sprintf("team %d", i)
		r.Team(b, name)
		for j := range 62 {
			board := fmt.Sprintf("board %d", j)
			if _, err := r.Client.Boards.CreateBoard(b.Context(), connect.NewRequest(&weftv1.CreateBoardRequest{Team: name, Name: board})); err != nil {
				b.Fatal(err)
			}
			if _, err := r.Client.Boards.Post(b.Context(), connect.NewRequest(&weftv1.PostRequest{Team: name, Board: board, Posts: []*weftv1.NewPost{{Text: words}}})); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		res, err := r.Client.Boards.ListBoards(b.Context(), connect.NewRequest(&weftv1.ListBoardsRequest{WithLast: true}))
		if err != nil || len(res.Msg.Boards) != 16*63 {
			b.Fatal(err)
		}
	}
}
