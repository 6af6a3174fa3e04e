package p2p

import (
	"time"

	"golang.org/x/sys/unix"
)

// Awake is a clock that never jumps, and that goes on while the machine sleeps: who slept for an hour has to notice it
// before it wonders why nobody has answered for so long. The program's own monotonic clock stands still meanwhile.
func Awake() func() time.Time {
	base := time.Now()
	began, ok := sinceBoot()
	return func() time.Time {
		if at, now := sinceBoot(); ok && now {
			return base.Add(at - began)
		}
		return time.Now()
	}
}

func sinceBoot() (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}
