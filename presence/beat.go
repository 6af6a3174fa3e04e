package presence

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// Bounds of what nodes say. A beat over any of them is ErrMalformed or ErrTooLarge of board.
const (
	MaxPeople  = 2000      // in a beat
	MaxBeat    = 200 << 10 // bytes of a beat: topic messages are at most 256 KiB
	MaxPages   = 128       // of a whole state
	MaxReport  = 4 << 10   // bytes of what is said of one person
	MaxStatus  = 256       // bytes
	MaxPayload = 1 << 10   // bytes, of a device
	MaxDevices = 32        // of a person on a node
)

// Report is all that a node says of one of its people. Without devices they are offline there.
type Report struct {
	User         board.UserID
	Devices      []Device // by id; none is Offline
	Availability State    // Online: as the devices are; Away; Busy
	Status       string
	SetAt        board.HLC // of availability and status
	Until        int64
	LastActive   int64
	Since        int64
}

// gone says whether r takes back all that was said: its subject is none of the node's people any more.
func (r *Report) gone() bool { return len(r.Devices) == 0 && r.LastActive == 0 && r.Since == 0 }

// Beat is what a node says of a team's people on it: those that changed since the beat before, or all of them in pages.
type Beat struct {
	Team    board.TeamID
	Node    board.NodeID
	Boot    [16]byte
	Number  uint64
	Whole   bool
	Page    int
	Pages   int
	People  []Report
	Digest  [16]byte
	SentHLC board.HLC
}

// Wire is the beat as it is sent.
func (b *Beat) Wire() *weftv1.PresenceBeat {
	m := &weftv1.PresenceBeat{
		Team: slices.Clone(b.Team[:]), Node: slices.Clone(b.Node[:]), Boot: slices.Clone(b.Boot[:]), Number: b.Number, Whole: b.Whole, Page: uint32(b.Page), Pages: uint32(b.Pages),
		Digest: slices.Clone(b.Digest[:]), SentHlc: uint64(b.SentHLC), People: make([]*weftv1.PersonReport, len(b.People)),
	}
	for i := range b.People {
		m.People[i] = b.People[i].wire()
	}
	return m
}

func (r *Report) wire() *weftv1.PersonReport {
	m := &weftv1.PersonReport{
		User: slices.Clone(r.User[:]), Availability: availabilityWire[r.Availability], Status: r.Status, SetHlc: uint64(r.SetAt), UntilMs: uint64(r.Until),
		LastActiveMs: uint64(r.LastActive), SinceMs: uint64(r.Since), Devices: make([]*weftv1.DeviceReport, len(r.Devices)),
	}
	for i, d := range r.Devices {
		m.Devices[i] = &weftv1.DeviceReport{Device: slices.Clone(d.ID[:]), State: deviceStateWire[d.State], Payload: d.Payload, PayloadMs: uint64(d.PayloadAt)}
	}
	return m
}

var availabilityWire = map[State]weftv1.Availability{Away: weftv1.Availability_AVAILABILITY_AWAY, Busy: weftv1.Availability_AVAILABILITY_BUSY}

var deviceStateWire = map[State]weftv1.DeviceState{
	Online: weftv1.DeviceState_DEVICE_STATE_ONLINE, Away: weftv1.DeviceState_DEVICE_STATE_AWAY, Reconnecting: weftv1.DeviceState_DEVICE_STATE_RECONNECTING,
}

// ParseBeat reads and bounds a beat. Its errors wrap board.ErrMalformed or board.ErrTooLarge.
func ParseBeat(m *weftv1.PresenceBeat) (*Beat, error) {
	switch {
	case m == nil:
		return nil, malformed("it is missing")
	case len(m.People) > MaxPeople:
		return nil, fmt.Errorf("couldn't read a beat: %d people: %w", len(m.People), board.ErrTooLarge)
	case len(m.Team) != 32 || len(m.Node) != 32 || len(m.Boot) != 16 || len(m.Digest) != 16:
		return nil, malformed("an id has a wrong length")
	case m.Whole && (m.Pages == 0 || m.Pages > MaxPages || m.Page >= m.Pages):
		return nil, malformed("page %d of %d", m.Page, m.Pages)
	case !m.Whole && (m.Page != 0 || m.Pages != 0 || m.Number == 0 || len(m.People) == 0):
		return nil, malformed("a change without a number or people")
	case m.Number >= 1<<62:
		return nil, malformed("number %d", m.Number)
	case proto.Size(m) > MaxBeat:
		return nil, fmt.Errorf("couldn't read a beat: %d bytes: %w", proto.Size(m), board.ErrTooLarge)
	}
	b := &Beat{
		Team: board.TeamID(m.Team), Node: board.NodeID(m.Node), Boot: [16]byte(m.Boot), Number: m.Number, Whole: m.Whole, Page: int(m.Page), Pages: int(m.Pages),
		Digest: [16]byte(m.Digest), SentHLC: board.HLC(m.SentHlc), People: make([]Report, 0, len(m.People)),
	}
	seen := make(map[board.UserID]bool, len(m.People))
	for _, p := range m.People {
		r, err := parseReport(p)
		if err != nil {
			return nil, err
		}
		if seen[r.User] {
			return nil, malformed("a person twice")
		}
		seen[r.User] = true
		b.People = append(b.People, r)
	}
	return b, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("couldn't read a beat: %s: %w", fmt.Sprintf(format, args...), board.ErrMalformed)
}

// latestMs bounds stamps, so that no sum of two overflows: the year 10889.
const latestMs = 1 << 48

func parseReport(m *weftv1.PersonReport) (r Report, err error) {
	switch {
	case len(m.GetUser()) != 32:
		return r, malformed("a user id of %d bytes", len(m.GetUser()))
	case len(m.Devices) > MaxDevices:
		return r, malformed("%d devices", len(m.Devices))
	case len(m.Status) > MaxStatus || !utf8.ValidString(m.Status):
		return r, malformed("a status line of %d bytes", len(m.Status))
	case m.UntilMs > latestMs || m.LastActiveMs > latestMs || m.SinceMs > latestMs:
		return r, malformed("a time that will not come")
	case proto.Size(m) > MaxReport:
		return r, fmt.Errorf("couldn't read a beat: %d bytes of one person: %w", proto.Size(m), board.ErrTooLarge)
	}
	r = Report{User: board.UserID(m.User), Availability: Online, Status: m.Status, SetAt: board.HLC(m.SetHlc), Until: int64(m.UntilMs), LastActive: int64(m.LastActiveMs), Since: int64(m.SinceMs)}
	switch m.Availability {
	case weftv1.Availability_AVAILABILITY_UNSPECIFIED:
	case weftv1.Availability_AVAILABILITY_AWAY:
		r.Availability = Away
	case weftv1.Availability_AVAILABILITY_BUSY:
		r.Availability = Busy
	default:
		return r, malformed("availability %d", m.Availability)
	}
	if len(m.Devices) == 0 && (r.Availability != Online || r.Status != "" || r.SetAt != 0 || r.Until != 0) {
		return r, malformed("something is set for a person who is offline") // invisible people could be told from others by it
	}
	for i, d := range m.Devices {
		x, err := parseDevice(d)
		if err != nil {
			return r, err
		}
		if i > 0 && string(r.Devices[i-1].ID[:]) >= string(x.ID[:]) {
			return r, malformed("devices out of order")
		}
		r.Devices = append(r.Devices, x)
	}
	return r, nil
}

func parseDevice(m *weftv1.DeviceReport) (d Device, err error) {
	if len(m.GetDevice()) != 8 || len(m.Payload) > MaxPayload || m.PayloadMs > latestMs || len(m.Payload) == 0 && m.PayloadMs != 0 {
		return d, malformed("a device of %d bytes with a payload of %d", len(m.GetDevice()), len(m.GetPayload()))
	}
	d = Device{ID: DeviceID(m.Device), Payload: m.Payload, PayloadAt: int64(m.PayloadMs)}
	if len(d.Payload) == 0 {
		d.Payload = nil
	}
	switch m.State {
	case weftv1.DeviceState_DEVICE_STATE_ONLINE:
		d.State = Online
	case weftv1.DeviceState_DEVICE_STATE_AWAY:
		d.State = Away
	case weftv1.DeviceState_DEVICE_STATE_RECONNECTING:
		d.State = Reconnecting
	default:
		return d, malformed("a device in state %d", m.State)
	}
	return d, nil
}
