package store

import (
	"context"

	"weft/board"
	"weft/team"
)

// Store is a node's store. Safe for concurrent use.
type Store struct{}

func Open(ctx context.Context, o Options) (*Store, error)                          { panic("stub") }
func (s *Store) Close() error                                                      { panic("stub") }
func (s *Store) ID() [16]byte                                                      { panic("stub") }
func (s *Store) Append(ctx context.Context, drafts []Draft) ([]Receipt, error)     { panic("stub") }
func (s *Store) AppendSigned(ctx context.Context, e *board.Entry) (Receipt, error) { panic("stub") }
func (s *Store) AppendObject(ctx context.Context, t board.TeamID, o *team.Object) (Receipt, error) {
	panic("stub")
}

// AdoptTeam: genesis may be nil.
func (s *Store) AdoptTeam(ctx context.Context, t board.TeamID, genesis *team.Object) error {
	panic("stub")
}
func (s *Store) Ingest(ctx context.Context, t board.TeamID, r *board.Run, tail bool) (Result, error) {
	panic("stub")
}
func (s *Store) ReRecord(ctx context.Context, t board.TeamID, b board.ID, o board.Origin, seqs []uint64) error {
	panic("stub")
}
func (s *Store) Teams() []board.TeamID                     { panic("stub") }
func (s *Store) Team(t board.TeamID) (*team.State, bool)   { panic("stub") }
func (s *Store) BoardTeam(b board.ID) (board.TeamID, bool) { panic("stub") }
func (s *Store) Boards(t board.TeamID) []BoardInfo         { panic("stub") }
func (s *Store) Board(b board.ID) (BoardInfo, bool)        { panic("stub") }
func (s *Store) Holding(b board.ID) *board.Holding         { panic("stub") }
func (s *Store) Vector(b board.ID) board.Vector            { panic("stub") }
func (s *Store) Run(ctx context.Context, b board.ID, o board.Origin, first, last uint64, maxBytes int) (*board.Run, error) {
	panic("stub")
}
func (s *Store) RunBack(ctx context.Context, b board.ID, o board.Origin, last uint64, maxBytes int) (*board.Run, error) {
	panic("stub")
}
func (s *Store) SignedHead(b board.ID, o board.Origin) (board.Position, []byte, bool) { panic("stub") }
func (s *Store) Page(ctx context.Context, b board.ID, q PageQuery) (Page, error)      { panic("stub") }
func (s *Store) Lookup(ctx context.Context, b board.ID, p board.PostID) (*Shown, error) {
	panic("stub")
}
func (s *Store) EntryByID(ctx context.Context, b board.ID, id board.Hash) (*Shown, error) {
	panic("stub")
}

// Positions are all records of an entry that are held.
func (s *Store) Positions(ctx context.Context, b board.ID, id board.Hash) ([]board.Position, error) {
	panic("stub")
}

// Changes after c, at most limit; the Cursor returned stands after the last. Fewer than limit: the end was reached.
func (s *Store) Changes(ctx context.Context, c Cursor, limit int, f Filter) ([]Change, Cursor, error) {
	panic("stub")
}
func (s *Store) Cursor() Cursor                       { panic("stub") }
func (s *Store) Subscribe() (<-chan struct{}, func()) { panic("stub") }

// OnCommit registers f, which is called in the committer after each commit, in order; it must not block nor call the store's writing methods.
func (s *Store) OnCommit(f func([]Committed)) { panic("stub") }
func (s *Store) Orphans(ctx context.Context, b board.ID) (map[board.Origin][]uint64, error) {
	panic("stub")
}
func (s *Store) Unread(u board.UserID, b board.ID) (uint64, error) { panic("stub") }
func (s *Store) UnreadAll(u board.UserID) ([]UnreadCount, error)   { panic("stub") }
func (s *Store) MergeMark(ctx context.Context, u board.UserID, b board.ID, v board.Vector) (uint64, error) {
	panic("stub")
}
func (s *Store) MarkAll(ctx context.Context, u board.UserID, b board.ID) (uint64, error) {
	panic("stub")
}
func (s *Store) ReadUpTo(ctx context.Context, u board.UserID, b board.ID, k board.OrderKey) (uint64, error) {
	panic("stub")
}
func (s *Store) Mark(u board.UserID, b board.ID) board.Vector { panic("stub") }

// Read says whether the user's mark covers a record.
func (s *Store) Read(u board.UserID, b board.ID, o board.Origin, seq uint64) bool   { panic("stub") }
func (s *Store) WaitVector(ctx context.Context, b board.ID, v board.Vector) error   { panic("stub") }
func (s *Store) SetKV(ctx context.Context, key string, value []byte) error          { panic("stub") }
func (s *Store) GetKV(key string) ([]byte, error)                                   { panic("stub") }
func (s *Store) DeleteKV(ctx context.Context, key string) error                     { panic("stub") }
func (s *Store) ScanKV(prefix string, f func(key string, value []byte) error) error { panic("stub") }
func (s *Store) Check(ctx context.Context, progress func(CheckProgress)) (CheckProgress, error) {
	panic("stub")
}
func (s *Store) Hash(ctx context.Context, b board.ID) (board.Hash, uint64, error) { panic("stub") }
func (s *Store) Status() Status                                                   { panic("stub") }
func (s *Store) SetFirstAppendHook(f func(ctx context.Context, b board.ID))       { panic("stub") }
func (s *Store) AddUser(ctx context.Context, u board.UserID) error                { panic("stub") }
