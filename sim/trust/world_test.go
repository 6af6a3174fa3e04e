package trust

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"weft/board"
	"weft/team"

	weftv1 "weft/api/weft/v1"
)

// world is a team with its people and nodes, honest and not, whose records a test makes and then evaluates.
type world struct {
	rnd      *rand.Rand
	team     board.TeamID
	founding *team.Object
	people   []*actor
	replicas []*replica
	groups   map[*replica]int // while the network is split: who hears whom
	all      []*Held          // all records ever made, each after those that it builds on
	place    map[board.Hash]string
	names    map[board.Hash]string       // of objects, for the transcript
	carried  map[board.Hash]*team.Object // by the entries that carry them: what Hold would read again
	drawer   []*team.Object              // signed, and recorded by nobody yet
	boards   []board.ID                  // ids of board operations, valid or not
	clock    uint64
	nonce    uint64
	story    []string
}

// actor is somebody with all keys that they ever had.
type actor struct {
	name   string
	id     board.UserID
	keys   map[key]board.Key
	shown  []*version // all charters made in their name, genesis first
	newest *version   // what their own devices go by
	made   int
}

// version of an actor's charter.
type version struct {
	*weftv1.UserCharter
	hash   board.Hash
	signed *weftv1.Signed
	prev   *version
}

// replica is one store of a node: a clone or an old backup that runs makes another one of the same node.
type replica struct {
	name  string
	key   board.Key
	node  board.NodeID
	epoch board.Epoch
	tips  map[board.ID]*Held // of the node's own log, as this store has it
	held  map[board.Hash]bool
	order []*Held
	snap  int // how many of order an old backup has
}

var (
	keysMu   sync.Mutex
	keysMade = map[string]board.Key{}
)

// keyOf is the key of that name, the same in all histories.
func keyOf(name string) board.Key {
	keysMu.Lock()
	defer keysMu.Unlock()
	k, ok := keysMade[name]
	if !ok {
		k = board.NewKey(hashOf([]byte(name)))
		keysMade[name] = k
	}
	return k
}

func bytesOf(k board.Key) []byte { p := k.Public(); return p[:] }

// objects that were made before, in this or another history: checking signatures is what takes time.
var (
	madeMu sync.Mutex
	made   = map[string]*team.Object{}

	signatures = map[string][]byte{}
)

// object signs raw bytes and has them read as everybody reads them; nil where they are no object.
func sign(kind board.Kind, label string, raw []byte, k board.Key) *team.Object {
	p := k.Public()
	name := fmt.Sprintf("%d%s%s", kind, p[:], hashOf(raw))
	madeMu.Lock()
	defer madeMu.Unlock()
	if o, ok := made[name]; ok {
		return o
	}
	s := k.Sign(label, raw)
	body, err := proto.Marshal(&weftv1.Signed{Object: raw, Key: p[:], Signature: s[:]})
	if err != nil {
		panic(err)
	}
	o, err := team.ParseObject(kind, body)
	if err != nil {
		o = nil
	}
	if len(made) > 20000 {
		clear(made)
	}
	made[name] = o
	return o
}

// signature of raw bytes; the same ones are asked for again and again.
func signature(k board.Key, label string, raw []byte) []byte {
	name := label + string(bytesOf(k)) + string(raw)
	madeMu.Lock()
	defer madeMu.Unlock()
	s, ok := signatures[name]
	if !ok {
		if len(signatures) > 20000 {
			clear(signatures)
		}
		x := k.Sign(label, raw)
		s = x[:]
		signatures[name] = s
	}
	return s
}

func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// newActor has a recovery key, two devices and a home.
func newActor(name string, home *replica) *actor {
	a := &actor{name: name, keys: map[key]board.Key{}}
	m := &weftv1.UserCharter{Ver: 1, Homes: [][]byte{home.node[:]}, Profile: &weftv1.Profile{Name: name}, Nonce: make([]byte, 16)}
	for _, d := range []string{"recovery", "1", "2"} {
		k := keyOf(name + "/" + d)
		a.keys[k.Public()] = k
		m.Keys = append(m.Keys, bytesOf(k))
	}
	v := a.sign(m, a.keys[key(m.Keys[0])], nil)
	a.id = board.UserID(v.hash)
	a.newest = v
	return a
}

// sign makes a version of the actor's charter.
func (a *actor) sign(m *weftv1.UserCharter, by board.Key, prev *version) *version {
	raw := encode(m)
	s := signature(by, board.SignUserCharter, raw)
	v := &version{m, hashOf(raw), &weftv1.Signed{Object: raw, Key: bytesOf(by), Signature: s}, prev}
	a.shown = append(a.shown, v)
	return v
}

// run of charters that ends in v, n at most.
func (v *version) run(n int) (out []*weftv1.Signed) {
	for ; v != nil && n > 0; v, n = v.prev, n-1 {
		out = append([]*weftv1.Signed{v.signed}, out...)
	}
	return out
}

func (w *world) newReplica(name string, k board.Key) *replica {
	r := &replica{name: name, key: k, node: k.Public(), tips: map[board.ID]*Held{}, held: map[board.Hash]bool{}}
	w.replicas = append(w.replicas, r)
	w.restart(r)
	return r
}

// restart opens an epoch whose counter is greater than any that the store knows.
func (w *world) restart(r *replica) {
	n := r.epoch.N
	for _, h := range r.order {
		if h.Record.Node == r.node {
			n = max(n, h.Record.Epoch.N)
		}
	}
	r.epoch = board.Epoch{N: n + 1, R: w.rnd.Uint64()}
}

// take makes a replica hold a record.
func (r *replica) take(h *Held) {
	if !r.held[h.Hash] {
		r.held[h.Hash] = true
		r.order = append(r.order, h)
	}
}

// record appends an entry to the replica's own log.
func (w *world) record(r *replica, e *board.Entry) *Held {
	w.clock++
	tip := r.tips[e.Header.Board]
	rec := board.Record{Board: e.Header.Board, Origin: board.Origin{Node: r.node, Epoch: r.epoch}, Seq: 1, Entry: e.ID, Received: board.HLC(w.clock << 16)}
	if tip != nil {
		t := tip.Record
		rec.Prev = board.Link{Epoch: t.Epoch, Seq: t.Seq, Hash: tip.Hash}
		if t.Epoch == r.epoch {
			rec.Seq = t.Seq + 1
		}
	}
	h := &Held{Record: rec, Hash: rec.Hash(), Entry: e, Object: w.carried[e.ID]}
	r.tips[e.Header.Board] = h
	r.take(h)
	w.all = append(w.all, h)
	w.place[h.Hash] = fmt.Sprintf("%s:%d.%d", r.name, rec.Epoch.N, rec.Seq)
	return h
}

// entryOf is the governance entry by which a replica carries an object.
func (w *world) entryOf(r *replica, o *team.Object) *board.Entry {
	w.clock++
	e := board.NewEntry(board.Header{Team: w.team, Board: board.GovernanceID(w.team), Device: board.DeviceID(r.node), DevSeq: 1, ClientMsgID: string(o.Hash[:]),
		HLC: board.HLC(w.clock << 16), Kind: o.Kind}, o.Body)
	w.carried[e.ID] = o
	return e
}

// put records an object and gives it a name.
func (w *world) put(r *replica, o *team.Object) *Held { return w.record(r, w.entryOf(r, o)) }

// fresh is a nonce that no other object of this history has. Histories have the same ones, so that they share objects.
func (w *world) fresh() []byte {
	w.nonce++
	return append(make([]byte, 14), byte(w.nonce>>8), byte(w.nonce))
}

// operation by a device (or node) k in the name of author.
func (w *world) operation(author []byte, charter board.Hash, k board.Key, o *weftv1.Operation) *team.Object {
	if len(o.Team) == 0 {
		o.Team = w.team[:]
	}
	o.Author, o.Charter, o.Nonce = author, charter[:], w.fresh()
	return sign(board.KindOperation, board.SignOperation, encode(o), k)
}

// name gives an object a name for the transcript.
func (w *world) name(h board.Hash, what string) string {
	if w.names[h] == "" {
		n := 1
		for _, s := range w.names {
			if strings.HasPrefix(s, what+"#") {
				n++
			}
		}
		w.names[h] = fmt.Sprintf("%s#%d", what, n)
	}
	return w.names[h]
}

func (w *world) nameOf(h []byte) string {
	if s := w.names[board.Hash(slices.Concat(h, make([]byte, 32))[:32])]; s != "" {
		return s
	}
	return fmt.Sprintf("?%x", h[:min(3, len(h))])
}

func (w *world) who(u []byte) string {
	for _, a := range w.people {
		if string(a.id[:]) == string(u) {
			return a.name
		}
	}
	return fmt.Sprintf("?%x", u[:min(3, len(u))])
}

func (w *world) device(k []byte) string {
	for _, a := range w.people {
		if p, ok := a.keys[key(k)]; ok {
			for _, n := range append([]string{"recovery"}, "1", "2", "3", "4", "5", "6", "7", "8", "9") {
				if bytesEqual(bytesOf(keyOf(a.name+"/"+n)), bytesOf(p)) {
					return a.name + "/" + n
				}
			}
		}
	}
	for _, r := range w.replicas {
		if string(r.node[:]) == string(k) {
			return r.name
		}
	}
	return fmt.Sprintf("?%x", k[:3])
}

func bytesEqual(a, b []byte) bool { return string(a) == string(b) }

// sync gives both what either holds. only: nil for all.
func (w *world) sync(a, b *replica, only func(*Held) bool) {
	for _, x := range [][2]*replica{{a, b}, {b, a}} {
		for _, h := range slices.Clone(x[0].order) {
			if only == nil || only(h) {
				x[1].take(h)
			}
		}
	}
}

// union of all that anybody holds.
func (w *world) union() (out []*Held) {
	for _, h := range w.all {
		if slices.ContainsFunc(w.replicas, func(r *replica) bool { return r.held[h.Hash] }) {
			out = append(out, h)
		}
	}
	return out
}

// ordered are the records that a replica holds, each after those that it builds on.
func (w *world) ordered(r *replica) (out []*Held) {
	for _, h := range w.all {
		if r.held[h.Hash] {
			out = append(out, h)
		}
	}
	return out
}
