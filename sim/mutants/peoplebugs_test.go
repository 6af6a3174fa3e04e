package mutants

// peopleBugs are of who is shown as there, of who is thought to run, and of what is said to whoever is there.
var peopleBugs = []bug{
	{
		name: "let what a silent node vouched for count for ever",
		file: "presence/nodes.go",
		old:  "\t\tif n.leased && n.lease <= t.now {\n",
		new:  "\t\tif n.leased && n.lease < 0 {\n",

		tests: "TestTranscripts", packages: []string{"./presence"},
	},
	{
		name: "do not mind a digest of people that does not fit",
		file: "presence/book.go",
		old:  "return b.number == b.top && b.sum.bytes() == b.digest",
		new:  "return b.number == b.top",

		tests: ".", packages: []string{"./presence"}, rapid: true,
	},
	{
		name: "do not ask for beats that are missing",
		file: "presence/receive.go",
		old:  "\t\tt.ask(bk, t.now+gapPatience.Milliseconds())\n",
		new:  "",

		tests: "TestTranscripts", packages: []string{"./presence"},
	},
	{
		name: "keep the people of who said goodbye",
		file: "presence/nodes.go",
		old:  "n.lives() && (h.State == NodeDead || h.State == NodeLeft)",
		new:  "n.lives() && h.State == NodeDead",

		tests: "TestTranscripts", packages: []string{"./presence"},
	},
	{
		name: "take a goodbye for a word like any other",
		file: "presence/detect/word.go",
		old:  "\tp.doubters = nil\n\tif w.Goodbye {\n",
		new:  "\tp.doubters = nil\n\tif false {\n",

		tests: "TestTranscripts|TestAGoodbyeIsNoDeath", packages: []string{"./presence/detect"},
	},
	{
		name: "have a node die by the word of others alone",
		file: "presence/detect/suspect.go",
		old:  "\td.set(p, Suspected)\n\tif p.check == nil {\n\t\td.startCheck(p)\n",
		new:  "\td.set(p, Suspected)\n\tp.own = true\n\tif false {\n",

		tests: "TestALiarKillsNobody|TestTranscripts", packages: []string{"./presence/detect"},
	},
	{
		name: "give who is suspected no time to answer",
		file: "presence/detect/check.go",
		old:  "\tif p.state == Suspected && p.own && d.isDue(d.until(p))",
		new:  "\tif p.state == Suspected && p.own",

		tests: "TestTranscripts|TestLossKillsNobody", packages: []string{"./presence/detect"},
	},
	{
		name: "take an old word for a new one",
		file: "presence/detect/word.go",
		old:  "\t\tc = w.Compare(p.word)\n",
		new:  "\t\tc = 1\n",

		tests: "TestTranscripts", packages: []string{"./presence/detect"},
	},
	{
		name: "hold a node for alive since others say so",
		file: "presence/detect/check.go",
		old:  "case d.c.Proof == nil || !d.c.Proof(p.id, ev.ID, ev.Proof):\n",
		new:  "case false:\n",

		tests: "TestALiarKillsNobody|TestAFalseWitness", packages: []string{"./presence/detect"},
	},
	{
		name: "do not answer a suspicion of this node",
		file: "presence/detect/suspect.go",
		old:  "\t\td.own.Incarnation++\n\t\td.sayAlive()\n",
		new:  "",

		tests: "TestTranscripts", packages: []string{"./presence/detect"},
	},
	{
		name: "go on suspecting whoever has answered",
		file: "presence/detect/word.go",
		old:  "\tcase Suspected:\n\t\td.clear(p)\n\tcase Dead:\n\t\td.wasFooled(p)\n",
		new:  "\tcase Dead:\n\t\td.wasFooled(p)\n",

		tests: "TestTranscripts", packages: []string{"./presence/detect"},
	},
	{
		name: "believe a node that is no home of a person",
		file: "presence/row.go",
		old:  "return r.member && h.home && h.book.fresh",
		new:  "return r.member && h.book.fresh",

		tests: "TestTranscripts|TestWhatANodeMaySayIsBounded", packages: []string{"./presence"},
	},
	{
		name: "give no grace to who vanished",
		file: "presence/session.go",
		old:  "\t\tcase goodbye:\n",
		new:  "\t\tcase goodbye || true:\n",

		tests: "TestTranscripts", packages: []string{"./presence"},
	},
	{
		name: "wait for ever for who vanished",
		file: "presence/session.go",
		old:  "\t\tif d.ghost > 0 && d.ghost <= t.now {\n",
		new:  "\t\tif d.ghost < 0 {\n",

		tests: "TestTranscripts", packages: []string{"./presence"},
	},
	{
		name: "say each flap",
		file: "presence/own.go",
		old:  "at = max(at, r.stateAt+StateEvery.Milliseconds())",
		new:  "at = max(at, r.stateAt)",

		tests: "TestOneHundredFlaps", packages: []string{"./presence"},
	},
	{
		name: "show each flap that another node says",
		file: "presence/table.go",
		old:  "\tif at := r.stateAt + StateEvery.Milliseconds(); at > t.now {\n",
		new:  "\tif at := r.stateAt; at > t.now {\n",

		tests: "TestANodeThatFlapsItsPeopleIsDamped", packages: []string{"./presence"},
	},
	{
		name: "say of who is invisible what they do",
		file: "presence/own.go",
		old:  "\tif t.invisible(r) {\n\t\treturn x\n",
		new:  "\tif false {\n\t\treturn x\n",

		tests: "TestWhoIsInvisible|TestInvisibleIsOffline", packages: []string{"./presence", "./sim"},
	},
	{
		name: "take beats of an earlier start",
		file: "presence/receive.go",
		old:  "\t\tif n.isOld(b.Boot) || b.SentHLC <= n.sent && n.boot != [16]byte{} {\n",
		new:  "\t\tif false {\n",

		tests: "TestTranscripts", packages: []string{"./presence"},
	},
	{
		name: "show nobody of a node that was heard of before it was known to live",
		file: "presence/nodes.go",
		old:  "\t\tif revives { ",
		new:  "\t\tif revives && n.leased != revives { ",

		tests: "TestTranscripts", packages: []string{"./presence"},
	},
	{
		name: "forget what differs where there is no stream yet",
		file: "p2p/presencepulse.go",
		old:  "\tif x := p.mu.mates[n]; x != nil {\n\t\tx.differs = d\n",
		new:  "\tif x := p.mu.mates[n]; x != nil && x.out != nil {\n\t\tx.differs = d\n",

		tests: "TestAllNodesStartAgain", packages: []string{"./sim"},
	},
	{
		name: "hand out a live message twice",
		file: "presence/hub/live.go",
		old:  "\treturn late || before\n",
		new:  "\treturn late && before\n",

		tests: "TestLiveMessages", packages: []string{"./presence/hub"},
	},
	{
		name: "hand out live messages whose time is over",
		file: "presence/hub/live.go",
		old:  "return at-e.SentMS-least > e.ttl })",
		new:  "return at-e.SentMS-least > 1<<40 })",

		tests: "TestOldLiveMessages", packages: []string{"./presence/hub"},
	},
	{
		name: "give who comes later the last live message",
		file: "presence/hub/listen.go",
		old:  "\treturn l, nil\n}\n\n// put queues a message; h.mu is held.\nfunc (l *Listener) put(e *LiveEvent) {\n",
		new:  "\tfor _, e := range lastLive {\n\t\tl.put(e)\n\t}\n\treturn l, nil\n}\n\nvar lastLive []*LiveEvent\n\nfunc (l *Listener) put(e *LiveEvent) {\n\tlastLive = []*LiveEvent{e}\n",

		tests: "TestLiveMessages", packages: []string{"./presence/hub"},
	},
	{
		name: "give a message that is for one person to everybody",
		file: "presence/hub/live.go",
		old:  "l.filter.Viewer != b.Target ||",
		new:  "false ||",

		tests: ".", packages: []string{"./presence/hub"},
	},
	{
		name: "show the last of somebody's devices and not the best",
		file: "presence/row.go",
		old:  "\t\t\tp.State = max(p.State, x.best())\n",
		new:  "\t\t\tp.State = x.best()\n",

		tests: "TestWhoLivesAtTwoNodes", packages: []string{"./sim"},
	},
	{
		name: "say each flap of whole nodes",
		file: "presence/own.go",
		old:  "at = max(at, r.stateAt+StateEvery.Milliseconds())",
		new:  "at = max(at, r.stateAt+1)",

		tests: "TestFlapsAreDamped", packages: []string{"./sim"},
	},
	{
		name: "let a status show of who is invisible",
		file: "presence/own.go",
		old:  "\tif t.invisible(r) {\n\t\treturn x\n",
		new:  "\tif t.invisible(r) {\n\t\tx.Status = \"?\"\n\t\treturn x\n",

		tests: "TestWhoHidesIsToldFromWhoLeaves", packages: []string{"./sim"},
	},
	{
		name: "take who was away for long for a black hole",
		file: "p2p/host.go",
		old:  "\t\tlibp2p.UDPBlackHoleSuccessCounter(nil), libp2p.IPv6BlackHoleSuccessCounter(nil),\n",
		new:  "",

		tests: "TestHalvesThatMeetAgain", packages: []string{"./sim"},
	},
	{
		name: "answer who asks the loop without what was committed",
		file: "p2p/loop.go",
		old:  "\t\t\tcase <-l.feed.nudge: // who calls after a commit is answered with it: no other nudge may follow\n\t\t\t\tl.takeFeed()\n",
		new:  "",

		tests: "TestTheLoopAnswers", packages: []string{"./p2p"},
	},
	{
		name: "take a stream that breaks for a goodbye",
		file: "rpc/presence.go",
		old:  "\t\t\tsession.Close(false) ",
		new:  "\t\t\tsession.Close(true) ",

		tests: "TestAStreamThatBreaks", packages: []string{"./rpc"},
	},
	{
		name: "give who looks at nobody in a large team no counts",
		file: "rpc/presencewatch.go",
		old:  "\t\t\tfor i := range b.Counts {\n",
		new:  "\t\t\tfor i := range b.Counts[:0] {\n",

		tests: "TestOfALargeTeam", packages: []string{"./rpc"},
	},
	{
		name: "lose what changes first after the snapshot of a stream",
		file: "presence/hub/watch.go",
		old:  "func (w *Watcher) take(c *presence.Change) {\n",
		new:  "var missed = map[*Watcher]bool{}\n\nfunc (w *Watcher) take(c *presence.Change) {\n\tif w.begun && !missed[w] {\n\t\tmissed[w] = true\n\t\treturn\n\t}\n",

		tests: "TestWhatAStreamAddsUp", packages: []string{"./rpc"},
	},
	{
		name: "count people as they were when the stream began",
		file: "client/presence.go",
		old:  "\t\t\tchanged[w] = w.all\n",
		new:  "\t\t\tchanged[w] = false\n",

		tests: "TestTheView", packages: []string{"./client"},
	},
}
