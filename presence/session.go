package presence

import (
	"bytes"
	"fmt"
	"time"

	"weft/board"
)

// Attach begins a session of a user's device. Sessions are numbered by the caller.
func (t *Table) Attach(now time.Time, id uint64, user board.UserID, device DeviceID) []Effect {
	t.begin(now)
	o := t.own(user)
	t.edit(o, func() {
		d := o.devices[device]
		if d == nil {
			d = &ownDevice{own: o, id: device, sessions: map[uint64]*session{}}
			o.devices[device] = d
		}
		d.ghost = 0
		s := &session{device: d}
		d.sessions[id], t.sessions[id] = s, s
	})
	return t.end()
}

// Detach ends a session: by a goodbye, or else it vanished and may come back within the grace.
func (t *Table) Detach(now time.Time, id uint64, goodbye bool) []Effect {
	t.begin(now)
	s := t.sessions[id]
	if s == nil {
		return nil
	}
	d := s.device
	t.edit(d.own, func() {
		used := d.active(t.wall)
		delete(d.sessions, id)
		delete(t.sessions, id)
		switch {
		case len(d.sessions) > 0:
			if !s.idle {
				d.used = t.wall
			}
		case goodbye:
			delete(d.own.devices, d.id)
		default:
			d.used, d.ghost = used, t.now+Grace.Milliseconds()
			t.dues.note(d.ghost, d)
		}
	})
	return t.end()
}

// Leave ends the grace of a device whose sessions have vanished: after all it said goodbye.
func (t *Table) Leave(now time.Time, user board.UserID, device DeviceID) []Effect {
	t.begin(now)
	o := t.people[user]
	if o == nil || o.devices[device] == nil || len(o.devices[device].sessions) > 0 {
		return nil
	}
	t.edit(o, func() { delete(o.devices, device) })
	return t.end()
}

// Report says whether a session's device is used; of an idle one, for how long it hasn't been.
func (t *Table) Report(now time.Time, id uint64, idle bool, idleFor time.Duration) []Effect {
	t.begin(now)
	s := t.sessions[id]
	if s == nil || s.idle == idle && !idle {
		return nil
	}
	if !s.idle { // it was used until it says, not until now
		s.since = t.wall - max(0, min(idleFor.Milliseconds(), t.wall))
	}
	s.idle = idle
	t.edit(s.device.own, func() {})
	return t.end()
}

// SetPayload sets what a session's device shows of itself; nothing erases it. board.ErrTooLarge.
func (t *Table) SetPayload(now time.Time, id uint64, payload []byte) ([]Effect, error) {
	t.begin(now)
	s := t.sessions[id]
	if s == nil {
		return nil, nil
	}
	d, all := s.device, len(payload)
	for _, x := range d.own.devices {
		if x != d {
			all += len(x.payload)
		}
	}
	if len(payload) > MaxPayload || len(payload) > 0 && all > maxOwnPayloads {
		return nil, fmt.Errorf("couldn't set the payload: %d bytes, %d with those of the person's other devices here; %d and %d are possible: %w", len(payload), all, MaxPayload, maxOwnPayloads, board.ErrTooLarge)
	}
	t.edit(d.own, func() {
		d.payload, d.at = bytes.Clone(payload), t.wall
		if len(payload) == 0 {
			d.payload, d.at = nil, 0
		}
		t.sayPayload(d)
	})
	return t.end(), nil
}

// sayPayload says a device's payload if it is time; what is erased, at once.
func (t *Table) sayPayload(d *ownDevice) {
	if d.saysAt == d.at && bytes.Equal(d.says, d.payload) {
		return
	}
	if at := d.saidAt + PayloadEvery.Milliseconds(); d.payload != nil && at > t.now {
		if !d.waits {
			d.waits = true
			t.dues.note(at, d)
		}
		return
	}
	d.says, d.saysAt, d.saidAt = d.payload, d.at, t.now
}

// deviceDue ends a grace, or says a payload that waited.
func (t *Table) deviceDue(d *ownDevice) {
	if d.own.devices[d.id] != d {
		return // it said goodbye
	}
	t.edit(d.own, func() {
		d.waits = false
		if d.ghost > 0 && d.ghost <= t.now {
			d.ghost = 0
			delete(d.own.devices, d.id)
			return
		}
		t.sayPayload(d)
	})
}
