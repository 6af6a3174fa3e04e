package rpc

import (
	"fmt"
	"testing"
	"time"

	"weft/board"
	"weft/presence"
	"weft/presence/hub"
	"weft/store"
	"weft/team"
)

// wired is a service over a store with one team, for what needs no connection.
func wired(t *testing.T) (*presenceService, board.TeamID, board.UserID) {
	t.Helper()
	node := board.NewKey([32]byte{1})
	who, err := team.NewUser("ada", board.NewKey([32]byte{2}), board.NewKey([32]byte{3}), node, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Node: node, Users: []board.UserID{who.User}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	id, objects, err := team.NewTeam(who, "crew", nil, [16]byte{2})
	if err == nil {
		err = st.AdoptTeam(t.Context(), id, objects[0])
	}
	for _, o := range objects {
		if err == nil {
			_, err = st.AppendObject(t.Context(), id, o)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return &presenceService{&service{Options: Options{Store: st, Identity: who, Node: node.Public()}}}, id, who.User
}

// However much a reader has to be told at once, it comes in messages of a bearable size, each thing once, and in the order in
// which it is to be applied: teams that are gone, snapshots, changes, counts.
func TestWhatAReaderHasMissedComesInSeveralMessages(t *testing.T) {
	s, id, ada := wired(t)
	b := hub.WatchBatch{Gone: []board.TeamID{{9}}, Skipped: 7, Counts: []hub.TeamView{{Team: id, Counts: presence.Counts{Online: 3}, CountsOnly: true}}}
	for i := range 3 {
		v := hub.TeamView{Team: id}
		for range 400 * (i + 1) {
			v.People = append(v.People, presence.Person{User: ada})
		}
		b.Snapshot = append(b.Snapshot, v)
	}
	for i := range 2*snapshotPeople + 5 {
		b.Changes = append(b.Changes, presence.Change{Team: id, Person: presence.Person{User: ada, Status: fmt.Sprint(i)}})
	}
	out := s.wireBatch(&b, false, true)
	gone, people, changes, counts, skipped := 0, 0, 0, 0, 0
	for i, m := range out {
		for _, v := range m.Snapshot {
			people += len(v.People)
			if changes > 0 {
				t.Errorf("message %d has a snapshot after changes", i)
			}
		}
		for _, c := range m.Changes {
			if c.Person.Status != fmt.Sprint(changes) {
				t.Fatalf("change %d is %q", changes, c.Person.Status)
			}
			changes++
		}
		if len(m.Changes) > snapshotPeople || len(m.Snapshot) > 1 && people > 2*snapshotPeople {
			t.Errorf("message %d has %d changes", i, len(m.Changes))
		}
		gone, counts, skipped = gone+len(m.TeamsGone), counts+len(m.Counts), skipped+int(m.Skipped)
	}
	if gone != 1 || len(out[0].TeamsGone) != 1 || people != 2400 || changes != 2005 || counts != 1 || skipped != 7 {
		t.Errorf("in %d messages: %d teams gone, %d people, %d changes, %d counts, %d skipped", len(out), gone, people, changes, counts, skipped)
	}
	if last := out[len(out)-1]; len(last.Counts) != 1 || last.Counts[0].Counts.Online != 3 || last.Counts[0].Team != "crew" || !last.Counts[0].CountsOnly {
		t.Errorf("the last message is %v", last)
	}
	if first := s.wireBatch(&hub.WatchBatch{}, false, true); len(first) != 1 {
		t.Errorf("a stream about nobody begins with %d messages", len(first))
	}
	if next := s.wireBatch(&hub.WatchBatch{}, false, false); len(next) != 0 {
		t.Errorf("nothing is said in %d messages", len(next))
	}
}

// Who is out of a team keeps a name in it and no state.
func TestWhoIsOutOfTheTeamHasNoState(t *testing.T) {
	s, id, ada := wired(t)
	stranger := presence.Person{User: board.UserID{5}, State: presence.Online, Status: "secret", Devices: []presence.PersonDevice{{}}}
	out := s.wireChanges([]presence.Change{
		{Team: id, Person: stranger, Cause: presence.CauseTeam}, {Team: id, Person: presence.Person{User: ada, State: presence.Online}, Cause: presence.CauseTeam},
		{Team: board.TeamID{9}, Person: stranger},
	}, true)
	if len(out) != 2 || out[0].Person.State != "" || out[0].Person.Status != "" || len(out[0].Person.ShownDevices) != 0 || out[1].Person.State != "online" {
		t.Errorf("changes of the team: %v", out)
	}
}

// A device that is at two homes at once, as after a move, is one device.
func TestADeviceAtTwoHomesIsOne(t *testing.T) {
	s, id, ada := wired(t)
	st, _ := s.Store.Team(id)
	p := presence.Person{User: ada, State: presence.Online, Since: 50, LastActive: 20}
	for n := range 2 {
		p.Devices = append(p.Devices, presence.PersonDevice{Device: presence.Device{ID: presence.DeviceID{1}, State: presence.Online}, Node: board.NodeID{byte(n)}})
	}
	if got := s.wirePerson(st, &p, true); got.Devices != 1 || len(got.ShownDevices) != 2 || got.LastActiveMs != 50 {
		t.Errorf("shown as %v", got)
	}
	p.Devices[0].State, p.Devices[1].State = presence.Away, presence.Away
	if got := s.wirePerson(st, &p, false); got.Devices != 1 || len(got.ShownDevices) != 0 || got.LastActiveMs != 20 {
		t.Errorf("idle, shown as %v", got)
	}
}
