package detect

import (
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// Event is something that happened: one of the event types below.
type Event interface{ event() }

// Neighbours are the nodes that share a team with this one, each with the teams that both are in. It replaces what was
// said before; nothing is told to, asked of or kept about a node that isn't named any more.
type Neighbours struct {
	Teams map[board.NodeID][]board.TeamID
}

// Connected: frames can be sent to Node from now on. The first one goes out without the Detector: a pulse with this
// node's newest word.
type Connected struct{ Node board.NodeID }

// Disconnected: the connection to Node is lost, or was given up.
type Disconnected struct{ Node board.NodeID }

// Heard: something came from Node over its own authenticated connection, so long ago.
type Heard struct {
	Node board.NodeID
	Ago  time.Duration
}

// HeardSome are several signs of life at one time.
type HeardSome []Heard

// Relayed: something new that Node signed came through others.
type Relayed struct{ Node board.NodeID }

// Probed: From asks whether this node runs, and for its signature of Nonce if there is one.
type Probed struct {
	From  board.NodeID
	ID    uint64
	Nonce []byte
}

// AskedFor: From asks whether Target runs, which it is to prove by its signature of Nonce.
type AskedFor struct {
	From, Target board.NodeID
	ID           uint64
	Nonce        []byte
}

// Answered: From answers a Probe. Silent: the probe's target did not answer it. Late: From's own loop was late, so that the time
// says little of the way. Proof is the probed node's signature, which Config.Proof judges. A word that comes along is a Said
// event of its own, before this one.
type Answered struct {
	From   board.NodeID
	ID     uint64
	Silent bool
	Late   bool
	Proof  []byte
}

// Told: From suspects nodes.
type Told struct {
	From       board.NodeID
	Suspicions []Suspicion
}

// Said: a node's word, whose signature was checked, came from From.
type Said struct {
	From board.NodeID
	Word Word
}

// Leaving: this node stops. The effects are its goodbye; there should be no further events.
type Leaving struct{}

// Tick: Wake's time has come.
type Tick struct{}

func (Neighbours) event()   {}
func (Connected) event()    {}
func (Disconnected) event() {}
func (Heard) event()        {}
func (HeardSome) event()    {}
func (Relayed) event()      {}
func (Probed) event()       {}
func (AskedFor) event()     {}
func (Answered) event()     {}
func (Told) event()         {}
func (Said) event()         {}
func (Leaving) event()      {}
func (Tick) event()         {}

// Suspicion says that one run of a node doesn't answer.
type Suspicion struct {
	Node        board.NodeID
	Boot        [16]byte
	Incarnation uint64
	Dead        bool // it had its time to answer
}

// Word is what a node says of its own run. Of two words of a node the later BootMs counts, then the greater boot, then
// the higher incarnation.
type Word struct {
	Node        board.NodeID
	Boot        [16]byte
	BootMs      uint64
	Incarnation uint64
	Goodbye     bool
	Signed      *weftv1.Signed // the NodeAlive as signed; nil in this node's own, which is signed when it is sent
}

// Effect is something to do: one of the effect types below.
type Effect interface{ effect() }

// Probe asks Node whether it runs, or, with a Target, to ask that one. What Target is to sign is for the caller to choose: other
// bytes for each ID, which nobody can guess. Nonce is what Node is to sign for somebody else, if it isn't nil.
type Probe struct {
	Node   board.NodeID
	ID     uint64
	Target board.NodeID // zero: Node itself
	Nonce  []byte
}

// Answer answers Probed (Silent is false then) or AskedFor.
type Answer struct {
	Node   board.NodeID
	ID     uint64
	Silent bool
	Late   bool
	Nonce  []byte // to be signed; nil: nothing
	Proof  []byte // of the target, as it came; nil: there is none
	Word   *Word  // the target's; nil: none goes along
}

// Tell sends suspicions and other nodes' signed words in one frame to each of Nodes.
type Tell struct {
	Nodes      []board.NodeID
	Suspicions []Suspicion
	Words      []Word
}

// SayAlive signs this node's own word and sends it to Nodes; pulses carry it from now on.
type SayAlive struct {
	Nodes []board.NodeID
	Word  Word
}

// Redial asks for a new connection to Node as soon as possible.
type Redial struct{ Node board.NodeID }

// Health is what is thought of a node now. It comes with each change of anything in it.
type Health struct {
	Node        board.NodeID
	State       State
	Since       time.Time
	By          []board.NodeID // who suspects it, this node among them if it does; 8 at most
	Boot        [16]byte       // of the run that this is about; zero: not known
	Incarnation uint64
}

// Distance is how far Node is, measured anew and smoothed.
type Distance struct {
	Node      board.NodeID
	RoundTrip time.Duration
}

// Count says that something worth counting has happened.
type Count struct{ Name string }

func (Probe) effect()    {}
func (Answer) effect()   {}
func (Tell) effect()     {}
func (SayAlive) effect() {}
func (Redial) effect()   {}
func (Health) effect()   {}
func (Distance) effect() {}
func (Count) effect()    {}

// State is what is thought of a node.
type State uint8

// States of a node.
const (
	Unknown   State = iota // never heard of since this node started, or since both got into a team
	Alive                  // it answers
	Suspected              // it, or somebody who can't reach it, has some time left to show that it runs
	Dead                   // it didn't
	Left                   // it said goodbye
)

// String is the state in a word; empty for Unknown.
func (s State) String() string {
	switch s {
	case Alive:
		return "alive"
	case Suspected:
		return "suspected"
	case Dead:
		return "dead"
	case Left:
		return "left"
	}
	return ""
}
