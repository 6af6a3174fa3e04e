package store

import (
	"encoding/binary"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
)

// Fork is the proof that a node signed two contents under one (board, node, epoch, seq).
type Fork struct {
	Team   board.TeamID
	Found  time.Time
	Held   ForkSide // what this node holds
	Second ForkSide // what came and was refused
}

// ForkSide is one of the two: the record, what follows it up to a record whose head the node signed, and that signature.
type ForkSide struct {
	Record board.Record
	Rest   []RestRecord // without a hole; empty: the head is Record's own
	Sig    [64]byte
}

// RestRecord is what of a record does not follow from the one before it.
type RestRecord struct {
	Entry    board.Hash
	Received board.HLC
}

// Head is the position that the side's signature is about.
func (x *ForkSide) Head() board.Position {
	r := x.Record
	at := r.Position()
	for _, n := range x.Rest {
		r = board.Record{Board: r.Board, Origin: r.Origin, Seq: r.Seq + 1, Prev: board.Link{Epoch: r.Epoch, Seq: r.Seq, Hash: at.Hash}, Entry: n.Entry, Received: n.Received}
		at = r.Position()
	}
	return at
}

// Proves says whether the two sides contradict each other and carry their node's signature.
func (f *Fork) Proves() bool {
	a, b := &f.Held.Record, &f.Second.Record
	return a.Board == b.Board && a.Origin == b.Origin && a.Seq == b.Seq && a.Hash() != b.Hash() &&
		board.VerifyHead(f.Held.Head(), f.Held.Sig[:]) && board.VerifyHead(f.Second.Head(), f.Second.Sig[:])
}

const (
	maxForks    = 64                  // logs of whose forks a proof is kept
	maxForkRest = 2 * board.HeadEvery // records between a contradicting one and its head
	forkPrefix  = "fork/"
)

// proofs are the forks that are kept on disk, as settings.
type proofs struct {
	mu    sync.RWMutex
	forks map[string]Fork // by key
	news  map[string]Fork // to be written with the next group
}

// Forks are the proofs that are kept, at most one of each log and 64 in all, by log. They outlast a restart.
func (s *Store) Forks() (out []Fork) {
	s.proofs.mu.RLock()
	defer s.proofs.mu.RUnlock()
	for _, k := range slices.Sorted(maps.Keys(s.proofs.forks)) {
		out = append(out, s.proofs.forks[k])
	}
	return out
}

// noteFork counts two contents under one seq and keeps the proof, if the run has one: a record that differs from the one
// held in its place, and signed heads above both. It is called by the committer, and writes nothing itself, since the task
// is refused: the next group does (noteForks).
func (s *Store) noteFork(g *group, b *boardState, in *ingest) {
	s.metrics.forks.Inc()
	if !in.headsFit[len(in.headsFit)-1] {
		return // nobody signed it
	}
	s.opts.Log.Warn("a node signed two records under one number", "node", in.r.Node.String()[:16], "board", in.board.String()[:8], "seq", in.r.First)
	l := g.find(b, in.r.Origin)
	if l == nil {
		return
	}
	key := forkKey(in.board, in.r.Origin)
	s.proofs.mu.RLock()
	known := len(s.proofs.forks) >= maxForks
	if _, ok := s.proofs.forks[key]; ok {
		known = true
	}
	s.proofs.mu.RUnlock()
	if known {
		return
	}
	f, ok := g.forkOf(g.delta(l), in)
	if !ok {
		return
	}
	s.proofs.mu.Lock()
	if s.proofs.forks == nil {
		s.proofs.forks = map[string]Fork{}
	}
	if s.proofs.news == nil {
		s.proofs.news = map[string]Fork{}
	}
	s.proofs.forks[key], s.proofs.news[key] = f, f
	s.proofs.mu.Unlock()
	select {
	case s.damageNudge <- struct{}{}: // has a group written
	default:
	}
}

func forkKey(b board.ID, o board.Origin) string {
	k := append(append([]byte(forkPrefix), b[:]...), o.Node[:]...)
	k = binary.BigEndian.AppendUint64(k, o.Epoch.N)
	return string(binary.BigEndian.AppendUint64(k, o.Epoch.R))
}

// forkOf is the proof in a run: the first of its records that is not the one held.
func (g *group) forkOf(d *logDelta, in *ingest) (f Fork, ok bool) {
	first, last := max(in.r.First, d.st.Lo), min(in.r.LastSeq(), d.st.Hi)
	if first > last {
		return f, false
	}
	damaged := false
	n := sort.Search(int(last-first+1), func(k int) bool { // hashes that differ once differ from there on
		h, err := g.hashAt(d, first+uint64(k))
		damaged = damaged || err != nil
		return err != nil || h != in.hashes[first+uint64(k)-in.r.First]
	})
	seq := first + uint64(n)
	if damaged || seq > last {
		return f, false
	}
	f = Fork{Team: in.team.id, Found: g.s.opts.Now()}
	if f.Held, ok = g.heldSide(d, seq); !ok {
		return f, false
	}
	i, prev := int(seq-in.r.First), in.r.Prev.Hash
	if i > 0 {
		prev = in.hashes[i-1]
	}
	f.Second.Record = in.r.Record(i, prev)
	for j := i; j < len(in.r.Items) && j-i <= maxForkRest; j++ {
		it := in.r.Items[j]
		if j > i {
			f.Second.Rest = append(f.Second.Rest, RestRecord{it.Entry.ID, it.Received})
		}
		if len(it.HeadSig) == 64 && (in.headsFit[j] || in.verifyHead(j)) {
			f.Second.Sig = [64]byte(it.HeadSig)
			return f, f.Proves()
		}
	}
	return f, false
}

// heldSide is the record at seq that is held, up to a signed head.
func (g *group) heldSide(d *logDelta, seq uint64) (x ForkSide, ok bool) {
	var prev board.Link
	if seq == d.st.Lo {
		prev = d.st.LoPrev
	} else {
		h, err := g.hashAt(d, seq-1)
		if err != nil {
			return x, false
		}
		prev = board.Link{Epoch: d.st.Epoch, Seq: seq - 1, Hash: h}
	}
	for at := seq; at <= d.st.Hi && at-seq <= maxForkRest; at++ {
		r, err := g.load(pos{d.log.num, at})
		if err != nil {
			return x, false
		}
		if at == seq {
			x.Record = board.Record{Board: d.log.board.id, Origin: d.log.origin, Seq: seq, Prev: prev, Entry: r.entry.ID, Received: r.received}
		} else {
			x.Rest = append(x.Rest, RestRecord{r.entry.ID, r.received})
		}
		sig := r.headSig
		if at == d.headSeq {
			sig = d.headSig
		}
		if len(sig) == 64 {
			x.Sig = [64]byte(sig)
			return x, true
		}
	}
	return x, false
}

// noteForks writes what was found since the last group.
func (g *group) noteForks() error {
	p := &g.s.proofs
	p.mu.RLock()
	news := maps.Clone(p.news)
	p.mu.RUnlock()
	if len(news) == 0 {
		return nil
	}
	for k, f := range news {
		if err := g.put(settingKey(k), f.append(nil)); err != nil {
			return err
		}
	}
	g.published = append(g.published, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for k := range news {
			delete(p.news, k)
		}
	})
	return nil
}

// append: team 32, found (ms) 8, then of each side record 168, signature 64, number of rest 2, of each entry 32, received 8.
func (f *Fork) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(append(b, f.Team[:]...), uint64(f.Found.UnixMilli()))
	for _, x := range []*ForkSide{&f.Held, &f.Second} {
		b = append(x.Record.Append(b), x.Sig[:]...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(x.Rest)))
		for _, n := range x.Rest {
			b = binary.BigEndian.AppendUint64(append(b, n.Entry[:]...), uint64(n.Received))
		}
	}
	return b
}

func parseFork(c []byte) (f Fork, err error) {
	const record, rest = 168, 40
	u := binary.BigEndian.Uint64
	if len(c) < 40 {
		return f, errDecode
	}
	copy(f.Team[:], c)
	f.Found, c = time.UnixMilli(int64(u(c[32:]))), c[40:]
	for _, x := range []*ForkSide{&f.Held, &f.Second} {
		if len(c) < record+66 {
			return f, errDecode
		}
		r := &x.Record
		copy(r.Board[:], c)
		copy(r.Node[:], c[16:])
		r.Epoch, r.Seq = board.Epoch{N: u(c[48:]), R: u(c[56:])}, u(c[64:])
		r.Prev.Epoch, r.Prev.Seq = board.Epoch{N: u(c[72:]), R: u(c[80:])}, u(c[88:])
		copy(r.Prev.Hash[:], c[96:])
		copy(r.Entry[:], c[128:])
		r.Received = board.HLC(u(c[160:]))
		copy(x.Sig[:], c[record:])
		n := int(binary.BigEndian.Uint16(c[record+64:]))
		if c = c[record+66:]; n > maxForkRest || len(c) < n*rest {
			return f, errDecode
		}
		for ; n > 0; n-- {
			x.Rest = append(x.Rest, RestRecord{board.Hash(c[:32]), board.HLC(u(c[32:]))})
			c = c[rest:]
		}
	}
	return f, nil
}

// loadForks reads the proofs that are kept.
func (s *Store) loadForks(txn *badger.Txn) {
	forks := map[string]Fork{}
	eachSetting(txn, forkPrefix, func(k string, v []byte) {
		if f, err := parseFork(v); err == nil && f.Proves() && len(forks) < maxForks {
			forks[k] = f
		}
	})
	s.proofs.mu.Lock()
	s.proofs.forks = forks
	s.proofs.mu.Unlock()
}
