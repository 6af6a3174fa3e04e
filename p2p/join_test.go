package p2p

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

func TestJoinSaysWhyItFailed(t *testing.T) {
	a := newNode(t, "ada")
	id := a.found("crew")
	other := newNode(t, "eve").found("another")
	for name, c := range map[string]struct {
		link func() *weftv1.InviteLink
		want error
	}{
		"expired": {func() *weftv1.InviteLink { return a.invite(id, 1, time.Now().Add(-time.Minute)) }, team.ErrExpired},
		"unknown invite": {func() *weftv1.InviteLink {
			l := a.invite(id, 1, time.Time{})
			l.Invites[0].Invite[0] ^= 1
			return l
		}, board.ErrNotFound},
		"unknown team": {func() *weftv1.InviteLink {
			l := a.invite(id, 1, time.Time{})
			l.Team = other[:]
			return l
		}, board.ErrNotFound},
		"another key": {func() *weftv1.InviteLink {
			l := a.invite(id, 1, time.Time{})
			l.Invites[0].Seed[0] ^= 1
			return l
		}, board.ErrBadSignature},
		"nobody there": {func() *weftv1.InviteLink {
			l := a.invite(id, 1, time.Time{})
			l.Invites[0].Addresses = []string{"/ip4/127.0.0.1/udp/9/quic-v1", "/ip4/127.0.0.1/tcp/9"}
			return l
		}, ErrOffline},
		"no invite in it": {func() *weftv1.InviteLink { return &weftv1.InviteLink{Team: id[:]} }, team.ErrLinkDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			b := newNode(t, "bob")
			link := c.link()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, err := b.mesh.Join(ctx, link, "")
			if !errors.Is(err, c.want) {
				t.Fatalf("%v instead of %v", err, c.want)
			}
			if len(b.store.Teams()) != 0 {
				t.Fatal("bob takes part in a team that didn't let him in")
			}
			if errors.Is(err, ErrOffline) && (strings.Count(err.Error(), "127.0.0.1") == 0 || len(err.Error()) > 300 || strings.Contains(err.Error(), "\n")) {
				t.Fatalf("it doesn't say what was tried: %v", err)
			}
			a.mesh.lobby.failed.mu.Lock()
			clear(a.mesh.lobby.failed.asked) // each case stands for an address of its own
			a.mesh.lobby.failed.mu.Unlock()
		})
	}
}

func TestAnInvitesQuotaIsExact(t *testing.T) {
	a := newNode(t, "ada", func(n *testNode) { n.limits.LobbyTriesPerMin = 100 })
	id := a.found("crew")
	link := a.invite(id, 2, time.Time{})
	var wg sync.WaitGroup
	results := make(chan error, 5)
	for range 5 {
		b := newNode(t, "bob")
		wg.Go(func() {
			_, err := b.mesh.Join(testContext(t), link, "")
			results <- err
		})
	}
	wg.Wait()
	close(results)
	in := 0
	for err := range results {
		switch {
		case err == nil:
			in++
		case !errors.Is(err, team.ErrQuota):
			t.Errorf("refused with %v", err)
		}
	}
	if in != 2 {
		t.Fatalf("%d were let in by an invite for 2", in)
	}
	if got := len(a.team(id).Members()); got != 3 {
		t.Fatalf("the team has %d members", got)
	}
}

func TestJoiningAgainIsFine(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	link := a.invite(id, 1, time.Time{})
	for i := range 3 {
		res, err := b.mesh.Join(testContext(t), link, "")
		if err != nil || res.Team != id || res.Name != "crew" || res.AlreadyMember != (i > 0) {
			t.Fatalf("%d: %+v %v", i, res, err)
		}
	}
	b.restart()
	if res, err := b.mesh.Join(testContext(t), link, ""); err != nil || !res.AlreadyMember {
		t.Fatalf("after a restart: %+v %v", res, err)
	}
}

func TestOneAdmitterIsEnough(t *testing.T) {
	a, b, c := newNode(t, "ada"), newNode(t, "bob"), newNode(t, "cyd")
	id := a.found("crew")
	a.letIn(id, b)
	gone := a.invite(id, 1, time.Time{})
	gone.Invites[0].Admitter = func() []byte { k := randomKey().Public(); return k[:] }()
	gone.Invites[0].Addresses = []string{"/ip4/127.0.0.1/udp/9/quic-v1"}
	link := a.invite(id, 1, time.Time{})
	link.Invites = append(gone.Invites, link.Invites...)
	if res, err := c.mesh.Join(testContext(t), link, ""); err != nil || !res.InStep {
		t.Fatalf("%+v %v", res, err)
	}
}

func TestFailedKnocksAreRationed(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	link := a.invite(id, 1, time.Now().Add(-time.Minute))
	var err error
	for range DefaultLimits().LobbyTriesPerMin {
		if _, err = b.mesh.Join(testContext(t), link, ""); !errors.Is(err, team.ErrExpired) {
			t.Fatal(err)
		}
	}
	if _, err = b.mesh.Join(testContext(t), link, ""); !errors.Is(err, ErrAdmitterBusy) {
		t.Fatalf("after too many tries: %v", err)
	}
}

// TestAJoinThatWasCutShortGoesOn adopts the team and stops before anything of it has come.
func TestAJoinThatWasCutShortGoesOn(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	general := board.GeneralID(id)
	a.post(id, general, 100)
	link := a.invite(id, 1, time.Time{})
	reply, err := b.mesh.knock(testContext(t), id, link, 0)
	if err != nil || reply.Code != "" {
		t.Fatal(reply, err)
	}
	genesis, err := team.ParseObject(board.KindCharter, reply.Charter)
	if err != nil {
		t.Fatal(err)
	}
	a.stop()
	if err := b.store.AdoptTeam(testContext(t), id, genesis); err != nil {
		t.Fatal(err)
	}
	b.restart()
	a.start()
	eventually(t, "bob has the history", func() bool { return b.entries(general) == 100 && same(id, a, b) }, a, b)
}

// A node may close a connection for reasons of its own while somebody stands in its lobby: what was said is said again.
func TestAKnockWhoseConnectionIsClosedIsSaidAgain(t *testing.T) {
	a, b := newNode(t, "ada"), newNode(t, "bob")
	id := a.found("crew")
	h := a.mesh.host
	h.SetStreamHandler(protocolLobby, func(s network.Stream) {
		h.SetStreamHandler(protocolLobby, a.mesh.lobby.handle)
		s.Conn().Close()
	})
	if _, err := b.mesh.Join(testContext(t), a.invite(id, 1, time.Time{}), ""); err != nil {
		t.Fatal(err)
	}
}
