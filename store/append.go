package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"unicode/utf8"

	"weft/board"
)

// maxTaskBytes bounds the entries of one task, so that a group stays near its own bound.
const maxTaskBytes = 256 << 10

// Append writes entries of local users, in order, and returns when all are on disk: a Receipt for each. It is
// idempotent by (author, client_msg_id): what is here already, or on its way, gives the receipt of the entry that is
// kept. A draft that is refused refuses all (nothing is written) unless its error wraps ErrOutcomeUnknown or ctx's.
//
// Errors wrap board.ErrMalformed, ErrTooLarge, ErrNotFound, ErrNotMember, ErrPending, ErrUnknownTeam, ErrQuota,
// ErrStorageFull, ErrClosed or ErrOutcomeUnknown. Safe for concurrent use.
func (s *Store) Append(ctx context.Context, drafts []Draft) ([]Receipt, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	s.notePost()
	p := pending{s: s, drafts: drafts, claims: make([]*claim, len(drafts)), mine: make([]bool, len(drafts))}
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := p.claimAll(ctx); err != nil {
		return nil, err
	}
	if err := p.enqueue(ctx); err != nil {
		return nil, err
	}
	rs, err := p.wait(ctx)
	if err != nil {
		return nil, err
	}
	return rs, nil
}

// writable says why nothing can be written now, or nil.
func (s *Store) writable() error {
	if why := s.failed.Load(); why != nil {
		return *why
	}
	if s.full.Load() {
		return s.fullError()
	}
	return nil
}

// pending is one call of Append.
type pending struct {
	s      *Store
	drafts []Draft
	creds  []board.Hash
	boards []*boardState
	claims []*claim
	mine   []bool     // claims that this call must see through
	entry  board.Hash // of AppendSigned: the one that comes
}

// check examines the drafts' form and the authors' rights.
func (p *pending) check() error {
	p.creds, p.boards = make([]board.Hash, len(p.drafts)), make([]*boardState, len(p.drafts))
	for i := range p.drafts {
		d := &p.drafts[i]
		if err := d.checkForm(); err != nil {
			return err
		}
		if i > 0 {
			if o := &p.drafts[i-1]; o.Team == d.Team && o.Board == d.Board && o.Author == d.Author && o.Kind == d.Kind && o.Device.Public() == d.Device.Public() {
				p.creds[i], p.boards[i] = p.creds[i-1], p.boards[i-1]
				continue
			}
		}
		b, cred, err := p.s.mayWrite(d)
		if err != nil {
			return err
		}
		p.creds[i], p.boards[i] = cred, b
	}
	return nil
}

func (d *Draft) checkForm() error {
	switch {
	case d.ClientMsgID == "" || len(d.ClientMsgID) > board.MaxClientMsgID:
		return fmt.Errorf("couldn't post: client_msg_id has %d bytes, 1 to %d are allowed: %w", len(d.ClientMsgID), board.MaxClientMsgID, board.ErrMalformed)
	case d.Kind == 0 || d.Kind.Governance():
		return fmt.Errorf("couldn't post: %s is no kind of message: %w", d.Kind, board.ErrMalformed)
	case len(d.Body) > board.MaxBody:
		return fmt.Errorf("couldn't post: the text has %d bytes, at most %d are allowed: %w", len(d.Body), board.MaxBody, board.ErrTooLarge)
	case len(d.Body) == 0:
		return fmt.Errorf("couldn't post: the text is empty: %w", board.ErrMalformed)
	case d.Kind == board.KindPost && !utf8.Valid(d.Body):
		return fmt.Errorf("couldn't post: the text is not UTF-8: %w", board.ErrMalformed)
	case d.Device.IsZero():
		return fmt.Errorf("couldn't post: no device key: %w", board.ErrMalformed)
	}
	return nil
}

// mayWrite finds a draft's board and the right that its entry will name.
func (s *Store) mayWrite(d *Draft) (*boardState, board.Hash, error) {
	t, ok := s.memory().team(d.Team)
	if !ok {
		return nil, board.Hash{}, fmt.Errorf("couldn't post: %w: %w", ErrUnknownTeam, board.ErrNotFound)
	}
	st := t.state.Load()
	b, ok := s.memory().board(d.Board)
	if !ok || b.team != t || b.governance {
		return nil, board.Hash{}, fmt.Errorf("couldn't post: board %s: %w", d.Board, board.ErrNotFound)
	}
	cred, ok := st.Cred(d.Author)
	if _, closed := st.Closed(); !ok || closed {
		return nil, board.Hash{}, mayNotWrite(st, d.Author)
	}
	h := board.Header{Team: d.Team, Board: d.Board, Author: d.Author, Device: d.Device.Public(), Cred: cred, Kind: d.Kind, ClientMsgID: d.ClientMsgID, DevSeq: 1, HLC: 1}
	return b, cred, verdictError(st, d.Author, st.CheckEntry(&h, nil))
}

// chain is the end of what this process has signed for a device in a board.
type chain struct {
	mu    sync.Mutex // order of locks: one chain at a time, before the clock
	epoch uint64
	seq   uint64
	prev  board.Hash
}

func (s *Store) chain(k deviceKey) *chain {
	s.chainsMu.Lock()
	defer s.chainsMu.Unlock()
	c := s.chains[k]
	if c == nil {
		if len(s.chains) >= maxDevices { // each begins a new dev_epoch: nothing is lost but a link
			s.chains = map[deviceKey]*chain{}
		}
		c = &chain{epoch: s.random64()}
		s.chains[k] = c
	}
	return c
}

func (s *Store) random64() uint64 {
	var b [8]byte
	s.opts.Random(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// slot is an entry on its way through the committer.
type slot struct {
	entry *board.Entry
	claim *claim
	key   postKey
}

// enqueue gives each draft that is this call's own its place, hands them to the committer and signs them meanwhile.
func (p *pending) enqueue(ctx context.Context) error {
	for i := 0; i < len(p.drafts); {
		if !p.mine[i] {
			i++
			continue
		}
		j, size := i+1, p.drafts[i].size()
		for j < len(p.drafts) && p.mine[j] && p.drafts[j].Board == p.drafts[i].Board && p.drafts[j].Device.Public() == p.drafts[i].Device.Public() && size+p.drafts[j].size() <= maxTaskBytes {
			size += p.drafts[j].size()
			j++
		}
		if err := p.enqueueRow(ctx, i, j, size); err != nil {
			p.release(i, err)
			return err
		}
		i = j
	}
	return nil
}

func (d *Draft) size() int { return len(d.Body) + 1024 }

// enqueueRow enqueues drafts i..j-1, which are of one board and device.
func (p *pending) enqueueRow(ctx context.Context, i, j, size int) error {
	s, b, key := p.s, p.boards[i], p.drafts[i].Device
	if err := s.room.Acquire(ctx, int64(size)); err != nil {
		return fmt.Errorf("couldn't queue entries: %w", err)
	}
	t := &appendTask{s: s, board: b.id, slots: make([]slot, j-i), size: int64(size), signed: make(chan struct{})}
	bodies := make([]board.Hash, j-i)
	for k := range bodies {
		bodies[k] = sha256.Sum256(p.drafts[i+k].Body)
	}
	device := key.Public()
	c := s.chain(deviceKey{b.id, device})
	c.mu.Lock()
	seq, prev := c.seq, c.prev
	for k := range t.slots {
		d := &p.drafts[i+k]
		e := c.entry(s, d, device, p.creds[i+k], bodies[k])
		t.slots[k] = slot{e, p.claims[i+k], p.claims[i+k].key}
	}
	err := s.submit(ctx.Done(), t)
	if err != nil {
		c.seq, c.prev = seq, prev
	}
	c.mu.Unlock()
	if err != nil {
		s.room.Release(int64(size))
		return err
	}
	t.sign(key)
	return nil
}

// entry makes the chain's next entry. The caller holds c.mu.
func (c *chain) entry(s *Store, d *Draft, device board.DeviceID, cred, body board.Hash) *board.Entry {
	c.seq++
	h := board.Header{
		Team: d.Team, Board: d.Board, Author: d.Author, Device: device, DevEpoch: c.epoch, DevSeq: c.seq, DevPrev: c.prev,
		Cred: cred, ClientMsgID: d.ClientMsgID, HLC: s.tick(), Kind: d.Kind, BodyLen: uint32(len(d.Body)), BodyHash: body,
	}
	e := &board.Entry{Header: h, Body: d.Body}
	e.Raw = h.Append(make([]byte, 0, 384))
	e.ID = sha256.Sum256(e.Raw)
	c.prev = e.ID
	return e
}

// cores is how many goroutines can be at work at once. GOMAXPROCS may be more: see daemon.SpreadThreads.
func cores() int { return min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) }

// sign signs the task's entries, on several cores if they are many. The committer waits for it in order.
func (t *appendTask) sign(key board.Key) {
	defer close(t.signed)
	n := min(cores(), len(t.slots)/8)
	if n < 2 {
		for i := range t.slots {
			t.slots[i].entry.Sign(key)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range n {
		wg.Go(func() {
			for i := w; i < len(t.slots); i += n {
				t.slots[i].entry.Sign(key)
			}
		})
	}
	wg.Wait()
}
