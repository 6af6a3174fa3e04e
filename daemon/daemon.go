package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/p2p"
	"weft/presence/hub"
	"weft/rpc"
	"weft/store"
)

// Daemon is one running node. Its fields don't change after Start.
type Daemon struct {
	cfg      Config
	log      *slog.Logger
	id       identity
	socket   string
	started  time.Time
	awake    func() time.Time // goes on while the machine sleeps
	registry *prometheus.Registry

	lock  *os.File
	store *store.Store
	hub   *hub.Hub // presence and the live lane
	mesh  *p2p.Mesh

	ctx   context.Context // ends when the node is to stop
	stop  context.CancelFunc
	serve errgroup.Group // the API's doors; they end first
	carry errgroup.Group // the mesh
	parts running        // which of them have not ended
	done  chan struct{}  // closed when everything has ended
	err   error          // why; read after done
}

// Run starts a node and returns when ctx has ended and everything is on disk, or with the first thing that broke.
func Run(ctx context.Context, cfg Config) error {
	d, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	return d.Wait()
}

// Start starts a node; when it returns the node answers on its socket. The end of ctx stops it, as Stop does. On an
// error nothing is left running.
func Start(ctx context.Context, cfg Config) (*Daemon, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.LogTo == nil {
		cfg.LogTo = io.Discard
	}
	awake := cfg.Now // of a simulation, in which nothing sleeps
	if cfg.Now == nil {
		cfg.Now, awake = time.Now, p2p.Awake()
	}
	if cfg.Wiring.Listen == nil {
		cfg.Wiring.Listen = rpc.ListenUnix
	}
	d := &Daemon{
		cfg:      cfg,
		log:      newLogger(cfg.LogTo, cfg.LogFormat, cfg.LogLevel),
		started:  cfg.Now(),
		awake:    awake,
		registry: newRegistry(cfg.Version),
		done:     make(chan struct{}),
	}
	if cfg.MemoryLimit > 0 {
		debug.SetMemoryLimit(int64(cfg.MemoryLimit))
	}
	d.ctx, d.stop = context.WithCancel(ctx)
	if err := d.open(); err != nil {
		d.stop()
		return nil, errors.Join(err, d.close())
	}
	if err := d.listen(); err != nil {
		d.stop()
		return nil, errors.Join(err, d.close())
	}
	go d.end()
	d.log.Info("started", "node", d.mesh.ID().String(), "version", cfg.Version, "dir", cfg.Dir, "took", time.Since(d.started))
	return d, nil
}

// open takes the folder and opens the parts from below.
func (d *Daemon) open() (err error) {
	if d.lock, err = lockFolder(d.ctx, d.cfg.Dir); err != nil {
		return err
	}
	if d.id, err = loadIdentity(d.cfg.Dir, d.cfg.Name); err != nil {
		return err
	}
	d.store, err = store.Open(d.ctx, store.Options{
		Dir:        filepath.Join(d.cfg.Dir, "store"),
		Node:       d.id.Node,
		Users:      []board.UserID{d.id.User.User},
		Now:        d.cfg.Now,
		Log:        d.log.With("part", "store"),
		Registerer: d.registry,
		MinFree:    uint64(d.cfg.MinFree),
		Quotas:     store.Quotas{AuthorPerSecond: float64(d.cfg.PostRate), AuthorBurst: d.cfg.PostBurst},
	})
	if err != nil {
		return fmt.Errorf("couldn't start: %w", err)
	}
	var boot [16]byte
	if d.hub, boot, err = d.newHub(); err != nil {
		return err
	}
	d.mesh, err = p2p.New(d.ctx, p2p.Options{
		Key:        d.id.Node,
		Store:      d.store,
		Identity:   d.id.User,
		Listen:     d.cfg.Listen,
		Static:     d.cfg.Peer,
		Book:       filepath.Join(d.cfg.Dir, "peers.json"),
		MDNS:       d.cfg.MDNS,
		Presence:   d.hub,
		Boot:       boot,
		Awake:      d.awake,
		Log:        d.log.With("part", "p2p"),
		Registerer: d.registry,
		Libp2p:     d.cfg.Libp2p,
		Now:        d.cfg.Now,
		Agent:      "weft/" + d.cfg.Version,
	})
	if err != nil {
		return fmt.Errorf("couldn't start: %w", err)
	}
	d.hub.SetWire(d.mesh)
	return nil
}

// listen opens the doors and starts the loops.
func (d *Daemon) listen() error {
	var err error
	if d.socket, err = placeSocket(d.cfg.Dir); err != nil {
		return err
	}
	api, err := rpc.NewHandler(rpc.Options{
		Store:           d.store,
		Mesh:            meshFace{d.mesh, d.store, d.id.Node.Public(), d.cfg.Now},
		Hub:             d.hub,
		Identity:        d.id.User,
		Node:            d.id.Node.Public(),
		Info:            d.Info,
		Doctor:          d.doctor,
		TakeRecoveryKey: d.takeRecoveryKey,
		Log:             d.log.With("part", "rpc"),
		Registerer:      d.registry,
		Version:         d.cfg.Version,
		Now:             d.cfg.Now,
	})
	if err != nil {
		return fmt.Errorf("couldn't start the API: %w", err)
	}
	unix, err := d.cfg.Wiring.Listen(d.socket)
	if err != nil {
		return fmt.Errorf("couldn't start: %w", err)
	}
	var loopback net.Listener
	if d.cfg.Metrics != "" {
		if loopback, err = net.Listen("tcp", d.cfg.Metrics); err != nil {
			unix.Close()
			return fmt.Errorf("couldn't serve metrics on %s: %w; choose another port with --metrics, or leave it out", d.cfg.Metrics, err)
		}
	}
	d.goUntilStop(&d.carry, "mesh", func() error { return d.mesh.Run(d.ctx) })
	d.goUntilStop(&d.carry, "presence", func() error { return d.hub.Run(d.ctx) })
	d.goUntilStop(&d.carry, "upkeep of teams", func() error { return d.upkeepLoop(d.ctx) })
	d.goUntilStop(&d.serve, "API", func() error { return rpc.Serve(d.ctx, unix, d.withOperations(api), d.log.With("part", "rpc")) })
	if loopback != nil {
		d.goUntilStop(&d.serve, "metrics", func() error { return d.serveOperations(d.ctx, loopback) })
	}
	return nil
}

// goUntilStop runs one of the loops; the end of any of them stops the node.
func (d *Daemon) goUntilStop(group *errgroup.Group, part string, loop func() error) {
	ended := d.parts.begin(part)
	group.Go(func() error {
		defer ended()
		defer d.stop()
		err := loop()
		if errors.Is(err, context.Canceled) && d.ctx.Err() != nil {
			return nil
		}
		return err
	})
}

// end waits for the reason to stop and takes the node down from above: doors, mesh, store. What was acknowledged was on
// disk before, so a stop that is cut off by StopTimeout loses nothing either.
func (d *Daemon) end() {
	defer close(d.done)
	<-d.ctx.Done()
	d.log.Info("stopping")
	began := time.Now()
	finished := make(chan error, 1)
	go func() { finished <- errors.Join(d.serve.Wait(), d.carry.Wait(), d.close()) }()
	timeout := time.NewTimer(d.cfg.StopTimeout)
	defer timeout.Stop()
	select {
	case d.err = <-finished:
		d.log.Info("stopped", "took", time.Since(began))
	case <-timeout.C:
		d.err = fmt.Errorf("couldn't stop in order within %s, as %s didn't end; what was acknowledged is on disk", d.cfg.StopTimeout, &d.parts)
		d.log.Error("couldn't stop in order", "part", d.parts.String(), "took", time.Since(began))
	}
}

// close closes what open opened, in the opposite order.
func (d *Daemon) close() error {
	var errs []error
	if d.mesh != nil {
		ended := d.parts.begin("closing of the mesh")
		errs = append(errs, d.mesh.Close())
		ended()
	}
	if d.store != nil {
		ended := d.parts.begin("closing of the store")
		errs = append(errs, d.store.Close())
		ended()
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

// Wait returns when the node has ended.
func (d *Daemon) Wait() error {
	<-d.done
	return d.err
}

// Stop ends the node in order and waits for it.
func (d *Daemon) Stop() error {
	d.stop()
	return d.Wait()
}

// FirstStart says whether this start made the node.
func (d *Daemon) FirstStart() bool { return d.id.First }

// Socket is the path of the API's socket.
func (d *Daemon) Socket() string { return d.socket }

// Store is the node's store, for tests and benchmarks that look behind the API. It is closed when the node stops.
func (d *Daemon) Store() *store.Store { return d.store }

// Mesh is the node's part in the network, for tests and benchmarks. It is closed when the node stops.
func (d *Daemon) Mesh() *p2p.Mesh { return d.mesh }

// Info says who the node is and where it listens. It has every field but the ones that the API knows better.
func (d *Daemon) Info() *weftv1.GetInfoResponse {
	connected := uint32(0)
	for _, p := range d.mesh.Peers() {
		if p.Connected {
			connected++
		}
	}
	device := board.DeviceID(d.id.User.Device.Public())
	return &weftv1.GetInfoResponse{
		NodeId:          d.mesh.ID().String(),
		UserId:          d.id.User.User.String(),
		DeviceId:        device.String(),
		Name:            d.id.User.Name,
		Listen:          d.mesh.Addrs(),
		Socket:          d.socket,
		Peers:           connected,
		Version:         d.cfg.Version,
		Dir:             d.cfg.Dir,
		RecoveryKeyKept: HasRecoveryKey(d.cfg.Dir),
		StorageFull:     d.store.Status().Full,
		FetchingTeams:   fetching(d.store),
		UptimeMs:        uint64(d.cfg.Now().Sub(d.started).Milliseconds()),
	}
}

func (d *Daemon) takeRecoveryKey() (string, error) {
	words, err := takeRecoveryKey(d.cfg.Dir)
	if errors.Is(err, ErrRecoveryKeyGone) {
		return "", rpc.ErrGone
	}
	if errors.Is(err, ErrKeys) {
		return "", keyDamaged{err}
	}
	return words, err
}

// keyDamaged is an rpc.ErrKeyDamaged whose text is that of the error below it, which names the file and what to do.
type keyDamaged struct{ error }

func (e keyDamaged) Is(target error) bool { return target == rpc.ErrKeyDamaged }
