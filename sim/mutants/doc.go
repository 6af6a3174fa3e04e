// Package mutants shows that the tests can fail: it puts one known bug at a time into weft's source (with `go test
// -overlay`, so that no file changes), runs the tests that ought to notice, and demands that they do.
//
//	go test ./sim/mutants                                   each bug still fits the source
//	go test -run TestEachBugIsCaught -timeout 30m ./sim/mutants -args -run-mutants      (make mutants)
package mutants
