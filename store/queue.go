package store

// What waits for the committer stands in two rows: what somebody waits for (posts, marks, live records, governance), and
// the bulk of a catch-up. A group takes all of the first row before it takes of the second; so that bulk is never
// starved it begins every bulkEvery-th group. Within a row the order is kept.
const (
	queueLength = 4096
	// bulkRun: a run of more records is bulk. Its parts all stand in the same row.
	bulkRun = 32
	// bulkEvery: with posts waiting all the time, one of so many groups begins with a part of a catch-up.
	bulkEvery = 4
)

type queues struct {
	first, bulk chan task

	// The committer's.
	firsts, bulks <-chan task // the same, for receiving; nil: closed and empty
	next          task        // taken, for the next group
	passed        int         // groups in a row that left bulk waiting
	group         struct {    // that is being filled
		first bool // it has something of the first row
		bulk  int  // parts of the second
	}
}

func newQueues() *queues {
	q := &queues{first: make(chan task, queueLength), bulk: make(chan task, queueLength)}
	q.firsts, q.bulks = q.first, q.bulk
	return q
}

// rowOf is where a task waits.
func (q *queues) rowOf(t task) chan<- task {
	if isBulk(t) {
		return q.bulk
	}
	return q.first
}

func isBulk(t task) bool {
	i, ok := t.(*ingestTask)
	return ok && !i.in.governance && len(i.in.r.Items) > bulkRun
}

// close ends both rows; what stands in them is still taken.
func (q *queues) close() {
	close(q.first)
	close(q.bulk)
}

// begin takes the task that a group begins with. It waits for one if asked to, else nil says that there is none. open
// is false when the rows are closed and empty.
func (q *queues) begin(wait bool) (t task, open bool) {
	q.group.first, q.group.bulk = false, 0
	if t := q.next; t != nil {
		q.next = nil
		return q.took(t), true
	}
	if q.passed >= bulkEvery-1 {
		if t := poll(&q.bulks); t != nil {
			return q.took(t), true
		}
	}
	for t == nil && (q.firsts != nil || q.bulks != nil) {
		if t = poll(&q.firsts); t == nil {
			t = poll(&q.bulks)
		}
		if t != nil || !wait || q.firsts == nil && q.bulks == nil { // both closed meanwhile: nothing would ever come
			break
		}
		var ok bool
		select {
		case t, ok = <-q.firsts:
			if !ok {
				q.firsts = nil
			}
		case t, ok = <-q.bulks:
			if !ok {
				q.bulks = nil
			}
		}
	}
	if t == nil {
		return nil, q.firsts != nil || q.bulks != nil
	}
	return q.took(t), true
}

// more takes a further task for the group, or nil. Beside posts (gentle), and beside anything of the first row, no further
// part of a catch-up joins: a post that comes now waits for this group.
func (q *queues) more(gentle bool) task {
	if t := poll(&q.firsts); t != nil {
		return q.took(t)
	}
	if q.group.first || gentle && q.group.bulk > 0 {
		return nil
	}
	if t := poll(&q.bulks); t != nil {
		return q.took(t)
	}
	return nil
}

// putBack leaves the task that was taken last for the next group.
func (q *queues) putBack(t task) { q.next = t }

func (q *queues) took(t task) task {
	if isBulk(t) {
		q.group.bulk++
	} else {
		q.group.first = true
	}
	return t
}

// filled is told when the group takes no more.
func (q *queues) filled() {
	if q.group.bulk > 0 || len(q.bulk) == 0 {
		q.passed = 0
	} else {
		q.passed++
	}
}

// poll takes what is there; a row that is closed and empty becomes nil.
func poll(row *<-chan task) task {
	select {
	case t, ok := <-*row:
		if !ok {
			*row = nil
		}
		return t
	default:
		return nil
	}
}
