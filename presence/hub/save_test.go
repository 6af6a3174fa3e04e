package hub

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weft/board"
)

// After a crash whoever was online is shown as last active about when it happened, and whoever had left, as when they left.
func TestLastActiveAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		h, _ := start(t, "n", d, Limits{})
		id := board.TeamID(testID("crew"))
		h.join(id, people(3, "n"))
		if _, err := h.Attach(testID("p0"), testID("d"), ""); err != nil {
			t.Fatal(err)
		}
		s, err := h.Attach(testID("p1"), testID("d"), "")
		if err != nil {
			t.Fatal(err)
		}
		pass(7*time.Hour + 25*time.Minute)
		left := time.Now().UnixMilli()
		s.Close(true)
		pass(5*time.Minute + 30*time.Second)
		died := time.Now().UnixMilli()
		copied := d.copy() // what is on disk at a kill -9
		pass(time.Hour)
		h, stop := start(t, "n", copied, Limits{})
		defer stop()
		h.join(id, people(3, "n"))
		for name, want := range map[string]int64{"p0": died, "p1": left, "p2": 0} {
			p, _ := h.mu.table.Person(id, testID(name))
			if late := want - p.LastActive; late < 0 || late > time.Minute.Milliseconds() {
				t.Errorf("%s is shown as last active %v before it was so", name, time.Duration(late)*time.Millisecond)
			}
		}
	})
}

// A save that fails loses nothing: what it couldn't save is saved at the next time.
func TestAFailedSaveIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		var works atomic.Bool
		o := Options{Self: testID("n"), Load: d.load, Save: func(key string, value []byte) error {
			if !works.Load() {
				return context.DeadlineExceeded
			}
			return d.save(key, value)
		}}
		h, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = h.Run(t.Context()) }()
		id := board.TeamID(testID("crew"))
		h.join(id, people(1, "n"))
		if _, err := h.Attach(testID("p0"), testID("d"), ""); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Minute)
		works.Store(true)
		pass(2 * time.Minute)
		if len(d.rows[activeKey(id, 0)]) != 41 || len(d.rows[aliveKey]) != 8 {
			t.Errorf("on disk are %d keys", len(d.rows))
		}
	})
}

func (d *disk) copy() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &disk{rows: map[string][]byte{}}
	for k, v := range d.rows {
		c.rows[k] = v
	}
	return c
}
