package rpc

import (
	"sync"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// maxReceipts is how many boards' newest receipts are kept.
const maxReceipts = 1024

// receipts keeps the newest signed head that was given out for each board: posts that were committed together share one
// signature, which costs as much as the rest of a call. Safe for concurrent use.
type receipts struct {
	mu     sync.Mutex
	boards map[board.ID]*receipt // guarded by mu
}

// receipt is the newest signed head of a board's log. Whoever needs a newer one makes it under the lock; the others wait
// for it, as it will cover their records, too.
type receipt struct {
	mu     sync.Mutex
	origin board.Origin
	seq    uint64
	wire   []byte
}

// of is a marshalled weft.v1.Head that covers record seq of an origin, or nothing if none is here. newest signs it.
func (r *receipts) of(b board.ID, o board.Origin, seq uint64, newest func() (board.Position, []byte, bool)) []byte {
	r.mu.Lock()
	if r.boards == nil || len(r.boards) >= maxReceipts && r.boards[b] == nil {
		r.boards = map[board.ID]*receipt{}
	}
	c := r.boards[b]
	if c == nil {
		c = &receipt{}
		r.boards[b] = c
	}
	r.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.origin == o && c.seq >= seq {
		return c.wire
	}
	head, sig, ok := newest()
	if !ok || head.Seq < seq {
		return nil
	}
	wire, err := proto.Marshal(&weftv1.Head{Position: head.Wire(), Signature: sig})
	if err != nil {
		return nil
	}
	c.origin, c.seq, c.wire = o, head.Seq, wire
	return wire
}
