package store

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weft/board"
	"weft/team"
)

// Options for Open. Dir and Node are needed, the rest has defaults.
type Options struct {
	Dir        string // folder of the database; made if missing
	Node       board.Key
	Users      []board.UserID // users served by this node: their marks and unread counts are kept
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics

	MinFree   uint64                           // bytes; below, nothing is written any more; default 256 MiB
	FreeSpace func(dir string) (uint64, error) // default: statfs
	DiskEvery time.Duration                    // how often free space is looked at; default 5 s
	Quotas    Quotas                           // zero fields: defaults
	MemTable  int64                            // bytes, at least 8 MiB; default 8 MiB
	Random    func(b []byte)                   // epochs and ids; default crypto/rand
	fault     func(point string) error         // tests: injected errors

	reviewAtOnce  int           // tests: how many rows one commit judges again
	closePatience time.Duration // tests: see there
}

// Quotas bound what authors and teams may make this node store. Zero: the default; negative: no limit.
type Quotas struct {
	AuthorPerSecond float64 // entries of one author; default 50
	AuthorBurst     int     // default 2,000
	Teams           int     // default 1,024
	BoardsPerTeam   int     // default 64
	TeamEntries     int64   // records of one team; default 50,000,000
	TeamBytes       int64   // about what they take, before compression; default 10 GiB
}

// Draft is an entry that a local user wants written.
type Draft struct {
	Team        board.TeamID
	Board       board.ID
	Author      board.UserID
	Device      board.Key
	Kind        board.Kind
	Body        []byte
	ClientMsgID string
}

// Receipt says where an entry stands in this node's log.
type Receipt struct {
	Entry     board.Hash
	Position  board.Position
	HLC       board.HLC
	Duplicate bool // it was here already
}

// Result of an Ingest.
type Result struct {
	Stored     int // records written
	Duplicates int // records that were held already
}

// BoardInfo describes a board.
type BoardInfo struct {
	ID         board.ID
	Team       board.TeamID
	Name       string
	Governance bool
	Entries    uint64 // shown
	Records    uint64 // held
	Last       *Shown // newest shown entry; nil if there is none

	Floored bool      // older entries were pruned by the team's policy: history starts here
	Start   board.HLC // with Floored: the stamp of the oldest entry that shows; 0: none does
}

// Shown is an entry as a reader sees it, and the record of it that stands for it.
type Shown struct {
	Entry    *board.Entry
	Origin   board.Origin
	Seq      uint64
	Received board.HLC
	Void     string // why the entry does not count, in words; "": it does
	Rule     string // short name of the rule by which it is void
}

// PageQuery asks for entries in display order. At most one of Before and After is set; neither: the newest.
type PageQuery struct {
	Before *board.OrderKey
	After  *board.OrderKey
	Limit  int // 0: 50; at most 1,000

	IncludeVoid bool // entries that do not count, too: for admins
}

// Page of a board, oldest first.
type Page struct {
	Entries []Shown
	Older   bool         // there are entries before these
	Newer   bool         // there are entries after these
	Vector  board.Vector // what the board held when the page was read; marks everything read if !Newer
	Damaged int          // entries left out because their records are damaged; they are being refetched
}

// ChangeKind says what a Change is about.
type ChangeKind uint8

// Kinds of changes.
const (
	EntryShown ChangeKind = iota + 1
	EntryHidden
	MarkMoved
	BoardGained
	TeamChanged // gained, or its roster, boards or policy changed
	FloorMoved
)

// Change is what a client may need to hear of.
type Change struct {
	Kind     ChangeKind
	Team     board.TeamID
	Board    board.ID
	Late     bool           // EntryShown: a later entry of the same device was shown before
	Shown    *Shown         // EntryShown
	Position board.Position // EntryShown: of its record
	Entry    board.Hash     // EntryHidden
	Reason   string         // EntryHidden: in words
	Rule     string         // EntryHidden: short name of the rule by which it became void, if one did
	FloorHLC board.HLC      // FloorMoved: history starts after this stamp
	User     board.UserID   // MarkMoved
	Arrival  uint64
}

// Filter of Changes. Nil fields: everything.
type Filter struct {
	Teams map[board.TeamID]bool
	User  board.UserID // whose MarkMoved are wanted; zero: nobody's
}

// Committed says how what is held of one origin changed.
type Committed struct {
	Team       board.TeamID
	Board      board.ID
	Governance bool
	Origin     board.Origin
	Own        bool
	Stretch    board.Stretch
	Lost       bool     // less than before: damage
	Orphaned   []uint64 // records that no longer count and whose entry has no other counting record
	Restored   []uint64 // of those, entries that have a counting record again
	State      bool     // the team's State changed (Board, Origin and Stretch may be zero)
}

// UnreadCount of one board.
type UnreadCount struct {
	Team   board.TeamID
	Board  board.ID
	Unread uint64
}

// Status of the store, for people.
type Status struct {
	Full         bool   // nothing is written: free space is below MinFree
	Free         uint64 // bytes
	Needed       uint64 // bytes that must be free for writing to go on once it stopped
	Failed       string // why the store refuses everything, or ""
	Damaged      uint64 // records that are damaged and have not come back yet, and other values found damaged since Open or the last mend
	Mended       bool   // the database was damaged: since Open a new one was made of what could be read
	Short        string // what Open found to be missing that was there before, or ""
	Arrival      uint64 // of the last change
	Records      uint64
	LSM          int64 // bytes on disk
	CommitGroups uint64
}

// CheckProgress of Check.
type CheckProgress struct {
	Records  uint64
	Damaged  uint64
	Problems []string // at most 100
	Done     bool
}

// Evaluation returns the State that a Store holds for a team; see Store.Team.
type Evaluation = *team.State
