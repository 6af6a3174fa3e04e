package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is a wait that doubles, jittered so that many clients don't come back at once.
type backoff struct{ next time.Duration }

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) wait() time.Duration {
	b.next = min(max(2*b.next, firstBackoff), maxBackoff)
	return b.next/2 + rand.N(b.next/2+1)
}

// pause waits, or returns the context's error.
func (c *Client) pause(ctx context.Context, why error, wait time.Duration) error {
	c.options.Log.DebugContext(ctx, "trying again", "reason", ReasonOf(why), "wait", wait)
	if c.options.Retrying != nil {
		c.options.Retrying(why, wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// retry calls try until it succeeds, fails for good, or has failed for RetryFor. Where patient, it also waits as long
// as the node asks (RESOURCE_EXHAUSTED), however long that takes.
func (c *Client) retry(ctx context.Context, patient bool, try func() error) error {
	var b backoff
	var failing time.Time
	for {
		err := try()
		if err == nil {
			return nil
		}
		if wait, ok := exhausted(err); ok && patient {
			failing = time.Time{}
			if c.pause(ctx, err, wait) != nil {
				return err
			}
			continue
		}
		if !passing(err) || c.options.RetryFor < 0 {
			return err
		}
		now := time.Now()
		if failing.IsZero() {
			failing = now
		}
		if now.Sub(failing) >= c.options.RetryFor || c.pause(ctx, err, b.wait()) != nil {
			return err
		}
	}
}
