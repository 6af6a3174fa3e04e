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
		old:  "\t\tn += l.bits.countAfter(covered[l], l.own[u])\n",
		new:  "\t\tn += l.bits.countAfter(covered[l], nil)\n",

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
		old:  "\t\t\tif held {\n",
		new:  "\t\t\tif false && held {\n",

		tests: "TestThousandRetries", packages: []string{"./store"},
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
}
