package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"weft/board"
	"weft/team"
)

// DeviceGap says that entries of a device are missing which later ones of it follow, though every log is held as far as
// it is known: some node keeps them back, or they haven't been heard of yet (trust §9).
type DeviceGap struct {
	Board    board.ID
	User     board.UserID // whose device it is
	Device   board.DeviceID
	DevEpoch uint64
	Missing  uint64 // entries, at least
}

// maxGapRows is how many entries that follow missing ones are looked at; more say nothing new.
const maxGapRows = 10_000

// DeviceGaps are a team's at this moment, by board, device and epoch. While older history is still arriving there are
// many that mean nothing. Errors wrap ErrUnknownTeam, ErrClosed, or are ctx's.
func (s *Store) DeviceGaps(ctx context.Context, t board.TeamID) ([]DeviceGap, error) {
	ts, ok := s.memory().team(t)
	if !ok {
		return nil, fmt.Errorf("couldn't look for gaps: %w: %w", ErrUnknownTeam, board.ErrNotFound)
	}
	type key struct {
		board  board.ID
		device board.DeviceID
		epoch  uint64
	}
	gaps := map[key]*DeviceGap{}
	st := ts.state.Load()
	err := s.view(func(m *memory, txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{tWaiting}})
		defer it.Close()
		prev, rows := [16]byte{}, 0
		for it.Rewind(); it.Valid() && rows < maxGapRows && ctx.Err() == nil; it.Next() {
			k := it.Item().Key()
			if len(k) != 33 || rows > 0 && [16]byte(k[1:17]) == prev { // several may follow one that is missing
				continue
			}
			rows, prev = rows+1, [16]byte(k[1:17])
			h, ok := follower(txn, [16]byte(k[17:]))
			if !ok {
				continue
			}
			if b, here := m.board(h.Board); !here || b.team != ts || belowFloor(st, h) {
				continue
			}
			g := gaps[key{h.Board, h.Device, h.DevEpoch}]
			if g == nil {
				g = &DeviceGap{Board: h.Board, User: h.Author, Device: h.Device, DevEpoch: h.DevEpoch}
				gaps[key{h.Board, h.Device, h.DevEpoch}] = g
			}
			g.Missing++
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("couldn't look for gaps: %w", err)
	}
	out := make([]DeviceGap, 0, len(gaps))
	for _, g := range gaps {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b DeviceGap) int {
		return cmp.Or(bytes.Compare(a.Board[:], b.Board[:]), bytes.Compare(a.Device[:], b.Device[:]), cmp.Compare(a.DevEpoch, b.DevEpoch))
	})
	return out, nil
}

// follower is the header of an entry whose id begins so.
func follower(txn *badger.Txn, id [16]byte) (h *board.Header, ok bool) {
	var full board.Hash
	copy(full[:], id[:])
	c, err := get(txn, appendEntryKey(make([]byte, 0, 17), full))
	if err != nil || c == nil {
		return nil, false
	}
	p, err := parsePosition(c)
	if err != nil {
		return nil, false
	}
	r, err := loadRecord(txn, p)
	if err != nil || r.entry == nil {
		return nil, false
	}
	return &r.entry.Header, r.entry.Header.DevSeq > 1
}

// belowFloor says whether the entry before this one of its device was pruned by right.
func belowFloor(st *team.State, h *board.Header) bool {
	for _, f := range st.Floors(h.Board) {
		for _, d := range f.Devices {
			if d.Device == h.Device && d.DevEpoch == h.DevEpoch && d.DevSeq+1 >= h.DevSeq {
				return true
			}
		}
	}
	return false
}
