package store

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// freeSpace is how many bytes an ordinary user may still write where dir lies.
func freeSpace(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("couldn't ask for free space in %s: %w", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// diskStep is after how many written bytes free space is looked at, whatever the time.
const diskStep = 16 << 20

// watchDisk refuses writes well before the disk is full: Badger writes through mapped files, and a full disk kills it.
func (s *Store) watchDisk() {
	tick := time.NewTicker(s.opts.DiskEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.diskNudge:
		case <-s.stop:
			return
		}
		s.lookAtDisk()
	}
}

// resumeAt is how much must be free for writing to go on: a little more than the bound, or it would stop and go on with
// every commit.
func (s *Store) resumeAt() uint64 { return s.opts.MinFree + min(s.opts.MinFree/16, 16<<20) }

// fullError is what a writer is told while the disk is nearly full.
func (s *Store) fullError() error {
	return fmt.Errorf("couldn't write: %d MiB are free where the store lies, %d MiB are needed: %w", s.free.Load()>>20, s.resumeAt()>>20, ErrStorageFull)
}

// lookAtDisk asks for free space.
func (s *Store) lookAtDisk() {
	free, err := s.opts.FreeSpace(s.opts.Dir)
	if err != nil {
		s.opts.Log.Warn("free space is unknown", "error", err)
		return
	}
	s.free.Store(free)
	s.metrics.free.Set(float64(free))
	switch full := s.full.Load(); {
	case !full && free < s.opts.MinFree:
		s.full.Store(true)
		s.opts.Log.Error("the disk is nearly full: nothing is written any more, reading goes on", "free", free, "needed", s.opts.MinFree)
	case full && free >= s.resumeAt():
		s.full.Store(false)
		s.opts.Log.Info("there is space again: writing goes on", "free", free)
	}
}

// nudgeDisk has free space looked at soon, once enough was written.
func (s *Store) nudgeDisk(bytes int) {
	if before := s.written.Add(uint64(bytes)) - uint64(bytes); before/diskStep != (before+uint64(bytes))/diskStep {
		select {
		case s.diskNudge <- struct{}{}:
		default:
		}
	}
}

// Status is how the store is doing.
func (s *Store) Status() Status {
	m := s.memory()
	st := Status{Full: s.full.Load(), Free: s.free.Load(), Needed: s.resumeAt(), Damaged: s.damagedNow(), Mended: s.mended.Load(), Short: s.short, CommitGroups: s.groups.Load()}
	if why := s.failed.Load(); why != nil {
		st.Failed = (*why).Error()
	}
	m.mu.RLock()
	st.Arrival = m.arrival
	logs := m.logs
	m.mu.RUnlock()
	for _, l := range logs {
		if l != nil {
			h, _ := l.stretchOf()
			st.Records += h.Hi - h.Lo + 1
		}
	}
	s.dbMu.RLock()
	defer s.dbMu.RUnlock()
	if s.db != nil {
		st.LSM, _ = s.db.Size()
	}
	return st
}
