package board

import "time"

// HLC is a hybrid logical clock stamp: milliseconds since 1970 in the upper 48 bits, a counter in the lower 16.
// (Kulkarni et al., "Logical Physical Clocks", 2014.)
type HLC uint64

// MaxAhead is how far a stamp may be ahead of a node's clock before the node refuses it from an author.
const MaxAhead = 60 * time.Second

// HLCAt is the first stamp of the millisecond that t lies in.
func HLCAt(t time.Time) HLC { return HLC(max(t.UnixMilli(), 0)) << 16 }

// Time is the wall part of h.
func (h HLC) Time() time.Time { return time.UnixMilli(int64(h >> 16)) }

// Clock makes stamps that only grow. The zero Clock is ready. Its owner guards it.
type Clock struct {
	last HLC
}

// Now is a stamp for an event at wall time t, greater than every stamp made or observed before.
func (c *Clock) Now(t time.Time) HLC {
	c.last = max(c.last+1, HLCAt(t))
	return c.last
}

// Last is the greatest stamp made or observed.
func (c *Clock) Last() HLC { return c.last }

// Observe moves the clock past a stamp from elsewhere. A stamp more than MaxAhead ahead of t moves nothing and is false.
func (c *Clock) Observe(h HLC, t time.Time) bool {
	if Ahead(h, t) {
		return false
	}
	c.last = max(c.last, h)
	return true
}

// Ahead says whether stamp h is more than MaxAhead ahead of wall time t.
func Ahead(h HLC, t time.Time) bool { return h > HLCAt(t.Add(MaxAhead))|0xffff }
