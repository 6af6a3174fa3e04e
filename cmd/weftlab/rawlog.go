package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"weft/board"
)

// rawLog is what a durable log costs at least: entries are encoded, hashed and signed by their device, linked as records
// of a node's log whose heads are signed as a store does, and appended to one file with group commit and fdatasync. It
// has no index, no checks and no way to be read; the store is measured against it.
type rawLog struct {
	file   *os.File
	node   board.Key
	device board.Key
	header board.Header // of all entries, but for the links

	mu   sync.Mutex // guards prev, seq and clock, and the order in which slots are queued
	prev board.Hash
	seq  uint64
	clk  board.Clock

	queue chan *rawSlot
	done  chan struct{}
	err   error // of the committer; read after done
}

type rawSlot struct {
	entry  *board.Entry
	signed chan struct{} // closed when entry carries its signature
	stored chan error
}

func newRawLog(path string, f *fixture) (*rawLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("couldn't make the raw log: %w", err)
	}
	r := &rawLog{
		file: file, node: f.node, device: f.id.Device, queue: make(chan *rawSlot, 4096), done: make(chan struct{}),
		header: board.Header{
			Team: f.team, Board: f.board, Author: f.id.User, Device: f.id.Device.Public(), DevEpoch: 1,
			Cred: board.Hash{1}, Kind: board.KindPost,
		},
	}
	go r.commit()
	return r, nil
}

// post returns when text is on disk.
func (r *rawLog) post(ctx context.Context, id, text string) error {
	h := r.header
	h.ClientMsgID = id
	s := &rawSlot{signed: make(chan struct{}), stored: make(chan error, 1)}
	r.mu.Lock()
	r.seq++
	h.DevSeq, h.DevPrev, h.HLC = r.seq, r.prev, r.clk.Now(time.Now())
	s.entry = board.NewEntry(h, []byte(text))
	r.prev = s.entry.ID
	r.queue <- s
	r.mu.Unlock()
	s.entry.Sign(r.device)
	close(s.signed)
	select {
	case err := <-s.stored:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commit writes what waits in one go, until the queue is closed.
func (r *rawLog) commit() {
	defer close(r.done)
	var buf bytes.Buffer
	var group []*rawSlot
	rec := board.Record{Board: r.header.Board, Origin: board.Origin{Node: r.node.Public(), Epoch: board.Epoch{N: 1, R: 1}}}
	link := make([]byte, 0, 256)
	for s := range r.queue {
		group = append(group[:0], s)
		for more := true; more && len(group) < 2000; {
			select {
			case s, ok := <-r.queue:
				if more = ok; ok {
					group = append(group, s)
				}
			default:
				more = false
			}
		}
		buf.Reset()
		for _, s := range group {
			<-s.signed
			rec.Seq++
			rec.Entry, rec.Received = s.entry.ID, s.entry.Header.HLC
			link = rec.Append(link[:0])
			p := rec.Position()
			rec.Prev = board.Link{Epoch: p.Epoch, Seq: p.Seq, Hash: p.Hash}
			buf.Write(link)
			buf.Write(s.entry.Raw)
			buf.Write(s.entry.Signature)
			buf.Write(s.entry.Body)
			if rec.Seq%board.HeadEvery == 0 {
				sig := board.SignHead(r.node, p)
				buf.Write(sig[:])
			}
		}
		_, err := r.file.Write(buf.Bytes())
		if err == nil {
			err = unix.Fdatasync(int(r.file.Fd()))
		}
		for _, s := range group {
			s.stored <- err
		}
		if err != nil {
			r.err = err
		}
	}
}

func (r *rawLog) close() error {
	close(r.queue)
	<-r.done
	if err := r.file.Close(); r.err == nil {
		r.err = err
	}
	return r.err
}
