package p2p

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
)

const testLive = 64 << 10 // bytes of one batch

// fullVoice is a stream to a peer to which as many live messages wait as may.
func fullVoice() *voice {
	m := &Mesh{stats: newMetrics(nil, &traffic{})}
	v := &voice{p: &presence{m: m}, wake: make(chan struct{}, 1)}
	v.begin(spoken{})
	v.next()
	for v.queue(spoken{b: make([]byte, testLive), kind: trafficLive}) == queued {
	}
	return v
}

// A sender of live messages waits for who is behind, and those who aren't don't wait for that.
func TestLiveMessagesWaitForWhoIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, quick := fullVoice(), fullVoice()
		for quick.waiting() > 0 {
			quick.next()
		}
		const pace = time.Millisecond
		var peer sync.WaitGroup
		defer peer.Wait()
		peer.Go(func() { // it reads on
			for slow.waiting() > 0 {
				time.Sleep(pace)
				slow.next()
			}
		})
		began := time.Now()
		done := make(chan [2]int)
		go func() {
			told, behind := tellPatiently(t.Context(), []*voice{slow, quick}, spoken{b: make([]byte, testLive), kind: trafficLive})
			done <- [2]int{told, behind}
		}()
		synctest.Wait()
		if quick.waiting() != 1 {
			t.Error("who keeps up waits for who is behind")
		}
		if got := <-done; got != [2]int{2, 0} {
			t.Errorf("told, behind: %v", got)
		}
		if took, half := time.Since(began), maxSpokenLive/testLive/2*pace; took < half || took > half+10*pace {
			t.Errorf("it took %s; there is room again after %s", took, half)
		}
	})
}

// waiting is how many frames wait.
func (v *voice) waiting() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.mu.rest)
}

// A peer that reads no more holds up others a moment, and then hardly any more; each batch that it misses is counted.
func TestWhoIsStuckIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := fullVoice()
		var waited time.Duration
		missed := 0
		const minutes = 5
		for began := time.Now(); time.Since(began) < minutes*time.Minute; time.Sleep(20 * time.Millisecond) {
			at := time.Now()
			told, behind := tellPatiently(t.Context(), []*voice{v}, spoken{b: make([]byte, testLive), kind: trafficLive})
			if told != 0 || behind != 1 || time.Since(at) > liveWait {
				t.Fatalf("told %d, behind %d after %s", told, behind, time.Since(at))
			}
			waited += time.Since(at)
			missed++
		}
		if most := livePatience + minutes*time.Minute/livePatienceBack; waited > most || waited < livePatience {
			t.Errorf("others waited %s, of at most %s", waited, most)
		}
		var got dto.Metric
		if err := v.p.m.stats.refused.WithLabelValues("queue_full_live").Write(&got); err != nil || got.GetCounter().GetValue() != float64(missed) {
			t.Errorf("%d batches were missed, %v counted (%v)", missed, got.GetCounter().GetValue(), err)
		}
	})
}

// Live messages that would come too late aren't queued, though there is room.
func TestLiveMessagesDontQueueBehindOldFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := fullVoice()
		for v.waiting() > 0 {
			v.next()
		}
		v.say(spoken{kind: trafficPresence}, false)
		time.Sleep(liveAge)
		if v.queue(spoken{kind: trafficLive}) != queued {
			t.Error("a queue that is young enough takes no live message")
		}
		time.Sleep(time.Millisecond)
		if v.queue(spoken{kind: trafficLive}) != queueFull || v.queue(spoken{kind: trafficPresence}) != queued {
			t.Error("behind an old frame no live message is queued, and anything else is")
		}
	})
}

// A stream that ends is waited for no more.
func TestWhoIsGoneIsntWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := fullVoice()
		v.ended = make(chan struct{})
		began := time.Now()
		go func() {
			time.Sleep(10 * time.Millisecond)
			v.mu.Lock()
			v.mu.closed = true
			v.mu.Unlock()
			close(v.ended)
		}()
		told, behind := tellPatiently(t.Context(), []*voice{v}, spoken{kind: trafficLive, b: make([]byte, testLive)})
		if took := time.Since(began); told != 0 || behind != 0 || took > 20*time.Millisecond {
			t.Errorf("told %d, behind %d after %s", told, behind, took)
		}
	})
}

// A stream with more live messages than may come is read slowly, and one that is in order isn't held up.
func TestWhoSaysTooMuchLiveIsReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ear{p: &presence{m: &Mesh{ctx: t.Context()}}}
		for _, x := range []struct {
			err  error
			want time.Duration
		}{{nil, 0}, {rejected{"expired", false}, 0}, {errLiveTooOften, liveRest}} {
			began := time.Now()
			if e.restAfter(x.err); time.Since(began) != x.want {
				t.Errorf("after %v it rests %s", x.err, time.Since(began))
			}
		}
	})
}
