package daemon

import (
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
)

func TestDoctorTellsGoodFromBad(t *testing.T) {
	dir := t.TempDir()
	low, high := filepath.Join(dir, "low"), filepath.Join(dir, "high")
	write(t, dir, "low", "212992\n")
	write(t, dir, "high", "7340032\n")
	poor := DefaultConfig()
	poor.Dir, poor.MinFree = dir, 1<<60
	rich := poor
	rich.MinFree = 1
	for name, c := range map[string]struct {
		got  *weftv1.DoctorCheck
		want string
	}{
		"small UDP buffers":    {checkUDPBuffer(low, "net.core.rmem_max"), levelWarn},
		"large UDP buffers":    {checkUDPBuffer(high, "net.core.rmem_max"), levelOK},
		"no such sysctl":       {checkUDPBuffer(filepath.Join(dir, "none"), "x"), levelOK},
		"no space":             {checkDisk(poor), levelFail},
		"space":                {checkDisk(rich), levelOK},
		"clock of 1970":        {checkClock(time.Unix(1000, 0)), levelFail},
		"clock of today":       {checkClock(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)), levelOK},
		"an hour ahead":        {checkSkew(-time.Hour, 3), levelFail},
		"seconds behind":       {checkSkew(5*time.Second, 1), levelWarn},
		"in step":              {checkSkew(20*time.Millisecond, 5), levelOK},
		"alone":                {checkSkew(0, 0), levelOK},
		"no port":              {checkListen(nil), levelFail},
		"TCP only":             {checkListen([]string{"/ip4/1.2.3.4/tcp/1/p2p/x"}), levelWarn},
		"both":                 {checkListen([]string{"/ip4/1.2.3.4/tcp/1/p2p/x", "/ip4/1.2.3.4/udp/1/quic-v1/p2p/x"}), levelOK},
		"no socket":            {checkSocket(filepath.Join(dir, "none")), levelFail},
		"store failed":         {checkStore(store.Status{Failed: "disk"}), levelFail},
		"store damaged":        {checkStore(store.Status{Damaged: 1}), levelWarn},
		"store short":          {checkStore(store.Status{Short: "tail"}), levelWarn},
		"store full":           {checkStore(store.Status{Full: true}), levelFail},
		"store well":           {checkStore(store.Status{}), levelOK},
		"no recovery key made": {checkRecoveryKey(dir), levelOK},
	} {
		if c.got.Level != c.want {
			t.Errorf("%s: %s (%s)", name, c.got.Level, c.got.Found)
		}
		if c.got.Level != levelOK && c.got.Advice == "" {
			t.Errorf("%s: says no more than that something is wrong", name)
		}
	}
}

func TestDoctorRemindsOfTheRecoveryKey(t *testing.T) {
	dir := t.TempDir()
	if _, err := loadIdentity(dir, "Ada"); err != nil {
		t.Fatal(err)
	}
	if c := checkRecoveryKey(dir); c.Level != levelWarn {
		t.Errorf("before: %s", c.Level)
	}
	if _, err := takeRecoveryKey(dir); err != nil {
		t.Fatal(err)
	}
	if c := checkRecoveryKey(dir); c.Level != levelOK {
		t.Errorf("after: %s", c.Level)
	}
}

// TestTeamsThatAreBeingFetchedAreNamed: of a team whose charter is not here there is no name, but it is said which it is.
func TestTeamsThatAreBeingFetchedAreNamed(t *testing.T) {
	d := start(t, testConfig(t, "ada", io.Discard))
	if c := checkTeams(d.store); c.Level != levelOK {
		t.Errorf("without teams: %v", c)
	}
	lost := board.TeamID{7, 8, 9}
	if err := d.store.AdoptTeam(t.Context(), lost, nil); err != nil {
		t.Fatal(err)
	}
	if c := checkTeams(d.store); c.Level != levelWarn || !strings.Contains(c.Found, lost.String()) {
		t.Errorf("with a team of which nothing is here: %v", c)
	}
	if got := d.Info().FetchingTeams; len(got) != 1 || got[0] != lost.String() {
		t.Errorf("status names %q", got)
	}
}
