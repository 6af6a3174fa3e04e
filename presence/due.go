package presence

import "container/heap"

// due is something to be looked at again. What it is about knows whether it still is.
type due struct {
	at   int64
	seq  uint64 // of those at one time the first to be noted comes first
	what any    // *ownRow, *shownLater, *ownDevice, *own, *book
}

// shownLater is a person in a team whose change is held back.
type shownLater struct {
	team *room
	row  *row
}

type dues struct {
	list []due
	seq  uint64
}

func (d *dues) Len() int { return len(d.list) }
func (d *dues) Less(i, j int) bool {
	if d.list[i].at != d.list[j].at {
		return d.list[i].at < d.list[j].at
	}
	return d.list[i].seq < d.list[j].seq
}
func (d *dues) Swap(i, j int) { d.list[i], d.list[j] = d.list[j], d.list[i] }
func (d *dues) Push(x any)    { d.list = append(d.list, x.(due)) }
func (d *dues) Pop() any {
	x := d.list[len(d.list)-1]
	d.list[len(d.list)-1] = due{}
	d.list = d.list[:len(d.list)-1]
	return x
}

// note has Tick look at what at the given time.
func (d *dues) note(at int64, what any) {
	d.seq++
	heap.Push(d, due{at, d.seq, what})
}

// take is what is due now, or nil.
func (d *dues) take(now int64) any {
	if len(d.list) == 0 || d.list[0].at > now {
		return nil
	}
	return heap.Pop(d).(due).what
}
