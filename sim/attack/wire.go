package attack

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// Protocols, from docs/PROTOCOL.md.
const (
	syncProtocol       = "/weft/sync/1.0.0"
	governanceProtocol = "/weft/governance/1.0.0"
	lobbyProtocol      = "/weft/lobby/1.0.0"
	gossipProtocol     = "/meshsub/1.1.0"
	floodProtocol      = "/floodsub/1.0.0"
)

// reach is how a target is come by, and how long an attacker waits for it to do something. Some things take several times
// as long.
type reach struct {
	target   peer.AddrInfo
	patience time.Duration
	libp2p   []libp2p.Option // for simulated networks
}

// frameMost bounds what is read of the target's frames.
const frameMost = 2 << 20

// traffic is what went over all streams of one attack. Safe for concurrent use.
type traffic struct {
	frames, sent, received atomic.Int64
	leaked                 atomic.Int64 // bytes that a stranger got on streams that are for nodes of the team
}

// wireHost is a libp2p host without manners.
type wireHost struct {
	reach
	h     host.Host
	count *traffic

	outside atomic.Bool // no node of the team: it must be sent nothing but the lobby's answers
}

// newHost makes a host with a node's key.
func newHost(key board.Key, r reach, count *traffic) (*wireHost, error) {
	seed, public := key.Seed(), key.Public()
	k, err := crypto.UnmarshalEd25519PrivateKey(append(seed[:], public[:]...))
	if err != nil {
		return nil, fmt.Errorf("couldn't use a key: %w", err)
	}
	opts := []libp2p.Option{
		libp2p.Identity(k), libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.DisableRelay(), libp2p.Ping(false),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.NoTransports,
		libp2p.Transport(libp2pquic.NewTransport), libp2p.Transport(tcp.NewTCPTransport),
	}
	h, err := libp2p.New(append(opts, r.libp2p...)...)
	if err != nil {
		return nil, fmt.Errorf("couldn't make a host: %w", err)
	}
	return &wireHost{reach: r, h: h, count: count}, nil
}

func (w *wireHost) close() { w.h.Close() }

// connect dials the target.
func (w *wireHost) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	if err := w.h.Connect(ctx, w.target); err != nil {
		return fmt.Errorf("couldn't connect to the target: %w", err)
	}
	return nil
}

// connected says whether there is a connection to the target.
func (w *wireHost) connected() bool {
	return w.h.Network().Connectedness(w.target.ID) == network.Connected
}

// open opens a stream. The first byte says whether the target takes the protocol.
func (w *wireHost) open(ctx context.Context, proto string) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	s, err := w.h.NewStream(ctx, w.target.ID, protocol.ID(proto))
	if err != nil {
		return nil, fmt.Errorf("couldn't open a stream of %s: %w", proto, err)
	}
	x := &wire{s: s, count: w.count, patience: w.patience, guest: w.outside.Load() && proto != lobbyProtocol}
	x.r = newReader(x)
	return x, nil
}

// wire is a stream to the target.
type wire struct {
	s     network.Stream
	r     *bufio.Reader
	count *traffic

	patience time.Duration
	guest    bool // of a stranger: what comes here is a leak
}

// Read counts.
func (x *wire) Read(p []byte) (int, error) {
	n, err := x.s.Read(p)
	x.count.received.Add(int64(n))
	if x.guest {
		x.count.leaked.Add(int64(n))
	}
	return n, err
}

// write sends bytes as they are.
func (x *wire) write(b []byte) error {
	x.s.SetWriteDeadline(time.Now().Add(x.patience))
	n, err := x.s.Write(b)
	x.count.sent.Add(int64(n))
	x.count.frames.Add(1)
	return err
}

// framed is b with its length before it.
func framed(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }

// message sends a message as a frame.
func (x *wire) message(m proto.Message) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("couldn't encode: %w", err)
	}
	return x.write(framed(b))
}

// bytes reads a frame.
func (x *wire) bytes(within time.Duration) ([]byte, error) {
	x.s.SetReadDeadline(time.Now().Add(within))
	n, err := binary.ReadUvarint(x.r)
	if err != nil {
		return nil, err
	}
	if n > frameMost {
		return nil, fmt.Errorf("couldn't read a frame of %d bytes: the target isn't honest", n)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(x.r, b)
	return b, err
}

// frame reads a frame of a sync or governance stream.
func (x *wire) frame(within time.Duration) (*weftv1.SyncFrame, error) {
	b, err := x.bytes(within)
	if err != nil {
		return nil, err
	}
	f := new(weftv1.SyncFrame)
	if err := proto.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("couldn't read a frame of the target: %w", err)
	}
	return f, nil
}

// errStillOpen says that the target goes on with a stream on which it was lied to.
var errStillOpen = errors.New("the target kept the stream open")

// ended reads to the stream's end, which the target should have made.
func (x *wire) ended(within time.Duration) error {
	x.s.SetReadDeadline(time.Now().Add(within))
	_, err := io.Copy(io.Discard, x.r)
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errStillOpen
	}
	return nil
}

// drain reads and forgets until the stream ends.
func (x *wire) drain() {
	x.s.SetReadDeadline(time.Time{})
	io.Copy(io.Discard, x.r)
}

func (x *wire) reset() { x.s.Reset() }

func hello(version uint32) *weftv1.SyncFrame {
	return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Hello{Hello: &weftv1.SyncHello{Protocol: version, Agent: "liar", Boot: make([]byte, 16)}}}
}

// greeted opens a stream and exchanges hellos.
func (w *wireHost) greeted(ctx context.Context, proto string) (*wire, error) {
	x, err := w.open(ctx, proto)
	if err != nil {
		return nil, err
	}
	if err := x.message(hello(1)); err != nil {
		return nil, fmt.Errorf("couldn't greet: %w", err)
	}
	f, err := x.frame(2 * x.patience)
	if err != nil || f.GetHello() == nil {
		x.reset()
		return nil, fmt.Errorf("couldn't greet: the target said no hello: %w", err)
	}
	return x, nil
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// until looks every 20 ms whether ok holds, for so long.
func until(ctx context.Context, d time.Duration, ok func() bool) bool {
	for end := time.Now().Add(d); !ok(); wait(ctx, 20*time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(end) {
			return false
		}
	}
	return true
}

func newReader(x *wire) *bufio.Reader { return bufio.NewReaderSize(x, 64<<10) }

func unmarshal(b []byte, m proto.Message) bool { return proto.Unmarshal(b, m) == nil }
