package sim_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"

	"weft/sim"
)

// bare is a libp2p host with GossipSub and nothing of weft: these tests are about the network itself.
type bare struct {
	host.Host
	topic *pubsub.Topic

	mu  sync.Mutex
	got map[string]int // guarded by mu
}

func newBare(t *testing.T, net *sim.Net, h sim.Host) *bare {
	t.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("%032d", h))))
	if err != nil {
		t.Fatal(err)
	}
	opts := append(net.Options(h, 0), libp2p.Identity(key), libp2p.ListenAddrStrings(net.Address(h)), libp2p.ResourceManager(&network.NullResourceManager{}))
	b := &bare{got: map[string]int{}}
	if b.Host, err = libp2p.New(opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ps, err := pubsub.NewGossipSub(ctx, b.Host, pubsub.WithFloodPublish(true))
	if err != nil {
		t.Fatal(err)
	}
	if b.topic, err = ps.Join("t"); err != nil {
		t.Fatal(err)
	}
	sub, err := b.topic.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			m, err := sub.Next(ctx)
			if err != nil {
				return
			}
			b.mu.Lock()
			b.got[string(m.Data)]++
			b.mu.Unlock()
		}
	}()
	return b
}

func (b *bare) count(msg string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got[msg]
}

func (b *bare) connect(t *testing.T, to *bare) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return b.Connect(ctx, peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()})
}

func roundTrip(t *testing.T, from, to *bare) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, ok := <-ping.Ping(ctx, from.Host, to.ID())
	if !ok {
		return 0, ctx.Err()
	}
	return r.RTT, r.Error
}

func TestLatencyIsWhatTheLinkSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := sim.NewNet(t, 1)
		net.SetLink(0, 1, sim.Link{Latency: 150 * time.Millisecond})
		a, b, c := newBare(t, net, 0), newBare(t, net, 1), newBare(t, net, 2)
		for _, to := range []struct {
			*bare
			want time.Duration
		}{{b, 300 * time.Millisecond}, {c, 20 * time.Millisecond}} {
			if err := a.connect(t, to.bare); err != nil {
				t.Fatal(err)
			}
			if rtt, err := roundTrip(t, a, to.bare); err != nil || rtt < to.want || rtt > to.want+10*time.Millisecond {
				t.Fatalf("round trip %v (%v), want %v", rtt, err, to.want)
			}
		}
	})
}

func TestGossipSurvivesLossAndDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := sim.NewNet(t, 2)
		net.SetDefault(sim.Link{Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.1, Duplicate: 0.05})
		hosts := make([]*bare, 10)
		for i := range hosts {
			hosts[i] = newBare(t, net, sim.Host(i))
			if i > 0 {
				if err := hosts[i].connect(t, hosts[i-1]); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(3 * time.Second) // in the bubble: GossipSub's heartbeats build a mesh
		if err := hosts[0].topic.Publish(t.Context(), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		for i, h := range hosts {
			if n := h.count("hello"); n != 1 {
				t.Errorf("host %d got it %d times", i, n)
			}
		}
		if c := net.Counts(); c.Lost == 0 || c.Duplicated == 0 {
			t.Errorf("the network did nothing: %+v", c)
		}
	})
}

func TestPartitionAndHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := sim.NewNet(t, 3)
		a, b := newBare(t, net, 0), newBare(t, net, 1)
		if err := a.connect(t, b); err != nil {
			t.Fatal(err)
		}
		net.Partition([]sim.Host{0}, []sim.Host{1})
		if _, err := roundTrip(t, a, b); err == nil {
			t.Fatal("a ping crossed the partition")
		}
		time.Sleep(2 * time.Minute)
		if a.Network().Connectedness(b.ID()) == network.Connected {
			t.Fatal("still connected after two minutes of silence")
		}
		net.Heal()
		if err := a.connect(t, b); err != nil {
			t.Fatal(err)
		}
		if _, err := roundTrip(t, a, b); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAHostComesBackUnderItsAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := sim.NewNet(t, 4)
		a, b := newBare(t, net, 0), newBare(t, net, 1)
		if err := a.connect(t, b); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := a.connect(t, b); err == nil {
			t.Fatal("connected to a host that is gone")
		}
		b = newBare(t, net, 1)
		time.Sleep(time.Minute) // the dial back-off of a runs out
		if err := a.connect(t, b); err != nil {
			t.Fatal(err)
		}
	})
}
