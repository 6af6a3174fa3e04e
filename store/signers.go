package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// A cut names each log in which this store holds something signed by the one cut off (trust §2). So for each node's log in
// a board, all its epochs together, it is noted who has something there: once, when their first record comes.

// signer is somebody who may be cut off: a kind, then an id.
type signer [33]byte

// Kinds of signers.
const (
	byUser   = 'u' // a user, or the node that is an operation's author
	byDevice = 'd' // a key
	byInvite = 'i' // admissions by an invite
)

func signerOf(kind byte, id [32]byte) (s signer) {
	s[0] = kind
	copy(s[1:], id[:])
	return s
}

// signers are those of one node's log in a board. Guarded by the board's mu; the committer reads without it.
type signers map[signer]struct{}

func appendSignerKey(b []byte, l logNum, s signer) []byte {
	return append(appendLogKey(b, tSigner, l), s[:]...)
}

// signersOf are the log's, made if nobody is noted yet; the caller holds b.mu or has the board for itself.
func (b *boardState) signersOf(n board.NodeID) signers {
	set := b.signers[n]
	if set == nil {
		set = signers{}
		if b.signers == nil {
			b.signers = map[board.NodeID]signers{}
		}
		b.signers[n] = set
	}
	return set
}

// newSigner is one that a group found.
type newSigner struct {
	board *boardState
	node  board.NodeID
	who   signer
}

// noteSigner notes that a log holds something of somebody.
func (g *group) noteSigner(l *logState, who signer) error {
	n := newSigner{l.board, l.origin.Node, who}
	if _, known := l.board.signers[n.node][who]; known {
		return nil
	}
	if _, known := g.signers[n]; known {
		return nil
	}
	if g.signers == nil {
		g.signers = map[newSigner]struct{}{}
	}
	g.signers[n] = struct{}{}
	if g.txn == nil { // whoever made the group writes them
		return nil
	}
	return g.put(appendSignerKey(nil, l.num, who), nil)
}

// noteAuthor notes who signed an entry of a message board.
func (g *group) noteAuthor(d *logDelta, h *board.Header) error {
	if h.Author == d.author && h.Device == d.device {
		return nil
	}
	d.author, d.device = h.Author, h.Device
	if err := g.noteSigner(d.log, signerOf(byUser, h.Author)); err != nil {
		return err
	}
	return g.noteSigner(d.log, signerOf(byDevice, h.Device))
}

// noteObject notes who signed a governance object, and by which invite it admits.
func (g *group) noteObject(l *logState, o *team.Object) error {
	who := []signer{signerOf(byDevice, o.Key)}
	switch {
	case o.Ack != nil:
		who = append(who, signerOf(byUser, [32]byte(o.Ack.User)))
	case o.Op != nil:
		who = append(who, signerOf(byUser, [32]byte(o.Op.Author)))
		if a := o.Op.GetAdmit(); a != nil {
			who = append(who, signerOf(byInvite, [32]byte(a.Invite)))
		}
	}
	for _, w := range who {
		if err := g.noteSigner(l, w); err != nil {
			return err
		}
	}
	return nil
}

// applySigners is called with the touched boards' mu held.
func (g *group) applySigners() {
	for n := range g.signers {
		n.board.signersOf(n.node)[n.who] = struct{}{}
	}
}

func (ld *loader) signer(key, _ []byte) error {
	l, err := ld.log(key)
	if err != nil || len(key) != 5+len(signer{}) {
		return errDecode
	}
	ld.signers = append(ld.signers, foundSigner{l, signer(key[5:])})
	return nil
}

type foundSigner struct {
	log *logState
	who signer
}

// signersKey says that all records held were looked at for their signers.
func signersKey() []byte { return storeKey("signers") }

// indexSigners looks at all records for their signers, once, in a store that was made before they were noted, or mended.
// Their rights are judged again too: by the rules of then, or by what was lost, they may be others.
func (s *Store) indexSigners(m *memory) error {
	done := false
	err := s.view(func(_ *memory, txn *badger.Txn) error {
		c, err := get(txn, signersKey())
		done = c != nil
		return ignoreDamage(err)
	})
	if err != nil || done {
		return err
	}
	ts := s.snaps.last() + 1
	wb := s.db.NewWriteBatchAt(ts)
	defer wb.Cancel()
	put := func(k, c []byte) error { return wb.Set(k, seal(k, c)) }
	for _, l := range m.logs {
		if l == nil {
			continue
		}
		if err := s.signersOfLog(l, put); err != nil {
			return fmt.Errorf("couldn't note who signed what: %w", err)
		}
	}
	if err := s.reviewAll(m, put); err != nil {
		return fmt.Errorf("couldn't note what is to be judged again: %w", err)
	}
	if err := put(signersKey(), []byte{1}); err != nil {
		return fmt.Errorf("couldn't note who signed what: %w", err)
	}
	if err := wb.Flush(); err != nil {
		return fmt.Errorf("couldn't note who signed what: %w", err)
	}
	s.snaps.publish(ts, func() {})
	return nil
}

func (s *Store) signersOfLog(l *logState, put func(k, c []byte) error) error {
	g := &group{s: s}
	d := &logDelta{log: l}
	return s.view(func(_ *memory, txn *badger.Txn) error {
		for seq := l.st.Lo; seq <= l.st.Hi; {
			var failed error
			bad, err := eachRecord(txn, l.num, seq, l.st.Hi, func(_ uint64, r stored) bool {
				failed = g.signersOfEntry(d, r.entry)
				return failed == nil
			})
			if failed != nil {
				return failed
			}
			if !errors.Is(err, errDecode) {
				if err != nil {
					return err
				}
				break
			}
			seq = bad + 1
		}
		for n := range g.signers {
			if err := put(appendSignerKey(nil, l.num, n.who), nil); err != nil {
				return err
			}
		}
		l.board.mu.Lock()
		g.applySigners()
		l.board.mu.Unlock()
		return nil
	})
}

// signersOfEntry is noteAuthor and noteObject for a group that writes nothing itself.
func (g *group) signersOfEntry(d *logDelta, e *board.Entry) error {
	if !d.log.board.governance {
		return g.noteAuthor(d, &e.Header)
	}
	o, err := team.EntryObject(e)
	if err != nil {
		return nil
	}
	return g.noteObject(d.log, o)
}

// loadSigners puts what was read from disk into the boards, once their logs are.
func (ld *loader) loadSigners() {
	for _, f := range ld.signers {
		if f.log.board != nil {
			f.log.board.signersOf(f.log.origin.Node)[f.who] = struct{}{}
		}
	}
	ld.signers = nil
}
