package presence

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"strings"

	"weft/board"
)

// packed is a report without its user, as it is held and hashed; big-endian:
//
//	availability 1 (0: as the devices are, 1: away, 2: busy) · set_hlc 8 · until 8 · last active 8 · since 8 · length of the status 2 · status ·
//	for each device, by id: id 8 · state 1 (1 online, 2 away, 3 reconnecting) · payload's time 8 · length of the payload 2 · payload
//
// A string of bytes takes a third of what the structure would, and two reports are the same when their bytes are.
type packed string

const (
	packedHead   = 1 + 8 + 8 + 8 + 8 + 2
	packedDevice = 8 + 1 + 8 + 2
)

func (r *Report) pack() packed {
	n := packedHead + len(r.Status)
	for i := range r.Devices {
		n += packedDevice + len(r.Devices[i].Payload)
	}
	b := make([]byte, 0, n)
	b = append(b, byte(availabilityWire[r.Availability]))
	for _, v := range [...]uint64{uint64(r.SetAt), uint64(r.Until), uint64(r.LastActive), uint64(r.Since)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Status)))
	b = append(b, r.Status...)
	for _, d := range r.Devices {
		b = append(b, d.ID[:]...)
		b = append(b, byte(deviceStateWire[d.State]))
		b = binary.BigEndian.AppendUint64(b, uint64(d.PayloadAt))
		b = binary.BigEndian.AppendUint16(b, uint16(len(d.Payload)))
		b = append(b, d.Payload...)
	}
	return packed(b)
}

// unpack is the report again. Only pack makes packed ones, so they are whole.
func (p packed) unpack(user board.UserID) Report {
	at := func(i int) int64 { return int64(binary.BigEndian.Uint64([]byte(p[i : i+8]))) }
	r := Report{User: user, Availability: [...]State{Online, Away, Busy}[p[0]], SetAt: board.HLC(at(1)), Until: at(9), LastActive: at(17), Since: at(25)}
	rest := string(p[33:])
	n := int(binary.BigEndian.Uint16([]byte(rest[:2])))
	r.Status, rest = strings.Clone(rest[2:2+n]), rest[2+n:]
	for len(rest) > 0 {
		d := Device{State: [...]State{Offline, Online, Away, Reconnecting}[rest[8]], PayloadAt: int64(binary.BigEndian.Uint64([]byte(rest[9:17])))}
		copy(d.ID[:], rest[:8])
		n := int(binary.BigEndian.Uint16([]byte(rest[17:19])))
		if n > 0 {
			d.Payload = []byte(rest[19 : 19+n])
		}
		r.Devices, rest = append(r.Devices, d), rest[19+n:]
	}
	return r
}

// set and present read two things out of a packed report without unpacking it: what was set and when, and whether a device is there.
func (p packed) set() string { return string(p[:9]) }

func (p packed) present() bool {
	return len(p) > packedHead+int(binary.BigEndian.Uint16([]byte(p[33:35])))
}

// sum is a digest of a set of reports: the sum, modulo 2^128, of a hash of each. It doesn't depend on an order, and a
// change costs two hashes however many people there are.
//
// This is AdHash (Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", 1997), which with 128 bits does not
// withstand who may choose very many terms (Wagner, "A Generalized Birthday Problem", 2002). It needn't: a node sums what it has
// signed itself, and could as well sign two different beats; of people each chooses their own term only. What is to be
// noticed is loss, which chooses nothing.
type sum struct{ hi, lo uint64 }

func term(user board.UserID, p packed) sum {
	room := make([]byte, 0, 256)
	room = append(room, "weft/presence/v1\x00"...)
	room = append(room, user[:]...)
	room = append(room, p...)
	h := sha256.Sum256(room)
	return sum{binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:16])}
}

func (s sum) add(t sum) sum {
	lo, carry := bits.Add64(s.lo, t.lo, 0)
	hi, _ := bits.Add64(s.hi, t.hi, carry)
	return sum{hi, lo}
}

func (s sum) sub(t sum) sum {
	lo, borrow := bits.Sub64(s.lo, t.lo, 0)
	hi, _ := bits.Sub64(s.hi, t.hi, borrow)
	return sum{hi, lo}
}

func (s sum) bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], s.hi)
	binary.BigEndian.PutUint64(b[8:], s.lo)
	return b
}
