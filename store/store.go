package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sync/semaphore"

	"weft/board"
)

// Store is a node's store. Safe for concurrent use.
//
// Order of locks: chain.mu, closing, flips, dbMu, snapshots.mu, memory.mu, boardState.mu; claimsMu, clockMu, subsMu, hookMu, damageMu,
// twins.mu and forksMu are leaves. The committer holds none of them while it waits.
type Store struct {
	opts    Options
	nodeID  board.NodeID
	id      atomic.Pointer[[16]byte]
	salt    [16]byte // of this Open; part of the checks of the change log
	metrics *metrics
	quota   *quota

	dbMu  sync.RWMutex // guards db against being opened again
	db    *badger.DB
	snaps snapshots
	mem   atomic.Pointer[memory]

	queue     *queues
	room      *semaphore.Weighted // bytes of entries in the queue
	closing   sync.RWMutex        // guards closed and the queue against Close
	closed    bool
	committed chan struct{} // closed when the committer has ended
	stop      chan struct{} // closed by Close
	wg        sync.WaitGroup
	keys      arena    // the committer's
	tasks     []task   // the committer's: of the group in the making
	last      struct { // likewise: of the last commit
		tasks int // how many it had, or half of what was there before
		took  time.Duration
	}

	flips      sync.RWMutex // held while bits on disk and in memory are not of one commit
	failed     atomic.Pointer[error]
	full       atomic.Bool
	mending    atomic.Bool // the database is being made anew
	free       atomic.Uint64
	written    atomic.Uint64 // bytes committed since Open
	compactors compactors
	spacing    spacing
	groups     atomic.Uint64 // commits since Open
	opened     time.Time
	posted     atomic.Int64 // when a local user posted last, in ns since opened
	diskNudge  chan struct{}
	short      string   // what Open found to be missing
	unscrubbed []string // tables that Open left to be checked
	pointers   pointers
	valueFiles map[uint32]uint64 // of the value log before Open, with their sizes
	surveys    surveys

	clockMu sync.Mutex
	clock   board.Clock

	users atomic.Pointer[map[board.UserID]bool]

	chainsMu sync.Mutex
	chains   map[deviceKey]*chain

	claimsMu sync.Mutex
	claims   map[postKey]*claim
	writing  map[postKey]struct{} // posts of which the group in the making writes records, other than by a claim

	subsMu sync.Mutex
	subs   map[chan struct{}]struct{}
	hooks  []func([]Committed)

	hookMu sync.Mutex
	hook   func(context.Context, board.ID)

	damageMu    sync.Mutex
	damageNews  map[pos]struct{}
	damageNudge chan struct{}

	damageFound   atomic.Uint64 // damaged values found since Open
	damagedValues atomic.Uint64 // of those, what is no record; none since the store was mended last
	mended        atomic.Bool   // since Open

	witnessMu sync.Mutex // guards the file

	forksMu sync.Mutex
	forks   []*board.Fork
	twins   twins

	pruned atomic.Uint64 // records, since their space was reclaimed

	again struct {
		mu sync.Mutex
		ch chan struct{} // closed when the database was opened again
	}
}

// Open opens or makes a store. Only one process can have it open. Errors wrap ErrLocked, ErrNewerFormat,
// ErrOlderFormat, ErrManifestMissing or ErrStorageFull where they apply, and say what to do.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.setDefaults()
	if o.Node.IsZero() {
		return nil, fmt.Errorf("couldn't open store: no node key")
	}
	s := &Store{
		opts: o, opened: time.Now(), nodeID: board.NodeID(o.Node.Public()), metrics: newMetrics(o.Registerer), quota: newQuota(o.Quotas),
		queue: newQueues(), room: semaphore.NewWeighted(queueBytes), committed: make(chan struct{}),
		stop: make(chan struct{}), chains: map[deviceKey]*chain{}, claims: map[postKey]*claim{},
		writing: map[postKey]struct{}{}, subs: map[chan struct{}]struct{}{}, damageNews: map[pos]struct{}{},
		damageNudge: make(chan struct{}, 1), diskNudge: make(chan struct{}, 1),
		surveys: surveys{logs: map[logNum]bool{}, nudge: make(chan struct{}, 1)},
	}
	s.again.ch = make(chan struct{})
	o.Random(s.salt[:])
	users := map[board.UserID]bool{}
	for _, u := range o.Users {
		users[u] = true
	}
	s.users.Store(&users)
	if err := s.openFirst(); err != nil {
		s.metrics.unregister()
		return nil, err
	}
	go s.commitLoop()
	s.wg.Go(s.watchDisk)
	s.wg.Go(s.watchDamage)
	s.wg.Go(s.surveyLogs)
	s.wg.Go(s.housekeep)
	s.wg.Go(func() { s.scrubRest(s.unscrubbed) })
	return s, nil
}

// queueBytes bounds the entries that wait for the committer.
const queueBytes = 64 << 20

func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MinFree == 0 {
		o.MinFree = 256 << 20
	}
	if o.FreeSpace == nil {
		o.FreeSpace = freeSpace
	}
	if o.closePatience == 0 {
		o.closePatience = closePatience
	}
	if o.DiskEvery == 0 {
		o.DiskEvery = 5 * time.Second
	}
	if o.MemTable == 0 {
		o.MemTable = 8 << 20 // Badger keeps up to eight table builders of several times this size after large entries
	}
	if o.Random == nil {
		o.Random = func(b []byte) { rand.Read(b) }
	}
}

// Close waits for what is queued to be written, and ends all goroutines of the store. Calls that come later get
// ErrClosed.
func (s *Store) Close() error {
	s.closing.Lock()
	if s.closed {
		s.closing.Unlock()
		return nil
	}
	s.closed = true
	s.queue.close()
	s.closing.Unlock()
	<-s.committed
	close(s.stop)
	s.wg.Wait()
	s.dbMu.Lock()
	defer s.dbMu.Unlock()
	var err error
	if s.db != nil {
		err = s.db.Close()
		s.db = nil
		if err == nil && s.failed.Load() == nil {
			err = s.writeWitness()
		}
	}
	s.metrics.unregister()
	if err != nil {
		return fmt.Errorf("couldn't close store: %w", err)
	}
	return nil
}

// ID is the store's own random id; a new one for each store that is made.
func (s *Store) ID() [16]byte {
	if id := s.id.Load(); id != nil {
		return *id
	}
	return [16]byte{}
}

func (s *Store) setID(id [16]byte) { s.id.Store(&id) }

func (s *Store) memory() *memory { return s.mem.Load() }

// Stamp is a new stamp of this node's clock, later than all that it has stored or given before.
func (s *Store) Stamp() board.HLC { return s.tick() }

// tick is a stamp of this node's clock.
func (s *Store) tick() board.HLC {
	s.clockMu.Lock()
	defer s.clockMu.Unlock()
	return s.clock.Now(s.opts.Now())
}

// observe moves the clock past a stamp from elsewhere, unless it is too far ahead.
func (s *Store) observe(h board.HLC) {
	s.clockMu.Lock()
	s.clock.Observe(h, s.opts.Now())
	s.clockMu.Unlock()
}

// do submits a task and waits for it.
func (s *Store) do(ctx context.Context, t task, done chan error) error {
	if why := s.failed.Load(); why != nil {
		return *why
	}
	if err := s.submit(ctx.Done(), t); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("couldn't wait for the commit: %w", ctx.Err())
	}
}

// reopened is closed when the database is opened again after a failed commit.
func (s *Store) reopened() <-chan struct{} {
	s.again.mu.Lock()
	defer s.again.mu.Unlock()
	return s.again.ch
}

// watchDamage has the committer note what readers found damaged.
func (s *Store) watchDamage() {
	for {
		select {
		case <-s.damageNudge:
			if s.submit(s.stop, nothing{}) != nil {
				return
			}
		case <-s.stop:
			return
		}
	}
}

// nothing makes the committer run once.
type nothing struct{}

func (nothing) prepare(*group) error { return nil }
func (nothing) finish(error)         {}

// isUser says whether this node keeps marks for a user.
func (s *Store) isUser(u board.UserID) bool { return (*s.users.Load())[u] }
