package board

// room bounds what is in flight of all transfers on one kind of stream: what peers may still send (their credit) and what
// came and is not stored yet. Message boards and governance have a room each, since what waits for a right waits for
// governance.
type room struct {
	limit    int
	promised int         // credit that peers have not used
	here     int         // bytes of runs that are here and not stored
	thirsty  []*transfer // want credit that there was no room for, the longest waiting first
	refused  bool        // a transfer could not begin for want of room
}

// creditStep is the least credit worth a frame, and what a transfer needs to begin.
const creditStep = 64 << 10

func (r *Replica) roomOf(governance bool) *room { return &r.rooms[side(governance)] }

func (m *room) free() int { return m.limit - m.promised - m.here }

// fits says whether another transfer may begin.
func (m *room) fits() bool { return m.free() >= min(creditStep, m.limit) }

// promise changes what a peer may still send, and keeps the books.
func (m *room) promise(t *transfer, n int) {
	m.promised += max(t.credit+n, 0) - max(t.credit, 0)
	t.credit += n
}

// InFlight is how many bytes peers may still send and how many are here and not stored, pushes that are held included.
// It is at most ReplicaConfig.InFlight, GovernanceInFlight and HoldTotal together, and what peers send beyond their
// credit (an answer reaches to the next signed head).
func (r *Replica) InFlight() int {
	n := r.pushBytes
	for _, m := range r.rooms {
		n += m.promised + m.here
	}
	return n
}

// topUp gives back credit for what was stored, in portions and as far as there is room.
func (r *Replica) topUp(t *transfer, size int) {
	if t.ended || t.done {
		return
	}
	if t.owed += size; t.owed >= r.cfg.Window/4 || t.credit <= 0 {
		r.grant(t)
	}
}

// grant gives a transfer the credit that it is owed, or as much as there is room for. The rest waits.
func (r *Replica) grant(t *transfer) {
	m := r.roomOf(t.stream.governance)
	over := max(-t.credit, 0) // came beyond the credit, and is among what is here or was stored
	n := min(t.owed, m.free()+over)
	if n < min(t.owed, creditStep+over) {
		if !t.thirsty {
			t.thirsty = true
			m.thirsty = append(m.thirsty, t)
			r.count("credit_waits", 1)
		}
		return
	}
	r.do(SendCredit{t.stream.peer.id, t.stream.governance, t.id, n})
	m.promise(t, n)
	t.owed -= n
}

// roomier gives what room there is to who waits for it.
func (r *Replica) roomier(m *room) {
	for len(m.thirsty) > 0 && m.fits() {
		t := m.thirsty[0]
		m.thirsty = m.thirsty[1:]
		if t.thirsty = false; t.ended || t.done {
			continue
		}
		if t.credit <= 0 && t.pieces == 0 { // from here on it is the peer's turn
			t.progress, t.waitFrom = r.now, r.now
		}
		r.grant(t)
	}
	if m.refused && m.fits() {
		m.refused, r.freed = false, true
	}
}
