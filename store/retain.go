package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// retainSlack: a floor is only written when this part of what is kept is to go, since governance keeps every floor for
// ever: a board of 90 days has at most one every three days.
const retainSlack = 32

// maxFloorDevices is how many devices a floor names, those seen last.
const maxFloorDevices = 128 // as many as an operation takes

// Retain writes the floors that the team's policy asks for of this node's own logs, as of now. Whatever stands below them is
// pruned behind the commits that follow, here and at every other node. Call it about once an hour, and after the policy
// has changed. Errors wrap ErrUnknownTeam, those of AppendObject, or ctx's.
func (s *Store) Retain(ctx context.Context, t board.TeamID, now time.Time) error {
	ts, ok := s.memory().team(t)
	if !ok {
		return fmt.Errorf("couldn't prune: %w: %w", ErrUnknownTeam, board.ErrNotFound)
	}
	st := ts.state.Load()
	keep := st.Policy().Retention
	if !st.Known() || keep == (team.Retention{}) || !st.IsNode(s.nodeID) {
		return nil
	}
	for _, b := range st.Boards() {
		bs, ok := s.memory().board(b.ID)
		if !ok || bs.team != ts {
			continue
		}
		if err := s.retainBoard(ctx, ts, bs, keep, now); err != nil {
			return err
		}
	}
	return s.reclaim(ctx)
}

func (s *Store) retainBoard(ctx context.Context, ts *teamState, b *boardState, keep team.Retention, now time.Time) error {
	r := retainer{s: s, b: b, keep: keep, now: now, devices: map[board.DeviceID]seenDevice{}}
	at, found, err := r.floor(ctx)
	if err != nil || !found {
		return err
	}
	st := ts.state.Load()
	var nonce [16]byte
	s.opts.Random(nonce[:])
	o, err := team.NewFloor(st, s.opts.Node, at, r.lastSeen(st), nonce)
	if err != nil {
		return err
	}
	_, err = s.AppendObject(ctx, ts.id, o)
	return err
}

// retainer finds how far this node's own log in a board is to be pruned.
type retainer struct {
	s       *Store
	b       *boardState
	keep    team.Retention
	now     time.Time
	devices map[board.DeviceID]seenDevice
}

// seenDevice is a device's last number in what is to be pruned.
type seenDevice struct {
	team.DeviceFloor
	received board.HLC
}

// floor is the last record that is to go: the end of the longest prefix of the log that has expired.
func (r *retainer) floor(ctx context.Context) (at board.Position, found bool, err error) {
	r.b.mu.Lock()
	logs := slices.Clone(r.b.byNode[r.s.nodeID])
	waits := slices.ContainsFunc(r.b.logs, func(l *logState) bool { return l.floor >= l.st.Lo && l.st.Lo < l.st.Hi })
	r.b.mu.Unlock()
	if len(logs) == 0 || waits { // what earlier floors let go must go first
		return at, false, nil
	}
	slices.SortFunc(logs, func(x, y *logState) int { return x.origin.Epoch.Compare(y.origin.Epoch) })
	err = r.s.view(func(_ *memory, txn *badger.Txn) error {
		old, due, err := r.due(ctx, txn, logs[0])
		if err != nil || !due {
			return err
		}
		var last *logState
		var seq uint64
		for i, l := range logs {
			upTo, whole, err := r.expired(ctx, txn, l, old, i == len(logs)-1)
			if err != nil {
				return err
			}
			if upTo > 0 {
				last, seq = l, upTo
			}
			if !whole {
				break
			}
		}
		if last == nil {
			return nil
		}
		at, err = r.s.positionOf(txn, last, seq)
		found = err == nil
		return err
	})
	return at, found, err
}

// due says whether enough has expired for a floor, and which entries have: those received before before, or that stand
// at or before through in display order.
func (r *retainer) due(ctx context.Context, txn *badger.Txn, oldest *logState) (old expiry, due bool, err error) {
	if age := r.keep.MaxAge; age > 0 {
		old.before = board.HLCAt(r.now.Add(-age))
		st, _ := oldest.stretchOf()
		first, err := loadRecord(txn, pos{oldest.num, st.Lo})
		if err != nil {
			return old, false, ignoreDamage(err)
		}
		due = first.received < board.HLCAt(r.now.Add(-age-age/retainSlack))
	}
	over := func(n, limit uint64) bool { return limit > 0 && n > limit+limit/retainSlack }
	r.b.mu.Lock()
	var entries uint64
	for _, l := range r.b.logs {
		entries += l.shown
	}
	r.b.mu.Unlock()
	var size uint64
	if r.keep.MaxBytes > 0 {
		if size, err = r.size(ctx, txn); err != nil {
			return old, false, err
		}
	}
	tooMany, tooLarge := over(entries, r.keep.MaxEntries), over(size, r.keep.MaxBytes)
	if !tooMany && !tooLarge {
		return old, due, nil
	}
	var more, much uint64
	if tooMany {
		more = entries - r.keep.MaxEntries
	}
	if tooLarge {
		much = size - r.keep.MaxBytes
	}
	old.through, err = r.through(ctx, txn, more, much)
	return old, true, err
}

// expiry says which records have expired.
type expiry struct {
	before  board.HLC
	through []byte // end of a display key: hlc 8, entry 16
}

func (e *expiry) has(r *stored) bool {
	if r.received < e.before {
		return true
	}
	return e.through != nil && bytes.Compare(appendDisplayKey(nil, board.ID{}, r.entry.Order())[17:], e.through) <= 0
}

// size is about how many bytes a board's records take.
func (r *retainer) size(ctx context.Context, txn *badger.Txn) (n uint64, err error) {
	r.b.mu.Lock()
	logs := slices.Clone(r.b.logs)
	r.b.mu.Unlock()
	for _, l := range logs {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: logKey(tRecord, l.num)})
		for it.Rewind(); it.Valid() && ctx.Err() == nil; it.Next() {
			n += uint64(it.Item().EstimatedSize())
		}
		it.Close()
	}
	if ctx.Err() != nil {
		return 0, fmt.Errorf("couldn't measure board: %w", ctx.Err())
	}
	return n, nil
}

// through is the last of the oldest entries with which a board is rid of so many entries and bytes.
func (r *retainer) through(ctx context.Context, txn *badger.Txn, entries, size uint64) (key []byte, err error) {
	sc := displayScan{s: r.s, txn: txn, board: r.b}
	err = sc.each(appendDisplayKey(nil, r.b.id, board.OrderKey{}), false, func(it *badger.Item) (bool, error) {
		key = it.KeyCopy(nil)[17:]
		if entries > 0 {
			entries--
		}
		if size > 0 {
			if _, p, err := parseDisplay(it); err == nil {
				if rec, err := txn.Get(recordKey(p)); err == nil {
					size -= min(size, uint64(rec.EstimatedSize()))
				}
			}
		}
		return entries+size > 0, ctx.Err()
	})
	return key, err
}

// expired is the end of a log's longest expired prefix; whole: all of it is.
func (r *retainer) expired(ctx context.Context, txn *badger.Txn, l *logState, old expiry, newest bool) (upTo uint64, whole bool, err error) {
	st, _ := l.stretchOf()
	last := st.Hi
	if newest { // the next epoch has to seal something
		last--
	}
	next := st.Lo
	for next <= last {
		stopped := false
		bad, err := eachRecord(txn, l.num, next, last, func(seq uint64, rec stored) bool {
			if stopped = !old.has(&rec) || ctx.Err() != nil; stopped {
				return false
			}
			r.see(&rec)
			next = seq + 1
			return true
		})
		if ctx.Err() != nil {
			return 0, false, fmt.Errorf("couldn't look for what has expired: %w", ctx.Err())
		}
		if err != nil && !errors.Is(err, errDecode) {
			return 0, false, err
		}
		if err == nil || stopped {
			break
		}
		next = bad + 1 // damaged: as old as what surrounds it
	}
	if next == st.Lo {
		return 0, last < st.Lo, nil
	}
	return next - 1, next > last && !newest, nil
}

func (r *retainer) see(rec *stored) {
	h := &rec.entry.Header
	if d, ok := r.devices[h.Device]; ok && (d.received > rec.received || d.DevEpoch == h.DevEpoch && d.DevSeq > h.DevSeq) {
		return
	}
	r.devices[h.Device] = seenDevice{team.DeviceFloor{Device: h.Device, DevEpoch: h.DevEpoch, DevSeq: h.DevSeq}, rec.received}
}

// lastSeen are the devices to name, with those of this log's floors before.
func (r *retainer) lastSeen(st *team.State) (out []team.DeviceFloor) {
	for _, f := range st.Floors(r.b.id) {
		if f.Position.Node != r.s.nodeID {
			continue
		}
		for _, d := range f.Devices {
			if _, newer := r.devices[d.Device]; !newer {
				r.devices[d.Device] = seenDevice{DeviceFloor: d}
			}
		}
	}
	var all []seenDevice
	for _, d := range r.devices {
		all = append(all, d)
	}
	slices.SortFunc(all, func(x, y seenDevice) int {
		return cmp.Or(cmp.Compare(y.received, x.received), bytes.Compare(x.Device[:], y.Device[:]))
	})
	for _, d := range all[:min(len(all), maxFloorDevices)] {
		out = append(out, d.DeviceFloor)
	}
	return out
}

// reclaimAfter is how many records are pruned before the database is asked for their space.
const reclaimAfter = 20_000

// reclaim gives the space of what was pruned back to the disk.
func (s *Store) reclaim(ctx context.Context) error {
	if s.pruned.Load() < reclaimAfter {
		return nil
	}
	s.pruned.Store(0)
	if err := s.Compact(ctx); err != nil {
		return err
	}
	s.dbMu.RLock()
	defer s.dbMu.RUnlock()
	for range maxValueFiles {
		if s.db == nil || ctx.Err() != nil || s.db.RunValueLogGC(0.5) != nil { // an error: there is nothing (more) to gain
			break
		}
	}
	return ctx.Err()
}

// maxValueFiles is how many files of large values one call rewrites.
const maxValueFiles = 16
