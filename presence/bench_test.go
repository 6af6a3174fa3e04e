package presence

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"weft/board"
)

// full is a table that watches 50,000 people of ten nodes in 50 teams of 1,000, and the beats that made it.
func full(people, teams, nodes int) (*Table, *world, []board.TeamID, []*Beat) {
	w := newWorld("watcher")
	t := w.tables["watcher"]
	var ids []board.TeamID
	var beats []*Beat
	for i := range teams {
		id := board.TeamID(testID(fmt.Sprint("team", i)))
		ids = append(ids, id)
		c := &crew{Where: map[board.UserID][]board.NodeID{}}
		for n := range nodes {
			node := board.NodeID(testID(fmt.Sprint("node", n)))
			c.Nodes = append(c.Nodes, node)
			b := &Beat{Team: id, Node: node, Boot: testBoot, Number: 1, Whole: true, Pages: 1, SentHLC: 1}
			var s sum
			for p := range people / teams / nodes {
				u := board.UserID(testID(fmt.Sprint(i, "/", n, "/", p)))
				c.Where[u] = []board.NodeID{node}
				r := Report{User: u, Availability: Online, Devices: []Device{{ID: DeviceID(u[:8]), State: Online}}, Since: w.now.UnixMilli(), LastActive: w.now.UnixMilli()}
				b.People = append(b.People, r)
				s = s.add(term(u, r.pack()))
			}
			b.Digest = s.bytes()
			beats = append(beats, b)
		}
		t.SetTeam(w.now, id, c)
	}
	for n := range nodes {
		t.Lease(w.now, testID(fmt.Sprint("node", n)), w.now.Add(time.Hour))
	}
	return t, w, ids, beats
}

var testBoot = [16]byte{1}

// BenchmarkTableMemory reports the bytes that a table of 50,000 people takes, all of them online.
func BenchmarkTableMemory(b *testing.B) {
	for _, shape := range []struct{ teams int }{{50}, {1}} {
		b.Run(fmt.Sprintf("50000-people-in-%d-teams", shape.teams), func(b *testing.B) {
			for b.Loop() {
				heap := func() uint64 {
					runtime.GC()
					runtime.GC()
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					return m.HeapAlloc
				}
				t, w, _, beats := full(50000, shape.teams, 10)
				before := heap()
				for _, x := range beats {
					if _, err := t.Receive(w.now, x); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric((float64(heap()-before)+50000*32)/1e6, "MB") // the list of members was there before
				if s := t.Stats(); s.Mismatches > 0 || s.Shown != 50000 {
					b.Fatalf("%+v", s)
				}
				runtime.KeepAlive(beats)
				runtime.KeepAlive(w)
			}
		})
	}
}

// BenchmarkChange is one person's change, from the beat that brings it; 100 a second of these are to be 2 % of a core, 200 µs each.
func BenchmarkChange(b *testing.B) {
	t, w, _, beats := full(50000, 50, 10)
	for _, x := range beats {
		if _, err := t.Receive(w.now, x); err != nil {
			b.Fatal(err)
		}
	}
	books := map[*Beat]uint64{}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		whole := beats[i%len(beats)]
		r := whole.People[i/len(beats)%len(whole.People)]
		was := r.pack()
		if r.Devices[0].State == Online {
			whole.People[i/len(beats)%len(whole.People)].Devices = []Device{{ID: r.Devices[0].ID, State: Away}}
		} else {
			whole.People[i/len(beats)%len(whole.People)].Devices = []Device{{ID: r.Devices[0].ID, State: Online}}
		}
		r = whole.People[i/len(beats)%len(whole.People)]
		books[whole]++
		bk := t.rooms[whole.Team].books[whole.Node]
		x := &Beat{Team: whole.Team, Node: whole.Node, Boot: testBoot, Number: 1 + books[whole], People: []Report{r}, SentHLC: 1}
		x.Digest = bk.sum.sub(term(r.User, was)).add(term(r.User, r.pack())).bytes()
		w.now = w.now.Add(10 * time.Millisecond)
		if _, err := t.Receive(w.now, x); err != nil {
			b.Fatal(err)
		}
		t.Tick(w.now)
		t.Wake()
		i++
	}
	if s := t.Stats(); s.Mismatches > 0 {
		b.Fatalf("%+v", s)
	}
}
