package daemon

import (
	"os"
	"runtime"
)

// leastThreads is how many goroutines run at a time at least, as far as Go decides it.
const leastThreads = 8

// SpreadThreads has Go run at least eight goroutines at a time, also on fewer cores, unless GOMAXPROCS is set. Go lets
// each goroutine run for 10 ms before another one gets its place. The database's compactions are up to two dozen
// goroutines that never wait; with two places, a commit whose fsync had returned was seen to wait 200 ms for one. The
// system's scheduler, which shares the cores then, lets what has waited go first. It is for programs: it changes the
// whole process.
func SpreadThreads() {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < leastThreads {
		runtime.GOMAXPROCS(leastThreads)
	}
}
