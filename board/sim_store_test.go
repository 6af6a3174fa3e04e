package board

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
)

// simStore is a store without a disk: the plainest possible reading of what Ingest and Append must do.
type simStore struct {
	self   NodeID
	team   TeamID
	boards []ID // governance first
	recs   map[ID]map[NodeID]map[Epoch]*simEpoch
	epochs map[ID]Epoch // of this run; a board has one from its first append on
	hlc    uint64
	rnd    *rand.Rand
}

type simEpoch struct {
	lo   uint64
	recs []simRec // lo, lo+1, …
}

type simRec struct {
	entry *Entry
	rec   Record
	hash  Hash
	sig   bool // the node's signature of this head is kept
}

// keptHeads is at which seqs signatures of heads are kept besides that of the last record.
const keptHeads = 8

func (e *simEpoch) hi() uint64 { return e.lo + uint64(len(e.recs)) - 1 }

func (e *simEpoch) at(seq uint64) *simRec {
	if e == nil || seq < e.lo || seq > e.hi() {
		return nil
	}
	return &e.recs[seq-e.lo]
}

func newSimStore(self NodeID, team TeamID, boards []ID, rnd *rand.Rand) *simStore {
	return &simStore{self: self, team: team, boards: boards, recs: map[ID]map[NodeID]map[Epoch]*simEpoch{}, epochs: map[ID]Epoch{}, rnd: rnd}
}

func (s *simStore) clone() *simStore {
	c := newSimStore(s.self, s.team, s.boards, s.rnd)
	c.hlc = s.hlc
	for b, logs := range s.recs {
		for n, epochs := range logs {
			for e, x := range epochs {
				c.put(b, n, e, &simEpoch{x.lo, slices.Clone(x.recs)})
			}
		}
	}
	return c
}

func (s *simStore) put(b ID, n NodeID, e Epoch, x *simEpoch) {
	if s.recs[b] == nil {
		s.recs[b] = map[NodeID]map[Epoch]*simEpoch{}
	}
	if s.recs[b][n] == nil {
		s.recs[b][n] = map[Epoch]*simEpoch{}
	}
	s.recs[b][n][e] = x
}

func (s *simStore) stretch(b ID, n NodeID, e Epoch) Stretch {
	x := s.recs[b][n][e]
	return Stretch{e, x.lo, x.hi(), x.recs[len(x.recs)-1].hash, x.recs[0].rec.Prev}
}

func (s *simStore) holding(b ID) *Holding {
	h := &Holding{}
	for n, epochs := range s.recs[b] {
		for e := range epochs {
			h.Set(n, s.stretch(b, n, e))
		}
	}
	return h
}

// nodes are those that governance entries name: their bodies are node keys.
func (s *simStore) nodes() (out []NodeID) {
	for _, epochs := range s.recs[s.boards[0]] {
		for _, x := range epochs {
			for _, r := range x.recs {
				if len(r.entry.Body) == 32 {
					out = append(out, NodeID(r.entry.Body))
				}
			}
		}
	}
	return sortedNodes(out)
}

func (s *simStore) hasEntry(b ID, id Hash) bool {
	for _, epochs := range s.recs[b] {
		for _, x := range epochs {
			for _, r := range x.recs {
				if r.entry.ID == id {
					return true
				}
			}
		}
	}
	return false
}

// newEntry makes an entry of this store's node. The simulator signs nothing.
func (s *simStore) newEntry(b ID, name string, body []byte, cred Hash) *Entry {
	s.hlc += 1 << 16
	e := NewEntry(Header{Team: s.team, Board: b, Device: DeviceID(s.self), DevSeq: 1, Cred: cred, ClientMsgID: name, HLC: HLC(s.hlc), Kind: KindPost}, body)
	e.Signature = make([]byte, 64)
	return e
}

// append records an entry in the own log: a new epoch after each start, which seals the latest leaf held of the log.
func (s *simStore) append(b ID, e *Entry) Position {
	rec := Record{Board: b, Seq: 1, Entry: e.ID, Received: HLC(s.hlc + 1)}
	leaves := s.holding(b).Leaves(s.self)
	epoch := s.epochs[b]
	if epoch == (Epoch{}) {
		// Greater than all that is held of the own log here: an epoch may have come back from a peer after the start.
		epoch = Epoch{1, s.rnd.Uint64()}
		for x := range s.recs[b][s.self] {
			epoch.N = max(epoch.N, x.N+1)
		}
		s.epochs[b] = epoch
	}
	rec.Origin = Origin{s.self, epoch}
	if x := s.recs[b][s.self][epoch]; x != nil {
		last := x.recs[len(x.recs)-1]
		rec.Seq, rec.Prev = x.hi()+1, Link{epoch, x.hi(), last.hash}
		x.recs = append(x.recs, simRec{e, rec, rec.Hash(), false})
	} else {
		if len(leaves) > 0 {
			l := leaves[len(leaves)-1]
			rec.Prev = Link{l.Epoch, l.Seq, l.Hash}
		}
		s.put(b, s.self, epoch, &simEpoch{1, []simRec{{e, rec, rec.Hash(), false}}})
	}
	return rec.Position()
}

// ingest is the store's door for runs from elsewhere.
func (s *simStore) ingest(run *Run, tail bool) error {
	if err := run.Check(); err != nil {
		return err
	}
	if run.Board != s.boards[0] && !slices.Contains(s.nodes(), run.Node) {
		return ErrUnknownOrigin
	}
	for _, it := range run.Items {
		if c := it.Entry.Header.Cred; !c.IsZero() && !s.hasEntry(s.boards[0], c) {
			return ErrPending
		}
	}
	log := s.recs[run.Board][run.Node]
	hs := run.Hashes()
	x := log[run.Epoch]
	signed := len(run.Items[len(run.Items)-1].HeadSig) == 64
	switch {
	case x != nil && run.First > x.hi()+1:
		return ErrGap
	case x != nil && run.First >= x.lo:
		return s.extend(x, run, hs, signed)
	case s.joinsBelow(log, run, hs):
		s.prepend(run, hs)
		return nil
	case x != nil:
		return ErrGap
	case run.First == 1 && (run.Prev == Link{} || log[run.Prev.Epoch].at(run.Prev.Seq) != nil):
		if run.Prev != (Link{}) && log[run.Prev.Epoch].at(run.Prev.Seq).hash != run.Prev.Hash {
			return ErrFork
		}
	case !tail || len(log) > 0:
		return ErrGap
	}
	if !signed {
		return ErrBadSignature
	}
	s.put(run.Board, run.Node, run.Epoch, &simEpoch{run.First, simRecs(run, hs)})
	return nil
}

func simRecs(run *Run, hs []Hash) (out []simRec) {
	prev := run.Prev.Hash
	for i := range run.Items {
		sig := len(run.Items[i].HeadSig) == 64 && (i == len(run.Items)-1 || (run.First+uint64(i))%keptHeads == 0)
		out = append(out, simRec{run.Items[i].Entry, run.Record(i, prev), hs[i], sig})
		prev = hs[i]
	}
	return out
}

func (s *simStore) extend(x *simEpoch, run *Run, hs []Hash, signed bool) error {
	if b := x.at(run.First - 1); b != nil && b.hash != run.Prev.Hash {
		return ErrFork
	}
	for i, r := range simRecs(run, hs) {
		seq := run.First + uint64(i)
		switch held := x.at(seq); {
		case held != nil && held.hash != r.hash:
			return ErrFork
		case held == nil && !signed:
			return ErrBadSignature
		case held == nil:
			if x.hi()%keptHeads != 0 {
				x.recs[len(x.recs)-1].sig = false
			}
			x.recs = append(x.recs, r)
		}
	}
	return nil
}

// joinsBelow says whether the run ends just below the beginning of something held.
func (s *simStore) joinsBelow(log map[Epoch]*simEpoch, run *Run, hs []Hash) bool {
	for _, x := range log {
		if p := x.recs[0].rec.Prev; p.Epoch == run.Epoch && p.Seq == run.LastSeq() && p.Hash == hs[len(hs)-1] {
			return x.lo > 1 || log[run.Epoch] == nil
		}
	}
	return false
}

func (s *simStore) prepend(run *Run, hs []Hash) {
	rs := simRecs(run, hs)
	if x := s.recs[run.Board][run.Node][run.Epoch]; x != nil {
		x.lo, x.recs = run.First, append(rs, x.recs...)
		return
	}
	s.put(run.Board, run.Node, run.Epoch, &simEpoch{run.First, rs})
}

// run reads records from first on, to the last signed head up to last or else the next one after it; the node's own log
// is signed wherever it is wanted. exact: just first..last, signed or not.
func (s *simStore) run(b ID, o Origin, first, last uint64, exact bool) *Run {
	x := s.recs[b][o.Node][o.Epoch]
	if x.at(first) == nil || x.at(last) == nil {
		return nil
	}
	if o.Node == s.self {
		x.at(last).sig = true
	}
	end := last
	for !exact && !x.at(end).sig && end > first {
		end--
	}
	for !exact && !x.at(end).sig {
		if end++; x.at(end) == nil {
			return nil
		}
	}
	r := &Run{Board: b, Origin: o, First: first, Prev: x.at(first).rec.Prev}
	for seq := first; seq <= end; seq++ {
		it := Item{Entry: x.at(seq).entry, Received: x.at(seq).rec.Received}
		if x.at(seq).sig {
			it.HeadSig = make([]byte, 64)
		}
		r.Items = append(r.Items, it)
	}
	return r
}

// signed is the first seq from last on whose head is signed.
func (s *simStore) signed(b ID, o Origin, last uint64) uint64 {
	x := s.recs[b][o.Node][o.Epoch]
	if o.Node == s.self {
		x.at(last).sig = true
	}
	for x.at(last) != nil && !x.at(last).sig {
		last++
	}
	return last
}

// seals are the highest seqs that are sealed.
func (s *simStore) seals(b ID) map[Origin]uint64 {
	seals := map[Origin]uint64{}
	for n, epochs := range s.recs[b] {
		for _, x := range epochs {
			if p := x.recs[0].rec.Prev; x.lo == 1 && p != (Link{}) {
				o := Origin{n, p.Epoch}
				seals[o] = max(seals[o], p.Seq)
			}
		}
	}
	return seals
}

// allCount says whether there is no record beyond a seal, so that counting need not be asked.
func (s *simStore) allCount(b ID) bool {
	for o, sealed := range s.seals(b) {
		if x := s.recs[b][o.Node][o.Epoch]; x != nil && x.hi() > sealed {
			return false
		}
	}
	return true
}

// counting says, for each entry of a board, whether one of its records counts; and which records are orphaned.
func (s *simStore) counting(b ID) (visible map[Hash]bool, orphans map[Origin][]uint64) {
	seals := s.seals(b)
	visible, orphans = map[Hash]bool{}, map[Origin][]uint64{}
	each := func(f func(o Origin, seq uint64, r simRec, counts bool)) {
		for n, epochs := range s.recs[b] {
			for e, x := range epochs {
				o := Origin{n, e}
				for i, r := range x.recs {
					seq := x.lo + uint64(i)
					f(o, seq, r, seals[o] == 0 || seq <= seals[o])
				}
			}
		}
	}
	each(func(_ Origin, _ uint64, r simRec, counts bool) { visible[r.entry.ID] = visible[r.entry.ID] || counts })
	each(func(o Origin, seq uint64, r simRec, counts bool) {
		if !visible[r.entry.ID] {
			orphans[o] = append(orphans[o], seq)
		}
	})
	return visible, orphans
}

// joined are the entries that can be passed on: whose chain is held from its start. What stands above a hole that only
// a node that is gone could fill stays where it is.
func (s *simStore) joined(b ID) map[Hash]bool {
	h, out := s.holding(b), map[Hash]bool{}
	for n, epochs := range s.recs[b] {
		for e, x := range epochs {
			if _, open := h.Base(Origin{n, e}); open {
				continue
			}
			for _, r := range x.recs {
				out[r.entry.ID] = true
			}
		}
	}
	return out
}

// check demands that each log hangs together and that Holding says the same of it as the records themselves.
func (s *simStore) check() error {
	for b, logs := range s.recs {
		h := s.holding(b)
		for n, epochs := range logs {
			for e, x := range epochs {
				for i, r := range x.recs {
					if r.rec.Hash() != r.hash || i > 0 && r.rec.Prev.Hash != x.recs[i-1].hash {
						return fmt.Errorf("broken chain at %d of epoch %d", x.lo+uint64(i), e.N)
					}
					if !h.Holds(Origin{n, e}, x.lo+uint64(i)) {
						return fmt.Errorf("not in holding: %d of epoch %d", x.lo+uint64(i), e.N)
					}
				}
			}
		}
	}
	return nil
}

func simID(name string) [32]byte { return sha256.Sum256([]byte(name)) }
