package trust

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// identity WHO [after=VERSION] [add=u/3] [remove=u/1] [homes=n2,…] signed=KEY: a version of a person's charter, told to
// nobody.
func (s *script) identity() {
	a := s.person(s.word(0))
	base := s.versions[s.value("after", a.name+"1")]
	m := proto.Clone(base.UserCharter).(*weftv1.UserCharter)
	m.User, m.Ver, m.Prev, m.Nonce = a.id[:], base.Ver+1, base.hash[:], s.w.fresh()
	for _, n := range s.list("remove") {
		m.Keys = slices.DeleteFunc(m.Keys, func(b []byte) bool { return bytes.Equal(b, bytesOf(keyOf(n))) })
	}
	for _, n := range s.list("put") { // in the place of the first device
		k := keyOf(n)
		a.keys[k.Public()] = k
		m.Keys = slices.Insert(m.Keys, 1, bytesOf(k))
	}
	for _, n := range s.list("add") {
		k := keyOf(n)
		a.keys[k.Public()] = k
		m.Keys = append(m.Keys, bytesOf(k))
	}
	if homes := s.list("homes"); len(homes) > 0 {
		m.Homes = nil
		for _, n := range homes {
			m.Homes = append(m.Homes, s.node(n).node[:])
		}
	}
	s.versions[s.name] = a.sign(m, keyOf(s.value("signed", a.name+"/1")), base)
}

// present WHO VERSION [with=KEY] [cut=NODE|none] [only=DEVICE] [about=DEVICE] [over=…] [declined]: shows a version, with a cut for each device that is gone since the first.
func (s *script) present() {
	a, v := s.person(s.word(0)), s.versions[s.word(1)]
	if v == nil {
		s.fail("no version %s", s.word(1))
	}
	p := &weftv1.Present{Charters: v.run(64), Parents: s.hashes("over")}
	for _, n := range v.Homes {
		if !s.has("declined") {
			p.Acceptances = append(p.Acceptances, s.w.accept(a, n))
		}
	}
	for _, n := range s.list("about") {
		p.Cuts = append(p.Cuts, &weftv1.DeviceCut{Device: bytesOf(keyOf(n)), Cut: s.cut(s.at().name, func(r *replica) *weftv1.Cut { return r.cutDevice(bytesOf(keyOf(n))) })})
	}
	gone := map[string]bool{}
	for at := v; at.prev != nil; at = at.prev {
		for _, k := range at.prev.Keys {
			if (&userCharter{UserCharter: v.UserCharter}).index(key(k)) < 0 && !gone[string(k)] && (s.values["only"] == "" || slices.Contains(s.list("only"), s.w.device(k))) {
				gone[string(k)] = true
				p.Cuts = append(p.Cuts, &weftv1.DeviceCut{Device: k, Cut: s.cut(s.at().name, func(r *replica) *weftv1.Cut { return r.cutDevice(k) })})
			}
		}
	}
	s.operate(a.id[:], s.hand(a), &weftv1.Operation{Kind: &weftv1.Operation_Present{Present: p}})
}

// post WHO [cred=NAME] [with=DEVICE] [on=BOARD] [prev=ENTRY] [early] [team=other]
func (s *script) post() {
	a, w := s.person(s.word(0)), s.w
	w.clock++
	h := board.Header{Team: w.team, Board: board.GeneralID(w.team), Author: a.id, Device: board.DeviceID(s.hand(a).Public()), DevSeq: 1, ClientMsgID: "m",
		HLC: board.HLC(w.clock << 16), Kind: board.KindPost, Cred: s.hash(s.value("cred", ""))}
	if b := s.value("on", ""); s.objects[b] != nil {
		h.Board = board.OperationBoardID(s.objects[b].Raw)
	} else if b != "" {
		h.Board = board.ID{1}
	}
	if p := s.entries[s.value("prev", "")]; p != nil {
		h.DevSeq, h.DevPrev = p.Header.DevSeq+1, p.ID
		if s.has("early") {
			h.HLC = p.Header.HLC
		}
	}
	if s.value("team", "") == "other" {
		h.Team[0]++
	}
	e := board.NewEntry(h, []byte("hello"))
	s.entries[s.name], w.names[e.ID] = e, s.name
	s.records[s.name] = w.record(s.at(), e)
}

// double NODE THING…: the node records each of these under one number.
func (s *script) double() {
	r := s.node(s.word(0))
	var below *Held
	for i, n := range s.words[1:] {
		e := s.entryNamed(r, n)
		if i == 0 {
			below = r.tips[e.Header.Board]
		}
		r.tips[e.Header.Board] = below
		h := s.w.record(r, e)
		s.w.place[h.Hash] += string(rune('a' + i))
		s.records[n+"@"+r.name] = h
	}
}

// entryNamed is the entry, or the object's entry, with a name.
func (s *script) entryNamed(r *replica, n string) *board.Entry {
	if e := s.entries[n]; e != nil {
		return e
	}
	return s.w.entryOf(r, s.object(n))
}

// proof WHO RECORD RECORD: records are named after what they carry, with @NODE for those by double and again.
func (s *script) proof() {
	a, one, two := s.person(s.word(0)), s.records[s.word(1)], s.records[s.word(2)]
	if one == nil || two == nil {
		s.fail("no such record")
	}
	p := &weftv1.ForkProof{RecordA: one.Record.Append(nil), RecordB: two.Record.Append(nil)}
	for _, r := range s.w.replicas {
		if r.node == one.Record.Node {
			x, y := board.SignHead(r.key, one.Record.Position()), board.SignHead(r.key, two.Record.Position())
			p.HeadSignatureA, p.HeadSignatureB = x[:], y[:]
		}
	}
	s.operate(a.id[:], s.hand(a), &weftv1.Operation{Kind: &weftv1.Operation_Fork{Fork: p}})
}

// floor RECORD [admin=WHO] [by=NODE]
func (s *script) floor() {
	at := s.records[s.word(0)].Record.Position()
	m := &weftv1.Operation{Kind: &weftv1.Operation_Floor{Floor: &weftv1.Floor{Position: at.Wire()}}}
	if n := s.value("admin", ""); n != "" {
		a := s.person(n)
		s.operate(a.id[:], s.hand(a), m)
		return
	}
	by := s.node(s.value("by", s.at().name))
	k := by.key
	if s.values["with"] != "" {
		k = keyOf(s.values["with"])
	}
	s.operate(by.node[:], k, m)
}

func (s *script) backup() { r := s.node(s.word(0)); r.snap = len(r.order) }

// restore NODE: its folder is what it was at the backup.
func (s *script) restore() { r := s.node(s.word(0)); s.w.cutBack(r, r.snap) }

// clone NODE as=NAME: a copy of the folder that runs, too.
func (s *script) clone() {
	from := s.node(s.word(0))
	r := s.w.newReplica(s.value("as", ""), from.key)
	for _, h := range from.order {
		r.take(h)
	}
	s.w.cutBack(r, len(r.order))
}

// sync A B, or all of them.
func (s *script) sync() {
	names := s.words
	if len(names) == 0 {
		for _, r := range s.w.replicas {
			names = append(names, r.name)
		}
	}
	for range 2 {
		for _, n := range names[1:] {
			s.w.sync(s.node(names[0]), s.node(n), nil)
		}
	}
}

// again THING: the node records it (again) in its own log.
func (s *script) again() {
	n, r := s.word(0), s.at()
	s.records[n+"@"+r.name] = s.w.record(r, s.entryNamed(r, n))
}

// rerecord NODE: it records what it holds and no counting record carries, as good nodes do.
func (s *script) rerecord() {
	r := s.node(s.word(0))
	all := s.w.ordered(r)
	st := Evaluate(s.w.team, all)
	carried, n := map[board.Hash]bool{}, 0
	for _, h := range all {
		carried[h.Entry.ID] = carried[h.Entry.ID] || st.Counting[h.Hash]
	}
	for _, h := range all {
		if !carried[h.Entry.ID] {
			carried[h.Entry.ID] = true
			s.w.record(r, h.Entry)
			n++
		}
	}
	fmt.Fprintf(s.out, "%s re-records %d\n", r.name, n)
}

// tip NODE RECORD|start: a bad node goes on from there, in a new epoch.
func (s *script) tip() {
	r := s.node(s.word(0))
	s.w.restart(r)
	if s.word(1) == "start" {
		clear(r.tips)
		return
	}
	h := s.records[s.word(1)]
	r.tips[h.Record.Board] = h
}
