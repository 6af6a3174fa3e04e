package mutants

// bugs are what the checker and the tests must be able to find.
var bugs = []bug{
	{
		name: "acknowledge before the commit",
		file: "store/commit.go",
		old:  "\terr := s.fault(\"commit\")\n",
		new:  "\tfor _, t := range tasks {\n\t\tt.finish(nil)\n\t}\n\ttasks = nil\n\terr := s.fault(\"commit\")\n",

		tests: "TestFailedCommit|TestKill", packages: []string{"./store"},
	},
	{
		name: "lose the nudges of later commits",
		file: "store/changes.go",
		old:  "\tfor ch := range s.subs {\n",
		new:  "\tfor ch := range s.subs {\n\t\tif s.groups.Load() > 20 {\n\t\t\tbreak\n\t\t}\n",

		tests: "TestThreeNodesShowTheSame", packages: []string{"./sim"},
	},
	{
		name: "go on in the last epoch after a start, and so reuse seqs after a restore",
		file: "store/appendtask.go",
		old:  "\tif m.run.IsZero() || m.run.N <= newest.N {\n",
		new: "\tfor _, l := range g.logsOf(b, g.s.nodeID) {\n\t\tif l.origin.Epoch == newest {\n\t\t\tb.run = l\n\t\t\treturn g.delta(l), nil\n\t\t}\n\t}\n" +
			"\tif m.run.IsZero() || m.run.N <= newest.N {\n",

		tests: "TestRollback", packages: []string{"./sim"},
	},
	{
		name: "advance a cursor past a hole",
		file: "store/changes.go",
		old:  "\t\t\tif len(r.out) >= r.limit {\n\t\t\t\treturn nil\n\t\t\t}\n",
		new:  "\t\t\tif len(r.out) >= r.limit {\n\t\t\t\tr.at.Arrival, r.at.Check = g.first+g.n-1, g.check\n\t\t\t\treturn nil\n\t\t\t}\n",

		tests: "TestLateJoiner", packages: []string{"./sim"},
	},
	{
		name: "count one's own posts as unread",
		file: "store/unread.go",
		old:  "\t\t\tn += l.bits.countAfter(read, l.own[u])\n",
		new:  "\t\t\tn += l.bits.countAfter(read, nil)\n",

		tests: "TestThreeNodesShowTheSame", packages: []string{"./sim"},
	},
	{
		name: "let a mark go back",
		file: "store/unread.go",
		old:  "\tmerged := board.MergeMax(&b.full, now, v)\n",
		new:  "\tmerged := v\n",

		tests: "TestStoreSaysWhatTheRulesSay", packages: []string{"./store"}, rapid: true,
	},
	{
		name: "count records beyond a seal",
		file: "store/settle.go",
		old:  "r.void == \"\", log.counts(d.limit, p.seq)}",
		new:  "r.void == \"\", true}",

		tests: "TestRolledBack|TestClones|TestStoreSays", packages: []string{"./store"}, rapid: true,
	},
	{
		name: "write a retried post again",
		file: "store/claim.go",
		old:  "\t\t\tcase h.held:\n",
		new:  "\t\t\tcase false && h.held:\n",

		tests: "TestThousandRetries", packages: []string{"./store"},
	},
	{
		name: "leave what a removal makes void as it is",
		file: "store/team.go",
		old:  "\t\t\tif err := g.markFlip(ts, f); err != nil {\n",
		new:  "\t\t\tif err := error(nil); f.User == (board.UserID{}) && err != nil {\n",

		tests: "TestWhatIsSentAfterARemoval|TestAFlipGoesOn", packages: []string{"./store"},
	},
	{
		name: "forget after a start what is still to be judged again",
		file: "store/load.go",
		old:  "{tReview, ld.rowsInto(ld.m.review)}, ",
		new:  "",

		tests: "TestAFlipGoesOn", packages: []string{"./store"},
	},
	{
		name: "let the records of a denied node count when its log begins",
		file: "store/group.go",
		old:  "\tif len(b.byNode[o.Node]) == 0 { // its first log here: nobody has asked yet\n",
		new:  "\tif false { // its first log here: nobody has asked yet\n",

		tests: "TestTheFirstLogOfADeniedNode|TestStoreFollowsItsTeam", packages: []string{"./store"},
	},
	{
		name: "count entries below a floor as unread",
		file: "store/unread.go",
		old:  "\t\tif read := max(covered[l], l.floor); read < l.st.Hi {\n",
		new:  "\t\tif read := covered[l]; read < l.st.Hi {\n",

		tests: "TestEverybodyPrunes|TestFloorsAreCountedAtOnce", packages: []string{"./store"},
	},
	{
		name: "ask for what is pruned",
		file: "board/chain.go",
		old:  "\tif Pruned(h.floors[l.Node], Point{l.Epoch, l.Seq}) {\n",
		new:  "\tif false {\n",

		tests: "TestTranscripts/floor", packages: []string{"./board"},
	},
	{
		name: "take records whose signatures do not fit",
		file: "store/ingest.go",
		old:  "\t\t\tif b := batch.Verify(); len(b) > 0 {\n",
		new:  "\t\t\tif b := batch.Verify(); false && len(b) > 0 {\n",

		tests: "TestIngestRefuses|TestStoreSays", packages: []string{"./store"}, rapid: true,
	},
	{
		name: "do not say that an entry is late",
		file: "store/record.go",
		old:  "\t\tlate = h.HLC < dev.latest\n",
		new:  "",

		tests: "TestAnEntryThatWasOvertaken", packages: []string{"./store"},
	},
	{
		name: "skip the fsync",
		file: "store/open.go",
		old:  "o.SyncWrites, o.DetectConflicts, o.MetricsEnabled = sync, false, false",
		new:  "o.SyncWrites, o.DetectConflicts, o.MetricsEnabled = false, false, false",

		tests: "TestAnAcknowledgedPostIsNotOnlyInTheKernelsMemory", packages: []string{"./store"},
	},
	{
		name: "believe what a damaged disk says",
		file: "store/values.go",
		old:  "binary.BigEndian.Uint32(value[n:]) != checksum(key, value[:n])",
		new:  "false",

		tests: "TestAValueThatDoesNotFitItsChecksumIsDamaged", packages: []string{"./store"},
	},
	{
		name: "open an epoch without sealing the one before",
		file: "store/appendtask.go",
		old:  "\t\tseal = board.Link{Epoch: newest, Seq: st.Hi, Hash: st.HiHash}\n",
		new:  "\t\t_ = st\n",

		tests: "TestARestartSealsTheEpochBefore", packages: []string{"./store"},
	},
	{
		name: "go on after a commit of unknown outcome",
		file: "store/commit.go",
		old:  "\tlost, rerr := s.reopen()\n",
		new:  "\tvar lost []Committed\n\tvar rerr error\n",

		tests: "TestFailedCommit", packages: []string{"./store"},
	},
	{
		name: "take records that do not link to what is held",
		file: "board/replica_judge.go",
		old:  "\tcase before != s.HiHash:\n\t\treturn nil, end, forked\n",
		new:  "\tcase false && before != s.HiHash:\n\t\treturn nil, end, forked\n",

		tests: "TestTranscripts|TestReplicationConverges", packages: []string{"./board"}, rapid: true,
	},
	{
		name: "forget heads that were heard",
		file: "board/replica_want.go",
		old:  "\tr.heat(l, r.now.Add(r.cfg.GapGrace))\n",
		new:  "",

		tests: "TestTranscripts", packages: []string{"./board"},
	},
	{
		name: "do not mind answers that nobody asked for",
		file: "board/replica_transfer.go",
		old:  "\tr.blame(s.peer.id, \"unsolicited\", 25)\n",
		new:  "",

		tests: "TestUnsolicitedAnswersAreNotStored|TestTranscripts", packages: []string{"./board"},
	},
	{
		name: "let the clock be moved by the future",
		file: "board/clock.go",
		old:  "\tif Ahead(h, t) {\n\t\treturn false\n\t}\n",
		new:  "",

		tests: "TestClockOnlyGrowsAndIsNotMovedByTheFuture", packages: []string{"./board"},
	},
	{
		name: "lose a seal's meaning: all records of a branch count",
		file: "board/holding.go",
		old:  "\treturn l.tree[i].sealed == 0 || seq <= l.tree[i].sealed\n",
		new:  "\treturn i >= 0\n",

		tests: "TestARecordBeyondAllSealsDoesNotCount|TestVectorNames|TestTranscripts", packages: []string{"./board"}, rapid: true,
	},
	{
		name: "admit one more than the invite allows",
		file: "team/ticket.go",
		old:  "len(t.users) >= int(t.invite().Quota)",
		new:  "len(t.users) > int(t.invite().Quota)",

		tests: "TestTranscripts|TestStateIsAFunctionOfTheSet|TestPowerless", packages: []string{"./team"}, rapid: true,
	},
	{
		name: "admit by an invite that has expired",
		file: "team/knock.go",
		old:  "case inv.ExpiresMs != 0 && now",
		new:  "case false && now",

		tests: "TestAnInviteExpires", packages: []string{"./team"},
	},
	{
		name: "let people without power make boards and invites",
		file: "team/judge.go",
		old:  "\t\treturn finding{rule: noPower}\n",
		new:  "\t\treturn e.judgePresent(it, u)\n",

		tests: "TestPowerless|TestTranscripts", packages: []string{"./team"}, rapid: true,
	},
	{
		name: "answer who is no node of the team",
		file: "p2p/roster.go",
		old:  "\treturn ok && st.IsNode(n)\n",
		new:  "\treturn ok && st != nil\n",

		tests: "TestAMemberOfAnotherTeamGetsNothingOfThisOne", packages: []string{"./p2p"},
	},
	{
		name: "let a stranger open a stream",
		file: "p2p/link.go",
		old:  "if err != nil || !m.who.knows(n) {",
		new:  "if err != nil {",

		tests: "TestAStrangerGetsZeroBytes", packages: []string{"./p2p"},
	},
	{
		name: "read a frame of any length",
		file: "p2p/frame.go",
		old:  "\tif n > uint64(f.max) {\n\t\treturn nil, errFrameTooLarge\n\t}\n",
		new:  "",

		tests: "TestGiantFrameIsRefusedBeforeItIsRead|TestBrokenFrames", packages: []string{"./p2p"},
	},
	{
		name: "pass on beats that nobody signed",
		file: "p2p/hear.go",
		old:  "\tif !board.Verify(n, board.SignBeat, s.Object, s.Signature) {\n\t\treturn rejected{\"bad_signature\", true}\n\t}\n",
		new:  "",

		tests: "TestBadTopicMessages", packages: []string{"./p2p"},
	},
	{
		name: "drop the nudge that there are own posts to push",
		file: "p2p/push.go",
		old:  "\tnudge(t.dirty)\n",
		new:  "",

		tests: "TestAPostIsPushedOnTheTopic", packages: []string{"./p2p"},
	},
	{
		name: "answer a read before its vector is held",
		file: "rpc/history.go",
		old:  "err = s.Store.WaitVector(timed, b, v)",
		new:  "err = s.Store.WaitVector(timed, b, v[:0])",

		tests: "TestReadWithAtLeast", packages: []string{"./rpc"},
	},
	{
		name: "count this node among the others that hold a post",
		file: "rpc/replicated.go",
		old:  "all = all && k >= want",
		new:  "all = all && k+1 >= want",

		tests: "TestWaitReplicated", packages: []string{"./rpc"},
	},
	{
		name: "show again what the snapshot showed",
		file: "rpc/sync.go",
		old:  "c.snapped[ch.Shown.Entry.ID] && ch.Arrival",
		new:  "false && ch.Arrival",

		tests: "TestWhatComesDuringTheSnapshotIsShownOnce", packages: []string{"./rpc"},
	},
	{
		name: "queue for readers that do not read",
		file: "rpc/sync.go",
		old:  "\t\t\tif err := stream.Send(batch); err != nil {\n",
		new:  "\t\t\tgo stream.Send(batch)\n\t\t\tif err := ctx.Err(); err != nil {\n",

		tests: "TestReadersThatStopReading", packages: []string{"./rpc"},
	},
	{
		name: "send a retried post under another id",
		file: "client/post.go",
		old:  "\t\tanswer, err := c.Boards.Post(ctx, connect.NewRequest(req))\n",
		new:  "\t\tfor _, p := range req.Posts {\n\t\t\tp.ClientMsgId = NewMsgID()\n\t\t}\n\t\tanswer, err := c.Boards.Post(ctx, connect.NewRequest(req))\n",

		tests: "TestPostIsTriedAgainAndDoublesNothing", packages: []string{"./client"},
	},
	{
		name: "promise peers more than there is room for",
		file: "board/replica_room.go",
		old:  "return m.limit - m.promised - m.here",
		new:  "return m.limit",

		tests: "TestBytesInFlightAreBounded", packages: []string{"./board"},
	},
	{
		name: "let gossip through to who left the team",
		file: "p2p/gossipgate.go",
		old:  "\t\tif known && !s.m.who.mayReceive(s.node, t) {\n",
		new:  "\t\tif false && !s.m.who.mayReceive(s.node, t) {\n",

		tests: "TestWhoLostTheTeamHearsNothingMore", packages: []string{"./p2p"},
	},
	{
		name: "leave who left the team connected",
		file: "p2p/farewell.go",
		old:  "\tif n == l.m.self {\n\t\treturn\n\t}\n",
		new:  "\tif n != (board.NodeID{}) {\n\t\treturn\n\t}\n",

		tests: "TestWhoLostTheLastTeamIsAStranger|TestRemovalIsEnforcedEverywhere", packages: []string{"./p2p", "./sim"},
	},
	{
		name: "send who was removed away without a word",
		file: "p2p/farewell.go",
		old:  "\tif len(last) > 0 {\n",
		new:  "\tif len(last) > 1<<20 {\n",

		tests: "TestWhoIsRemovedIsTold", packages: []string{"./p2p"},
	},
	{
		name: "keep whoever lost the last team while being dialled",
		file: "p2p/gater.go",
		old:  "\tif c.Stat().Direction == network.DirOutbound {\n",
		new:  "\tif c.Stat().Direction == network.DirOutbound {\n\t\treturn\n",

		tests: "TestWhoIsNoTeammateAnyMoreWhenReached", packages: []string{"./p2p"},
	},
	{
		name: "go on seeking the nodes of a team that one is out of",
		file: "p2p/roster.go",
		old:  "\t\tif out {\n\t\t\tnow.out",
		new:  "\t\tif out = false; out {\n\t\t\tnow.out",

		tests: "TestWhoIsRemovedIsTold|TestRemovalIsEnforcedEverywhere", packages: []string{"./p2p", "./sim"},
	},
	{
		name: "leave without a word to those who were away",
		file: "p2p/roster.go",
		old:  " || !r.isTold(st.ID()) {\n",
		new:  " {\n",

		tests: "TestWhoLeavesIsHeardFirst", packages: []string{"./p2p"},
	},
	{
		name: "say in the lobby that a hidden team is here",
		file: "p2p/lobbyask.go",
		old:  " || st.Policy().Visibility == weftv1.Visibility_VISIBILITY_HIDDEN {\n",
		new:  " {\n",

		tests: "TestTheLobbySaysWhatATeamLetsBeKnown", packages: []string{"./p2p"},
	},
	{
		name: "forget that something was pending when it was judged again",
		file: "store/review.go",
		old:  "\tif g.noteLater(p, l, v); v.Status == team.Pending {\n",
		new:  "\tif v.Status == team.Pending {\n",

		tests: "TestWhatWasPending", packages: []string{"./store"},
	},
	{
		name: "leave out of a page what can't be read, without a word",
		file: "store/page.go",
		old:  "\tif err != nil {\n\t\tp.Damaged++\n\t\treturn ignoreDamaged(err)\n",
		new:  "\tif err != nil {\n\t\treturn ignoreDamaged(err)\n",

		tests: "TestFlippedBits", packages: []string{"./store"},
	},
	{
		name: "let governance above a damaged record hang on nothing for ever",
		file: "store/ingestwrite.go",
		old:  "\t\tif err := g.governOn(d, t.in.position(i)); err != nil {\n",
		new:  "\t\tif err := error(nil); err != nil {\n",

		tests: "TestGovernanceAbove", packages: []string{"./store"},
	},
	{
		name: "take a store of an older format as it is",
		file: "store/format.go",
		old:  "\terr := s.reviewAll(m, put)\n",
		new:  "\tvar err error\n",

		tests: "TestAnOlderStore", packages: []string{"./store"},
	},
}
