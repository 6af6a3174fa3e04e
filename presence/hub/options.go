package hub

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// Options of a Hub. Load and Save keep small values by key; Save must not call the hub back, is never called by two
// goroutines at once, and may block.
type Options struct {
	Self       board.NodeID
	Boot       [16]byte // of this start; the mesh says the same
	Now        func() time.Time
	Clock      func() board.HLC // a new stamp
	Log        *slog.Logger
	Registerer prometheus.Registerer                // nil: no metrics
	Load       func(key string) ([]byte, error)     // nil value: never saved
	Save       func(key string, value []byte) error // nil value: erase
	Off        bool                                 // nothing is said of this node's own people
	Limits     Limits
}

// Limits of a Hub; zero fields mean the usual ones.
type Limits struct {
	Sessions     int       // at once
	UserSessions int       // of one user
	Watchers     int       // at once
	Listeners    int       // at once
	Live         LiveLimit // of live messages that are said here; of what comes from elsewhere each device may say as much
}

var usualLimits = Limits{Sessions: 20000, UserSessions: 64, Watchers: 4096, Listeners: 4096, Live: usualLive}

func (l Limits) orUsual() Limits {
	u := usualLimits
	for _, x := range []struct{ of, usual *int }{{&l.Sessions, &u.Sessions}, {&l.UserSessions, &u.UserSessions}, {&l.Watchers, &u.Watchers}, {&l.Listeners, &u.Listeners}} {
		if *x.of == 0 {
			*x.of = *x.usual
		}
	}
	if l.Live == (LiveLimit{}) {
		l.Live = u.Live
	}
	return l
}

// Wire carries things to other nodes. Its methods never call the hub, and none but SendLive waits.
type Wire interface {
	// SendBeat signs a beat and gives it to the nodes of its team.
	SendBeat(team board.TeamID, b *weftv1.PresenceBeat)
	// AskWhole asks a node, or who may know, for all that the node says in teams.
	AskWhole(node board.NodeID, teams []board.TeamID)
	// SendLive gives a signed LiveBatch to nodes or, without any, to the whole team. It waits a moment for those that are
	// behind, and says how many have it now and how many should, and can't.
	SendLive(ctx context.Context, team board.TeamID, nodes []board.NodeID, signed *weftv1.Signed) (sent, missed int, err error)
	// SendSetting tells other homes of a person what they have set.
	SendSetting(nodes []board.NodeID, s *weftv1.OwnSetting)
}
