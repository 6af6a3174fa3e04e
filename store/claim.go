package store

import (
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// claim is a post that is being appended. Whoever made it sees it through; others with the same (author, client_msg_id)
// wait for its outcome.
type claim struct {
	key     postKey
	done    chan struct{} // made by the first who waits; guarded by Store.claimsMu
	over    bool          // guarded by Store.claimsMu
	receipt Receipt
	err     error
	touched bool // a record of this post was written since the claim was made; guarded by Store.claimsMu
}

// claimAll claims the drafts' posts, answers those that are held already, and applies the authors' quotas to the rest.
func (p *pending) claimAll(ctx context.Context) error {
	s := p.s
	s.claimsMu.Lock()
	for i := range p.drafts {
		key := postKey{p.drafts[i].Board, board.MakePostID(p.drafts[i].Author, p.drafts[i].ClientMsgID)}
		c := s.claims[key]
		if c == nil {
			_, touched := s.writing[key]
			c = &claim{key: key, touched: touched}
			s.claims[key] = c
			p.mine[i] = true
		}
		p.claims[i] = c
	}
	s.claimsMu.Unlock()
	if err := p.answerHeld(ctx); err != nil {
		p.release(0, err)
		return err
	}
	if err := p.takeQuota(); err != nil {
		p.release(0, err)
		return err
	}
	for i := range p.drafts {
		if p.mine[i] && (i == 0 || p.boards[i] != p.boards[i-1]) {
			s.firstAppend(ctx, p.boards[i])
		}
	}
	return nil
}

// answerHeld ends the claims of posts that are on disk already.
func (p *pending) answerHeld(ctx context.Context) error {
	return p.s.view(func(m *memory, txn *badger.Txn) error {
		for i := range p.drafts {
			if !p.mine[i] {
				continue
			}
			h, err := p.s.heldPost(m, txn, p.claims[i].key, p.entry)
			switch {
			case err != nil:
				return err
			case h.held:
				p.mine[i] = false
				p.s.settleClaim(p.claims[i], h.receipt, h.refused)
			case h.some:
				p.s.touch(p.claims[i].key)
			}
		}
		return nil
	})
}

func (p *pending) takeQuota() error {
	for i := 0; i < len(p.drafts); {
		n, j := 0, i
		for ; j < len(p.drafts) && p.drafts[j].Author == p.drafts[i].Author && p.drafts[j].Team == p.drafts[i].Team; j++ {
			if p.mine[j] {
				n++
			}
		}
		if n > 0 { // what is held already is answered, however full the team is
			if err := p.s.teamFull(p.boards[i].team); err != nil {
				return fmt.Errorf("couldn't post: %w", err)
			}
		}
		if wait := p.s.quota.take(quotaKey{p.drafts[i].Team, p.drafts[i].Author}, n, p.s.opts.Now()); wait > 0 {
			p.s.metrics.quota.Inc()
			return fmt.Errorf("couldn't post: %w", ErrQuota{RetryAfter: wait})
		}
		i = j
	}
	return nil
}

// release gives up the claims from the i-th draft on that are this call's.
func (p *pending) release(i int, err error) {
	for ; i < len(p.drafts); i++ {
		if p.mine[i] {
			p.mine[i] = false
			p.s.settleClaim(p.claims[i], Receipt{}, err)
		}
	}
}

// settleClaim ends a claim with its outcome.
func (s *Store) settleClaim(c *claim, r Receipt, err error) {
	s.claimsMu.Lock()
	c.receipt, c.err, c.over = r, err, true
	delete(s.claims, c.key)
	if c.done != nil {
		close(c.done)
	}
	s.claimsMu.Unlock()
}

// wait waits for all outcomes.
func (p *pending) wait(ctx context.Context) ([]Receipt, error) {
	out := make([]Receipt, len(p.drafts))
	var first error
	for i, c := range p.claims {
		if err := p.s.await(ctx, c); err != nil {
			return nil, err
		}
		out[i] = c.receipt
		if !p.mine[i] {
			out[i].Duplicate = true
		}
		if c.err != nil && first == nil {
			first = c.err
		}
	}
	return out, first
}

// await waits until a claim is over.
func (s *Store) await(ctx context.Context, c *claim) error {
	s.claimsMu.Lock()
	if !c.over && c.done == nil {
		c.done = make(chan struct{})
	}
	over, done := c.over, c.done
	s.claimsMu.Unlock()
	if over {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("couldn't wait for the entry to be written: %w", ctx.Err())
	}
}

// touch notes that a record of a post is written by something else than its claim, so that whoever holds the claim, or
// claims the post before this group is committed, looks again at what is held.
func (s *Store) touch(key postKey) {
	s.claimsMu.Lock()
	s.writing[key] = struct{}{}
	if c := s.claims[key]; c != nil {
		c.touched = true
	}
	s.claimsMu.Unlock()
}

// onceGate lets the first caller do something while the others wait for it.
type onceGate struct {
	ch chan struct{}
}

// hookPatience is how long the first append to a board waits at most for what other nodes hold of this node's log.
const hookPatience = 2 * time.Second

// SetFirstAppendHook sets what is called before this node's first append to a board after Open: p2p asks a peer for
// this node's own log there, so that a store that lost its tail goes on from where it was. It may take hookPatience.
func (s *Store) SetFirstAppendHook(f func(ctx context.Context, b board.ID)) {
	s.hookMu.Lock()
	defer s.hookMu.Unlock()
	s.hook = f
}

// firstAppend calls the hook once for each board.
func (s *Store) firstAppend(ctx context.Context, b *boardState) {
	s.hookMu.Lock()
	hook, gate := s.hook, b.opened.ch
	if gate == nil {
		gate = make(chan struct{})
		b.opened.ch = gate
		s.hookMu.Unlock()
		if hook != nil {
			hctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookPatience)
			hook(hctx, b.id)
			cancel()
		}
		close(gate)
		return
	}
	s.hookMu.Unlock()
	<-gate
}
