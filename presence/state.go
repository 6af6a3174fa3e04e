package presence

import "weft/board"

// State is how somebody, or one of their devices, is shown.
type State uint8

// The states, the best last. Of a device: Offline, Reconnecting, Away or Online.
const (
	Offline      State = iota
	Reconnecting       // vanished without a goodbye, a moment ago
	Away
	Busy
	Online
)

var stateNames = [...]string{"offline", "reconnecting", "away", "busy", "online"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Cause says why somebody is shown otherwise than before.
type Cause uint8

// The causes. Those of nodes concern everybody of a node at once.
const (
	CauseSession  Cause = iota + 1 // a session came, went or was idle
	CauseSet                       // the person said so, or what they had said ended
	CauseNodeLeft                  // a home said goodbye
	CauseNodeDead                  // a home doesn't answer any more
	CauseNodeBack                  // a home that was thought dead answers, or was started again
	CauseExpired                   // a home's lease ran out
	CauseTeam                      // the team changed: somebody came or lost their role, a home was added or removed
)

var causeNames = [...]string{"", "session", "set", "node_left", "node_dead", "node_back", "expired", "team"}

func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return "unknown"
}

// NodeState is what failure detection holds of a node.
type NodeState uint8

// What may be held of a node. What an alive, suspected or unheard one has said counts, while its lease runs.
const (
	NodeUnheard NodeState = iota // no word of its health yet
	NodeAlive
	NodeSuspected // doubted; changes nothing that is shown
	NodeDead
	NodeLeft // said goodbye
)

var nodeStateNames = [...]string{"unheard", "alive", "suspected", "dead", "left"}

func (s NodeState) String() string {
	if int(s) < len(nodeStateNames) {
		return nodeStateNames[s]
	}
	return "unknown"
}

// Health is what failure detection says of a node.
type Health struct {
	State       NodeState
	Boot        [16]byte // that this is about; zero: whichever it is
	Since       int64    // Unix milliseconds
	By          []board.NodeID
	Incarnation uint64
}

// DeviceID is how presence names a device: the first 8 bytes of its key.
type DeviceID [8]byte

// ShortDevice is the short name of a device.
func ShortDevice(d board.DeviceID) (s DeviceID) { copy(s[:], d[:]); return s }

// Device is one device of a person on one node.
type Device struct {
	ID        DeviceID
	State     State
	Payload   []byte // not to be changed
	PayloadAt int64  // when it was set, Unix milliseconds by its node's clock
}

// Setting is what a person has said of themselves.
type Setting struct {
	Availability State // Online: as their devices are; Away; Busy
	Invisible    bool
	Status       string
	SetAt        board.HLC // of two settings the later counts
	Until        int64     // Unix milliseconds; 0: until they say otherwise
}

// Person is how somebody is shown in a team.
type Person struct {
	User       board.UserID
	State      State
	LastActive int64 // Unix milliseconds; 0: not known. Of somebody online it is from when that was said last
	Since      int64 // when State began, Unix milliseconds; 0: not known
	Until      int64 // when what they have set ends; 0: no end
	Status     string
	Devices    []PersonDevice // those that are not offline, by node and device
}

// PersonDevice is a device with the node that it is on.
type PersonDevice struct {
	Device
	Node board.NodeID
}

// Change is a person who is shown otherwise than before.
type Change struct {
	Team   board.TeamID
	Person Person
	Was    State
	Cause  Cause
}

// Counts are how many of a team's people are in each state.
type Counts struct {
	Online, Away, Busy, Reconnecting, Offline int
}

// Reason is what one home says of a person, and whether that counts.
type Reason struct {
	Team    board.TeamID
	Node    board.NodeID
	Self    bool
	Health  Health
	Lease   int64 // until when the node vouches, Unix milliseconds; 0: not heard of
	Heard   bool  // the node has said something about this person
	Fresh   bool  // and it is known to be what the node says now
	Counts  bool
	Says    State
	Report  Report
	Number  uint64 // of the node's last beat about the team that is held
	Waiting int64  // milliseconds until a change that is held back by damping is shown; 0: none is
	Words   string // all of this in a sentence
}
