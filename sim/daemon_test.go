package sim_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/client"
	"weft/sim"
	"weft/sim/check"
)

// crew is three whole daemons in one team, made through the API.
type crew struct {
	*check.Checker
	t       *testing.T
	net     *sim.Net
	daemons []*sim.Daemon
	users   []string
	board   string
	posted  []uint64
}

func newCrew(t *testing.T, seed uint64) *crew {
	t.Helper()
	c := &crew{Checker: check.New(), t: t, net: sim.NewNet(t, seed), posted: make([]uint64, 3)}
	var link string
	for i, name := range []string{"ann", "bob", "cid"} {
		d := sim.StartDaemon(t, c.net, sim.Host(i), name, nil)
		c.daemons = append(c.daemons, d)
		info, err := d.Nodes.GetInfo(t.Context(), connect.NewRequest(&weftv1.GetInfoRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		c.users = append(c.users, info.Msg.UserId)
		if i > 0 {
			if _, err := d.Teams.Join(t.Context(), connect.NewRequest(&weftv1.JoinTeamRequest{Link: link})); err != nil {
				t.Fatalf("%s couldn't join: %v", name, err)
			}
			continue
		}
		made, err := d.Teams.CreateTeam(t.Context(), connect.NewRequest(&weftv1.CreateTeamRequest{Name: "crew"}))
		if err != nil {
			t.Fatal(err)
		}
		c.board = made.Msg.GeneralBoardId
		invited, err := d.Teams.CreateInvite(t.Context(), connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew", Uses: 2}))
		if err != nil {
			t.Fatal(err)
		}
		link = invited.Msg.Link
	}
	return c
}

// post writes entries through the API, one after the other.
func (c *crew) post(at, count int) {
	c.t.Helper()
	d := c.daemons[at]
	for range count {
		c.posted[at]++
		n := c.posted[at]
		p := check.Post{
			Board: c.board, Author: c.users[at], MsgID: fmt.Sprintf("%s-%d", d.Name, n), Text: fmt.Sprintf("%d of %s", n, d.Name),
			Sender: d.Name, Seq: n,
		}
		c.Attempt(p)
		r, err := d.Post(c.t.Context(), client.Post{Team: "crew", Text: p.Text, ClientMsgID: p.MsgID})
		if err != nil {
			c.t.Fatalf("%s couldn't post: %v", d.Name, err)
		}
		c.Acked(p, check.Ack{Node: d.Name, Entry: r.EntryId, Origin: r.Origin, Seq: r.Seq})
	}
}

// read follows the board at a daemon by Sync until ctx ends.
func (c *crew) read(ctx context.Context, at int) *check.Reader {
	d := c.daemons[at]
	r := c.Reader("the reader at "+d.Name, d.Name)
	go func() {
		for batch, err := range d.Sync(ctx, client.SyncOptions{View: weftv1.EntryView_ENTRY_VIEW_SIGNED}) {
			if err != nil {
				c.t.Errorf("%s's stream broke: %v", d.Name, err)
				return
			}
			for _, e := range batch.Events {
				if s := e.GetShown(); s != nil {
					r.Saw(s.BoardId, c.seen(s.Entry, s.Late))
				} else if h := e.GetHidden(); h != nil {
					r.Hid(h.BoardId, h.EntryId)
				}
			}
		}
	}()
	return r
}

func (c *crew) seen(e *weftv1.Entry, late bool) check.Seen {
	h, err := board.ParseHeader(e.Header)
	if err != nil {
		c.t.Errorf("an entry that can't be read: %v", err)
		return check.Seen{}
	}
	return check.Seen{
		Entry: e.EntryId, Author: h.Author.String(), MsgID: h.ClientMsgID, Text: string(e.Body), Late: late,
		Device: h.Device.String(), DevEpoch: h.DevEpoch, DevSeq: h.DevSeq, HLC: uint64(h.HLC), Counts: h.Kind.Counts(),
	}
}

// list is the whole board at a daemon, by pages.
func (c *crew) list(at int) {
	c.t.Helper()
	d, since := c.daemons[at], c.Now()
	var all []check.Seen
	for before := ""; ; {
		page, err := d.Boards.History(c.t.Context(), connect.NewRequest(&weftv1.HistoryRequest{
			Team: "crew", Before: before, Limit: 30, View: weftv1.EntryView_ENTRY_VIEW_SIGNED,
		}))
		if err != nil {
			c.t.Fatalf("%s couldn't show its history: %v", d.Name, err)
		}
		var seen []check.Seen
		for _, e := range page.Msg.Entries {
			seen = append(seen, c.seen(e, false))
		}
		all = append(seen, all...)
		if before = page.Msg.Before; before == "" {
			break
		}
	}
	c.List(d.Name, c.board, since, all)
	hash, err := d.Nodes.BoardHash(c.t.Context(), connect.NewRequest(&weftv1.BoardHashRequest{Team: "crew"}))
	if err != nil || hash.Msg.Entries != uint64(len(all)) {
		c.t.Fatalf("%s: hash over %d entries of %d (%v)", d.Name, hash.Msg.GetEntries(), len(all), err)
	}
	c.Hash(d.Name, c.board, hash.Msg.Hash)
	for i := range all {
		all[i].Own = all[i].Author == c.users[at]
	}
	unread, err := d.Boards.Unread(c.t.Context(), connect.NewRequest(&weftv1.UnreadRequest{Team: "crew"}))
	if err != nil || len(unread.Msg.Boards) != 1 {
		c.t.Fatalf("%s couldn't count unread: %v", d.Name, err)
	}
	c.Unread(d.Name, c.users[at], c.board, unread.Msg.Boards[0].Unread, all)
}

// TestWholeDaemonsThroughTheirAPI does through the API of three whole daemons what people do, with a partition and a
// restart in between: streams resume by cursor and show everything once and in order.
func TestWholeDaemonsThroughTheirAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 21)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var readers []*check.Reader
		for at := range c.daemons {
			readers = append(readers, c.read(ctx, at))
		}
		synctest.Wait() // all streams are at the end of an empty board
		c.post(0, 20)
		c.net.Partition([]sim.Host{0}, []sim.Host{1, 2})
		c.post(0, 20)
		c.post(1, 20)
		time.Sleep(time.Minute)
		c.net.Heal()
		c.daemons[1].Stop()
		c.post(2, 20)
		time.Sleep(30 * time.Second)
		c.daemons[1].Start()
		c.post(1, 10)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for at := range c.daemons {
			c.list(at)
			readers[at].Complete(c.board)
		}
		c.Settle("ann", "bob", "cid")
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
		if r := c.Report(); r.Acked != 90 || r.Visible != 90 {
			t.Fatalf("report %+v", r)
		}
	})
}
