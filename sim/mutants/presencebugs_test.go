package mutants

// presenceBugs are of presence and the live lane.
var presenceBugs = []bug{
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
		old:  "\tif !board.Verify([32]byte(s.Key), board.SignLive, s.Object, s.Signature) {\n\t\treturn rejected{\"bad_signature\", true}\n\t}\n",
		new:  "",

		tests: "TestLiveTopicMessages", packages: []string{"./p2p"},
	},
	{
		name: "take live messages of who may not write",
		file: "p2p/live.go",
		old:  "\tif r := st.Role(u); r < team.Member || r == team.None {\n",
		new:  "\tif r := st.Role(u); r == team.None {\n",

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
		new:  "\t\tv.reset()\n",

		tests: "TestAGoodbyeIsHeard", packages: []string{"./p2p"},
	},
	{
		name: "take settings from who is no home of the person",
		file: "p2p/presencebeat.go",
		old:  "\tif !p.isHome(u, e.node) || !p.isHome(u, p.m.self) {\n",
		new:  "\tif false {\n",

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
