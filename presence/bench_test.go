package presence

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"weft/board"
)

// full is a table that watches people of some nodes, each in so many of the teams, and the beats that made it.
func full(people, teams, each, nodes int) (*Table, *world, []board.TeamID, []*Beat) {
	w := newWorld("watcher")
	t := w.tables["watcher"]
	ids, crews := make([]board.TeamID, teams), make([]*crew, teams)
	beats, sums := make([]*Beat, teams*nodes), make([]sum, teams*nodes)
	for i := range ids {
		ids[i], crews[i] = testID(fmt.Sprint("team", i)), &crew{Where: map[board.UserID][]board.NodeID{}}
		for n := range nodes {
			node := board.NodeID(testID(fmt.Sprint("node", n)))
			crews[i].Nodes = append(crews[i].Nodes, node)
			beats[i*nodes+n] = &Beat{Team: ids[i], Node: node, Boot: testBoot, Number: 1, Whole: true, Pages: 1, SentHLC: 1}
		}
	}
	for p := range people {
		u, n := board.UserID(testID(fmt.Sprint("person", p))), p%nodes
		r := Report{User: u, Availability: Online, Devices: []Device{{ID: DeviceID(u[:8]), State: Online}}, Since: w.now.UnixMilli(), LastActive: w.now.UnixMilli()}
		for k := range each {
			i := (p/nodes + k) % teams
			crews[i].Where[u] = []board.NodeID{crews[i].Nodes[n]}
			b := i*nodes + n
			beats[b].People, sums[b] = append(beats[b].People, r), sums[b].add(term(u, r.pack()))
		}
	}
	for i := range ids {
		for n := range nodes {
			beats[i*nodes+n].Digest = sums[i*nodes+n].bytes()
		}
		t.SetTeam(w.now, ids[i], crews[i])
	}
	for n := range nodes {
		t.Lease(w.now, testID(fmt.Sprint("node", n)), w.now.Add(time.Hour))
	}
	return t, w, ids, beats
}

var testBoot = [16]byte{1}

// BenchmarkTableMemory reports the bytes that a table takes in which all people are online.
func BenchmarkTableMemory(b *testing.B) {
	for _, shape := range []struct{ people, teams, each int }{{50_000, 50, 1}, {50_000, 1, 1}, {50_000, 500, 10}, {5_000, 50, 10}} {
		b.Run(fmt.Sprintf("%d-people-in-%d-teams-%d-each", shape.people, shape.teams, shape.each), func(b *testing.B) {
			for b.Loop() {
				heap := func() uint64 {
					runtime.GC()
					runtime.GC()
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					return m.HeapAlloc
				}
				t, w, _, beats := full(shape.people, shape.teams, shape.each, 10)
				before := heap()
				for _, x := range beats {
					if _, err := t.Receive(w.now, x); err != nil {
						b.Fatal(err)
					}
				}
				seats := shape.people * shape.each
				b.ReportMetric((float64(heap()-before)+float64(seats*32))/1e6, "MB") // the list of members was there before
				if s := t.Stats(); s.Mismatches > 0 || s.Shown != uint64(seats) {
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
	t, w, _, beats := full(50000, 50, 1, 10)
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
