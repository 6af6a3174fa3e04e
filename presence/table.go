package presence

import (
	"time"

	"weft/board"
)

// Config of a Table. Zero durations mean the usual ones.
type Config struct {
	Self  board.NodeID
	Boot  [16]byte
	Start time.Time
	Off   bool // nothing is said of this node's own people
}

// Table holds who is where. Its owner guards it. Each method that changes something returns what is to be done, in order.
type Table struct {
	cfg Config
}

// NewTable makes an empty table.
func NewTable(cfg Config) *Table { return &Table{cfg: cfg} }

// SetTeam tells the table of a team, or of what changed in it.
func (t *Table) SetTeam(now time.Time, id board.TeamID, st Team) []Effect { return nil }

// DropTeam forgets a team that this node is out of.
func (t *Table) DropTeam(now time.Time, id board.TeamID) []Effect { return nil }

// Attach begins a session of a user's device. Sessions are numbered by the caller.
func (t *Table) Attach(now time.Time, session uint64, user board.UserID, device DeviceID) []Effect {
	return nil
}

// Detach ends a session: by a goodbye, or else it vanished and may come back within the grace.
func (t *Table) Detach(now time.Time, session uint64, goodbye bool) []Effect { return nil }

// Report says whether a session's device is used; of an idle one, for how long it hasn't been.
func (t *Table) Report(now time.Time, session uint64, idle bool, idleFor time.Duration) []Effect {
	return nil
}

// SetPayload sets what a session's device shows of itself; nothing erases it.
func (t *Table) SetPayload(now time.Time, session uint64, payload []byte) ([]Effect, error) {
	return nil, nil
}

// Set takes what a person says of themselves at one of their homes.
func (t *Table) Set(now time.Time, o OwnSetting) []Effect { return nil }

// ReceiveSetting takes what a person has set at another home. False: what is known here is as new.
func (t *Table) ReceiveSetting(now time.Time, o OwnSetting) ([]Effect, bool) { return nil, false }

// Settings are what a user has set, for all teams first.
func (t *Table) Settings(user board.UserID) []OwnSetting { return nil }

// Receive takes a beat whose signature is its node's. An error says that it was of no use; one that wraps board.ErrMalformed
// that no honest node says it.
func (t *Table) Receive(now time.Time, b *Beat) ([]Effect, error) { return nil, nil }

// Lease says until when a node vouches for what it has said.
func (t *Table) Lease(now time.Time, n board.NodeID, until time.Time) []Effect { return nil }

// NodeHealth takes what failure detection says of a node.
func (t *Table) NodeHealth(now time.Time, n board.NodeID, h Health) []Effect { return nil }

// Confirm says that what is held of a node in these teams is what the node says now, by its digests.
func (t *Table) Confirm(now time.Time, n board.NodeID, boot [16]byte, teams []board.TeamID) []Effect {
	return nil
}

// Digest of the state of a node's people in a team.
type Digest struct {
	Team   board.TeamID
	Number uint64
	Sum    [16]byte
}

// Digests are of this node's own people, by team; teams of which nothing was ever said are left out.
func (t *Table) Digests(teams []board.TeamID) []Digest { return nil }

// Known is the same for what is held of another node, with its boot. A state that misses something has a digest that nobody says.
func (t *Table) Known(n board.NodeID, teams []board.TeamID) ([]Digest, [16]byte) {
	return nil, [16]byte{}
}

// Whole is the whole state of this node's own people in a team, in pages; a state of which nothing was ever said is one empty page.
func (t *Table) Whole(team board.TeamID) []*Beat { return nil }

// Tick does what is due. Call it at Wake.
func (t *Table) Tick(now time.Time) []Effect { return nil }

// Wake is when Tick is to be called; zero: when something else was.
func (t *Table) Wake() time.Time { return time.Time{} }

// Person is how somebody is shown.
func (t *Table) Person(now time.Time, team board.TeamID, user board.UserID) (Person, bool) {
	return Person{}, false
}

// People are all people of a team as they are shown, by user.
func (t *Table) People(now time.Time, team board.TeamID) []Person { return nil }

// Counts of a team.
func (t *Table) Counts(team board.TeamID) (Counts, int) { return Counts{}, 0 }

// Why says what each home of a person says, and what of it counts. By node.
func (t *Table) Why(now time.Time, team board.TeamID, user board.UserID) []Reason { return nil }
