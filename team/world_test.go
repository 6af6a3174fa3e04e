package team

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// seedOf makes test keys and nonces from names.
func seedOf(name string) [32]byte { return sha256.Sum256([]byte("test " + name)) }

func keyOf(name string) board.Key { return board.NewKey(seedOf(name)) }

func nonceOf(name string) (n [16]byte) {
	s := seedOf("nonce " + name)
	copy(n[:], s[:])
	return n
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// person founds a user whose keys come from the name; the home is node "home-of-NAME" unless given.
func person(t failer, name string, home ...string) Identity {
	t.Helper()
	h := "home-of-" + name
	if len(home) > 0 {
		h = home[0]
	}
	id, err := NewUser(name, keyOf("recovery of "+name), keyOf("device of "+name), keyOf(h), nonceOf(name))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func nodeOf(name string) board.NodeID { return board.NodeID(keyOf(name).Public()) }

// crew is a founded team with its evaluator.
type crew struct {
	t       failer
	id      board.TeamID
	owner   Identity
	ev      *Evaluator
	objects []*Object
	n       int
	seq     map[board.NodeID]uint64
}

func newCrew(t failer, admins ...board.UserID) *crew {
	t.Helper()
	owner := person(t, "ana")
	id, objects, err := NewTeam(owner, "crew", admins, nonceOf("crew"))
	if err != nil {
		t.Fatal(err)
	}
	c := &crew{t: t, id: id, owner: owner, ev: NewEvaluator(id), seq: map[board.NodeID]uint64{}}
	for _, o := range objects {
		c.add(o)
	}
	return c
}

func (c *crew) must(o *Object, err error) *Object {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	return o
}

// add files o, with its records if it has any.
func (c *crew) add(o *Object) *Object {
	c.t.Helper()
	c.feed(c.ev, o)
	c.objects = append(c.objects, o)
	return o
}

// feed tells an evaluator of o and of the records that carry it.
func (c *crew) feed(ev *Evaluator, o *Object) {
	c.t.Helper()
	for _, p := range o.Records {
		prev := board.Link{}
		if p.Seq > 1 {
			prev = board.Link{Epoch: p.Epoch, Seq: p.Seq - 1, Hash: c.at(p.Node, p.Epoch.N, p.Seq-1).Hash}
		}
		ev.AddRecord(p, prev)
	}
	if _, err := ev.Add(o); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crew) nonce() [16]byte { c.n++; return nonceOf(fmt.Sprint("op ", c.n)) }

// at is a position on the governance board in an epoch of a node; what the hash is made of does not matter to evaluators.
func (c *crew) at(node board.NodeID, epoch, seq uint64) board.Position {
	p := board.Position{Board: board.GovernanceID(c.id), Node: node, Epoch: board.Epoch{N: epoch, R: 7}, Seq: seq}
	b := binary.BigEndian.AppendUint64(append([]byte{}, node[:]...), epoch<<32|seq)
	p.Hash = sha256.Sum256(b)
	return p
}

func (c *crew) invite(role Role, admitter board.NodeID, quota uint32, expires uint64, name string) *Object {
	c.t.Helper()
	return c.must(NewInvite(c.ev.State(), c.owner, role, admitter, quota, expires, c.nonce(), seedOf(name)))
}

// link for an invite made by c.invite with this name.
func (c *crew) knock(invite *Object, name string, id Identity) *weftv1.Knock {
	c.t.Helper()
	l, err := NewLink(c.ev.State(), c.owner, invite, seedOf(name), []string{"/ip4/192.0.2.1/udp/1/quic-v1"})
	if err != nil {
		c.t.Fatal(err)
	}
	k, err := NewKnock(l, 0, id)
	if err != nil {
		c.t.Fatal(err)
	}
	return k
}

// header of an entry by id, with its right as the state gives it.
func (c *crew) header(id Identity, b board.ID) *board.Header {
	cred, _ := c.ev.State().Cred(id.User)
	return &board.Header{
		Team: c.id, Board: b, Author: id.User, Device: board.DeviceID(id.Device.Public()), DevSeq: 1, ClientMsgID: "m",
		HLC: 1, Kind: board.KindPost, Cred: cred,
	}
}
