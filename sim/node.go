package sim

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"weft/board"
	"weft/p2p"
	"weft/presence/hub"
	"weft/store"
	"weft/team"
)

// NodeOptions of World.Start. The zero value is a usual node.
type NodeOptions struct {
	Skew      time.Duration // of its clock against true time
	Bandwidth int           // bits per second each way; 0: DefaultBandwidth
	Log       *slog.Logger  // nil: silent
	Asleep    bool          // only its store runs, until Wake; see World.Gather
}

// Node is one whole node of a World: keys, store and mesh in a folder, on a host of the network. Its methods are called
// by the test's goroutine.
type Node struct {
	Name string
	Host Host

	world   *World
	options NodeOptions
	dir     string
	key     board.Key
	id      team.Identity

	store    *store.Store // nil while the node is down
	mesh     *p2p.Mesh    // nil while it is down or asleep
	hub      *hub.Hub
	ctx      context.Context // of one life, from start to Stop
	cancel   context.CancelFunc
	ended    chan error
	reader   *boardReader
	watching sync.WaitGroup // watchRemovals
	posted   uint64         // numbers posts
}

// smallMemTable keeps folders small, since scenarios copy them; it is the least that Badger takes with our values.
const smallMemTable = 8 << 20

// key of a person or machine of this world, the same for the same seed and name.
func (w *World) key(what, name string) board.Key {
	return board.NewKey(sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what+"/"+name+"/"), w.seed)))
}

// Start makes a node with a new folder on the next free host and starts it.
func (w *World) Start(name string, o NodeOptions) *Node {
	w.T.Helper()
	n := &Node{Name: name, Host: Host(len(w.nodes)), world: w, options: o, dir: w.T.TempDir(), key: w.key("node", name)}
	var err error
	n.id, err = team.NewUser(name, w.key("recovery", name), w.key("device", name), n.key, [16]byte{1})
	if err != nil {
		w.T.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	n.reader = newBoardReader(n)
	w.T.Cleanup(n.Stop)
	n.Restart()
	return n
}

// Now is the node's own clock.
func (n *Node) Now() time.Time { return time.Now().Add(n.options.Skew) }

// Store of the running node; nil while it is down.
func (n *Node) Store() *store.Store { return n.store }

// Mesh of the running node; nil while it is down.
func (n *Node) Mesh() *p2p.Mesh { return n.mesh }

// User who lives at this node.
func (n *Node) User() board.UserID { return n.id.User }

// Restart stops the node, if it runs, and starts it from its folder.
func (n *Node) Restart() {
	n.world.T.Helper()
	n.Stop()
	if err := n.start(); err != nil {
		n.world.T.Fatalf("couldn't start node %s: %v", n.Name, err)
	}
}

func (n *Node) start() error {
	if err := n.openStore(); err != nil || n.options.Asleep {
		return err
	}
	return n.join()
}

func (n *Node) log() *slog.Logger {
	if n.options.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return n.options.Log
}

func (n *Node) openStore() (err error) {
	n.ctx, n.cancel = context.WithCancel(n.world.T.Context())
	n.store, err = store.Open(n.ctx, store.Options{
		Dir: filepath.Join(n.dir, "store"), Node: n.key, Users: []board.UserID{n.id.User}, Now: n.Now, Log: n.log(),
		MemTable: smallMemTable, MinFree: 1, Quotas: store.Quotas{AuthorPerSecond: -1, AuthorBurst: -1},
	})
	if err != nil {
		n.cancel()
		n.store = nil
	}
	return err
}

// Wake lets a node that was started asleep take part.
func (n *Node) Wake() {
	n.world.T.Helper()
	n.options.Asleep = false
	if err := n.join(); err != nil {
		n.world.T.Fatalf("couldn't wake node %s: %v", n.Name, err)
	}
}

// join starts all of a node but its store, and ends that too if it can't.
func (n *Node) join() (err error) {
	boot := [16]byte(n.world.nonce())
	n.hub, err = hub.New(n.hubOptions(boot, n.log()))
	if err == nil {
		n.mesh, err = p2p.New(n.ctx, p2p.Options{
			Key: n.key, Store: n.store, Identity: n.id, Listen: []string{n.world.Net.Address(n.Host)}, Log: n.log(), Now: n.Now,
			Libp2p: n.world.Net.Options(n.Host, n.options.Bandwidth), Presence: n.hub, Boot: boot,
		})
	}
	if err != nil {
		n.cancel()
		err = errors.Join(err, n.store.Close())
		n.store, n.mesh, n.hub = nil, nil, nil
		return err
	}
	n.hub.SetWire(n.mesh)
	n.ended = make(chan error, 2)
	ctx, mesh, h, ended := n.ctx, n.mesh, n.hub, n.ended
	go func() { ended <- mesh.Run(ctx) }()
	go func() { ended <- h.Run(ctx) }()
	n.reader.start(ctx, n.store)
	s, m := n.store, n.mesh
	n.watching.Go(func() { n.watchRemovals(ctx, s, m) })
	n.attend(ctx)
	return nil
}

// Stop ends the node in order. A node that is down stays down.
func (n *Node) Stop() {
	if n.store == nil {
		return
	}
	n.world.there(n.id.User, false)
	n.cancel()
	if n.mesh != nil {
		n.leave()
	}
	if err := n.store.Close(); err != nil {
		n.world.T.Errorf("couldn't close the store of %s: %v", n.Name, err)
	}
	n.store, n.mesh, n.hub = nil, nil, nil
}

// leave ends all of a node but its store.
func (n *Node) leave() {
	n.reader.wait()
	n.watching.Wait()
	for range cap(n.ended) {
		if err := <-n.ended; err != nil {
			n.world.T.Errorf("node %s ended with: %v", n.Name, err)
		}
	}
	if err := n.mesh.Close(); err != nil {
		n.world.T.Errorf("couldn't close the mesh of %s: %v", n.Name, err)
	}
}

// Running says whether the node is up.
func (n *Node) Running() bool { return n.store != nil }

// Crash ends the node as a power cut does: it goes on from what its files held at this moment, and its peers hear no
// goodbye.
func (n *Node) Crash() {
	n.world.T.Helper()
	b := n.Backup()
	n.world.Net.silence(n.Host, true)
	n.Stop()
	n.world.Net.silence(n.Host, false)
	n.dir = b.dir
}

// Backup is a copy of a node's folder, as it was at one moment.
type Backup struct {
	dir string
	at  uint64 // in the checker's order
}

// Backup copies the node's folder while it runs. In a bubble nothing else happens in the meantime, so the copy is of one
// moment, as that of a machine's snapshot.
func (n *Node) Backup() Backup {
	n.world.T.Helper()
	n.world.wait()
	b := Backup{dir: n.world.T.TempDir(), at: n.world.Check.Now()}
	if err := copyFolder(b.dir, n.dir); err != nil {
		n.world.T.Fatalf("couldn't copy the folder of %s: %v", n.Name, err)
	}
	return b
}

// Restore replaces the node's folder by a copy of b and starts it: what it did since is gone with its disk.
func (n *Node) Restore(b Backup) {
	n.world.T.Helper()
	n.Stop()
	n.dir = n.world.T.TempDir()
	if err := copyFolder(n.dir, b.dir); err != nil {
		n.world.T.Fatalf("couldn't restore the folder of %s: %v", n.Name, err)
	}
	n.world.Check.RolledBack(n.Name, b.at)
	n.reader = newBoardReader(n)
	n.Restart()
}

// Clone starts a second node from a copy of this one's folder, keys and all, on a host of its own: what happens when a
// virtual machine is copied. Both then write under one node key.
func (n *Node) Clone(b Backup, name string) *Node {
	n.world.T.Helper()
	w := n.world
	c := &Node{Name: name, Host: Host(len(w.nodes)), world: w, options: n.options, dir: w.T.TempDir(), key: n.key, id: n.id}
	if err := copyFolder(c.dir, b.dir); err != nil {
		w.T.Fatalf("couldn't clone the folder of %s: %v", n.Name, err)
	}
	w.nodes = append(w.nodes, c)
	c.reader = newBoardReader(c)
	w.T.Cleanup(c.Stop)
	c.Restart()
	return c
}

// peerAddress is the address of the node with its id, for other nodes.
func (n *Node) peerAddress() string {
	return fmt.Sprintf("%s/p2p/%s", n.world.Net.Address(n.Host), n.peerID())
}

func (n *Node) peerID() string {
	id, err := p2p.PeerIDOf(n.Key())
	if err != nil {
		n.world.T.Fatal(err)
	}
	return id.String()
}
