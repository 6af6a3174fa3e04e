package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	weftv1 "weft/api/weft/v1"
)

// What people read are changes that they can see, each once, with whose doing it was.
func TestChangesOfPresenceInWords(t *testing.T) {
	var out bytes.Buffer
	n := newPresenceNews(newApp(nil, &out, &out), map[string]string{})
	ada := func(state string) *weftv1.PersonPresence {
		return &weftv1.PersonPresence{UserId: "ada1", Name: "Ada", State: state, Devices: 1}
	}
	two := ada("online")
	two.Devices = 2
	meeting := ada("busy")
	meeting.Status = "a\x1b[2Jb"
	snapshot := &weftv1.PresenceWatchResponse{Snapshot: []*weftv1.TeamPresence{{TeamId: "t1", Team: "crew", People: []*weftv1.PersonPresence{ada("online")}}}}
	if err := n.show(snapshot); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		change *weftv1.PresenceChange
		want   string // without the time; empty: nothing
	}{
		{&weftv1.PresenceChange{Person: ada("online"), Was: "online", Cause: "set"}, ""},
		{&weftv1.PresenceChange{Person: meeting, Was: "online", Cause: "set"}, `crew  Ada is busy: a\x1b[2Jb`},
		{&weftv1.PresenceChange{Person: meeting, Was: "busy", Cause: "set"}, ""},
		{&weftv1.PresenceChange{Person: ada("online"), Was: "busy", Cause: "expired"}, "crew  Ada is online (their node was not heard for too long)"},
		{&weftv1.PresenceChange{Person: two, Was: "online", Cause: "session"}, "crew  Ada is online, 2 devices"},
		{&weftv1.PresenceChange{Person: ada("online"), Was: "online", Cause: "node_dead"}, "crew  Ada is online (one of their nodes doesn't answer)"},
		{&weftv1.PresenceChange{Person: ada("offline"), Was: "online", Cause: "node_left"}, "crew  Ada is offline (their node stopped)"},
		{&weftv1.PresenceChange{Person: &weftv1.PersonPresence{UserId: "ada1", Name: "Ada"}, Was: "offline", Cause: "team"}, "crew  Ada is out of the team"},
		{&weftv1.PresenceChange{Person: ada("offline"), Was: "offline", Cause: "team"}, "crew  Ada is offline (new in the team, or in it again)"},
		{&weftv1.PresenceChange{Person: ada("online"), Was: "offline", Cause: "node_back"}, "crew  Ada is online (their node is back)"},
	} {
		out.Reset()
		step.change.TeamId = "t1"
		if err := n.show(&weftv1.PresenceWatchResponse{Changes: []*weftv1.PresenceChange{step.change}}); err != nil {
			t.Fatal(err)
		}
		_, got, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), " ")
		if got != step.want {
			t.Errorf("%v:\n got %q\nwant %q", step.change, got, step.want)
		}
	}
}

func TestLiveMessagesInWords(t *testing.T) {
	for want, m := range map[string]liveOut{
		"says: hi":                             {Text: "hi"},
		"says to you: hi\n    12:00 forged":    {Text: "hi\n12:00 forged", Direct: true},
		"says":                                 {},
		"is typing":                            {Type: kindTyping, Kind: kindTyping},
		"sends call to you: phone?":            {Kind: "call", Text: "phone?", Direct: true},
		"sends cursor":                         {Kind: "cursor"},
		"sends 4 bytes that aren't text":       {Body: []byte("caf\xe9")},
		"sends to you 1 byte that aren't text": {Body: []byte("\xe9"), Direct: true},
		`sends \x1b[2J to you: 1 byte that aren't text`: {Kind: "\x1b[2J", Body: []byte("\xe9"), Direct: true},
	} {
		if got := m.words(); got != want {
			t.Errorf("%+v:\n got %q\nwant %q", m, got, want)
		}
	}
}

func TestLittleTimeIsNotNone(t *testing.T) {
	for d, want := range map[time.Duration]uint64{0: 0, 1: 1, time.Millisecond: 1, 1500 * time.Microsecond: 2, time.Hour: 3_600_000} {
		if got, err := until(d); got != want || err != nil {
			t.Errorf("%s: %d ms, %v; want %d", d, got, err, want)
		}
	}
}

// A variable that is empty in a script must not set for all teams what was meant for one, nor say nothing.
func TestEmptyWordsAreWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"presence", "set", "online", "--team", ""}, {"presence", "set", "--clear", "--team", ""}, {"presence", "set", "--status", "x"}, {"presence", "set", "--for", "1h"},
		{"presence", "idle", "--over", "--for", "5m"}, {"presence", "idle", "--for", "-5m"},
		{"say", "crew", ""}, {"say", "crew", "", "--kind", ""}, {"say", "crew"},
	} {
		var out, errs bytes.Buffer
		if code := newApp(nil, &out, &errs).run(context.Background(), append([]string{"--dir", t.TempDir()}, args...)); code != exitUsage || out.Len() > 0 {
			t.Errorf("%q: status %d, %s", args, code, errs.String())
		}
	}
}
