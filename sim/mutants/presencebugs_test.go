package mutants

// presenceBugs are of presence and the live lane.
var presenceBugs = []bug{
	{
		name: "take what a node has said long ago for a sign of its life",
		file: "p2p/presencefar.go",
		old:  "x != nil && (said <= x.said || ",
		new:  "x != nil && false && (said <= x.said || ",

		tests: "TestOldBeatsAreNoSignOfLife", packages: []string{"./p2p"},
	},
	{
		name: "let a change stay lost that was told through others",
		file: "p2p/presencefar.go",
		old:  "said.Number == 0 || len(said.Presence) != 16",
		new:  "said.Number > 0 || len(said.Presence) != 16",

		tests: "TestWhatIsLostOnTheTopicIsAskedFor", packages: []string{"./p2p"},
	},
	{
		name: "be as slow to accuse as when the loop was late",
		file: "presence/detect/detect.go",
		old:  "d.sick > 0 && n > 0 {",
		new:  "d.sick > 0 && n > 60 {",

		tests: "TestADeathIsFoundInTime", packages: []string{"./presence/detect"},
	},
	{
		name: "take the wait for a late loop for a long way",
		file: "presence/detect/peer.go",
		old:  "case took <= most || !late && !mine:",
		new:  "case most >= 0:",

		tests: "TestADeathIsFoundInTime", packages: []string{"./presence/detect"},
	},
	{
		name: "make nothing of the goodbye of a lost session",
		file: "presence/hub/session.go",
		old:  "\th.do(h.mu.table.Leave(now, x.user, x.device))\n",
		new:  "",

		tests: "TestAGoodbyeAfterVanishing", packages: []string{"./presence/hub"},
	},
	{
		name: "forget after a crash who was online",
		file: "presence/hub/save.go",
		old:  "at = max(at&^thereBit, uint64(h.mu.saver.alive))",
		new:  "at &^= thereBit",

		tests: "TestLastActiveAfterACrash", packages: []string{"./presence/hub"},
	},
	{
		name: "say beats to who left the team",
		file: "p2p/presencevoice.go",
		old:  "\tif !v.may(f) {\n",
		new:  "\tif false {\n",

		tests: "TestWhoLostTheTeamHearsNoBeat|TestOnlyHomesHearSettings", packages: []string{"./p2p"},
	},
	{
		name: "take beats that nobody signed",
		file: "p2p/presencebeat.go",
		old:  "\tif !board.Verify(n, board.SignPresence, s.Object, s.Signature) {\n\t\treturn rejected{\"bad_signature\", true}\n\t}\n",
		new:  "",

		tests: "TestBadPresenceFrames", packages: []string{"./p2p"},
	},
	{
		name: "take live messages that nobody signed",
		file: "p2p/live.go",
		old:  "\tif !board.Verify(b.Device, board.SignLive, s.Object, s.Signature) {\n\t\treturn rejected{\"bad_signature\", true}\n\t}\n",
		new:  "",

		tests: "TestLiveTopicMessages", packages: []string{"./p2p"},
	},
	{
		name: "have forged live messages cost the node that they name",
		file: "p2p/live.go",
		old:  "p.chargeLive(from, b)",
		new:  "p.chargeLive(b.Node, b)",

		tests: "TestForgedLiveMessages", packages: []string{"./p2p"},
	},
	{
		name: "wait for nobody who is behind with live messages",
		file: "p2p/live.go",
		old:  "\tuntil := time.Now().Add(liveWait)\n",
		new:  "\tuntil := time.Now()\n",

		tests: "TestLiveMessagesWaitForWhoIsBehind", packages: []string{"./p2p"},
	},
	{
		name: "have repeated live messages cost their author",
		file: "presence/hub/live.go",
		old:  "\tif l.knows(b.mark, now) {\n",
		new:  "\tl.speaker(b.Device, now).budget.Take(l.limit.heard(), now, len(b.Events), b.Bytes)\n\tif l.knows(b.mark, now) {\n",

		tests: "TestRepeatedLiveMessages", packages: []string{"./presence/hub"},
	},
	{
		name: "go by the clock of the start for ever",
		file: "presence/hub/live.go",
		old:  "off.Abs() > clockStep {",
		new:  "off.Abs() > clockStep && l.clock == 0 {",

		tests: "TestTheLiveClock", packages: []string{"./presence/hub"},
	},
	{
		name: "take live messages of who may not write",
		file: "presence/hub/livewire.go",
		old:  "\tcase st.Role(b.User) < team.Member:\n",
		new:  "\tcase false:\n",

		tests: "TestLiveMessagesOfWhoMayNotWrite", packages: []string{"./p2p"},
	},
	{
		name: "don't ask for what differs",
		file: "p2p/presencepulse.go",
		old:  "\t\tx.differs = d\n",
		new:  "\t\tx.differs = differs{}\n",

		tests: "TestWhatDiffersIsAskedFor", packages: []string{"./p2p"},
	},
	{
		name: "pass on no beat that has come by a stream",
		file: "p2p/presencebeat.go",
		old:  "seenKey{wholeKey{n, t}, topic == t}",
		new:  "seenKey{wholeKey{n, t}, false}",

		tests: "TestABeatIsPassedOnThoughItIsKnown", packages: []string{"./p2p"},
	},
	{
		name: "stop without a goodbye",
		file: "p2p/presencevoice.go",
		old:  "\t\tv.leave(s)\n",
		new:  "\t\t_ = s\n\t\tv.reset()\n",

		tests: "TestAGoodbyeIsHeard", packages: []string{"./p2p"},
	},
	{
		name: "take settings from who is no home of the person",
		file: "p2p/presencebeat.go",
		old:  "\tif !p.isHome(u, e.node) || !p.isHome(u, p.m.self) {\n",
		new:  "\tif u == (board.UserID{}) {\n",

		tests: "TestOnlyHomesHearSettings", packages: []string{"./p2p"},
	},
	{
		name: "compare digests with who agrees",
		file: "board/replica_tell.go",
		old:  "exchangesSkipped*r.cfg.Exchange",
		new:  "0*r.cfg.Exchange/2",

		tests: "TestWhoAgreesIsNotAsked", packages: []string{"./board"},
	},
}
