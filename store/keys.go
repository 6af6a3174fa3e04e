package store

import (
	"encoding/binary"

	"weft/board"
)

// Table bytes; see doc.go for the layouts.
const (
	tRecord  = 'm'
	tDisplay = 'h'
	tPost    = 'e'
	tEntry   = 'i'
	tWaiting = 'w'
	tDevice  = 'd'
	tBits    = 'b'
	tOwnBits = 'u'
	tMulti   = 'j'
	tStretch = 'v'
	tOrigin  = 'o'
	tRejudge = 'f'
	tDamaged = 'x'
	tChange  = 'a'
	tMark    = 'r'
	tTeam    = 't'
	tSetting = 'k'
	tStore   = 's'
	tSigner  = 'c'
	tReview  = 'y'
	tLater   = 'l'
	tSweep   = 'q'
	tVoid    = 'z'
	tFork    = 'g'
)

// logNum is this store's short name for one (board, node, epoch).
type logNum uint32

// pos is a record: a log and a seq.
type pos struct {
	log logNum
	seq uint64
}

// postKey names a post within a board.
type postKey struct {
	board board.ID
	post  board.PostID
}

// arena hands out slices that live until reset, so that a group of commits allocates little. Not safe for concurrent use.
type arena struct {
	block []byte
}

const arenaBlock = 256 << 10

// take returns n bytes with length 0.
func (a *arena) take(n int) []byte {
	if cap(a.block)-len(a.block) < n {
		if n > arenaBlock/4 {
			return make([]byte, 0, n)
		}
		a.block = make([]byte, 0, arenaBlock)
	}
	at := len(a.block)
	a.block = a.block[:at+n]
	return a.block[at : at : at+n]
}

// reset makes the memory usable again; nothing handed out before may be in use.
func (a *arena) reset() { a.block = a.block[:0] }

func appendRecordKey(b []byte, l logNum, seq uint64) []byte {
	b = append(b, tRecord)
	b = binary.BigEndian.AppendUint32(b, uint32(l))
	return binary.BigEndian.AppendUint64(b, seq)
}

func recordKey(p pos) []byte { return appendRecordKey(make([]byte, 0, 13), p.log, p.seq) }

func appendDisplayKey(b []byte, id board.ID, k board.OrderKey) []byte {
	b = append(append(b, tDisplay), id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(k.HLC))
	return append(b, k.ID[:16]...)
}

// displayKeySize: table 1, board 16, hlc 8, entry 16.
const displayKeySize = 41

func appendPostKey(b []byte, k postKey) []byte {
	b = append(append(b, tPost), k.board[:]...)
	return append(b, k.post[:]...)
}

func appendEntryKey(b []byte, id board.Hash) []byte { return append(append(b, tEntry), id[:16]...) }

func appendWaitingKey(b []byte, prev, id board.Hash) []byte {
	b = append(append(b, tWaiting), prev[:16]...)
	return append(b, id[:16]...)
}

func appendDeviceKey(b []byte, k deviceKey) []byte {
	b = append(append(b, tDevice), k.board[:]...)
	return append(b, k.device[:]...)
}

func appendLogKey(b []byte, table byte, l logNum) []byte {
	return binary.BigEndian.AppendUint32(append(b, table), uint32(l))
}

func logKey(table byte, l logNum) []byte { return appendLogKey(make([]byte, 0, 5), table, l) }

func appendPointKey(b []byte, p board.Point) []byte {
	b = binary.BigEndian.AppendUint64(b, p.Epoch.N)
	b = binary.BigEndian.AppendUint64(b, p.Epoch.R)
	return binary.BigEndian.AppendUint64(b, p.Seq)
}

func appendBitsKey(b []byte, l logNum, chunk uint32) []byte {
	return binary.BigEndian.AppendUint32(appendLogKey(b, tBits, l), chunk)
}

func appendOwnBitsKey(b []byte, u board.UserID, l logNum, chunk uint32) []byte {
	b = append(append(b, tOwnBits), u[:16]...)
	b = binary.BigEndian.AppendUint32(b, uint32(l))
	return binary.BigEndian.AppendUint32(b, chunk)
}

func appendMultiKey(b []byte, p pos) []byte {
	return binary.BigEndian.AppendUint64(appendLogKey(b, tMulti, p.log), p.seq)
}

func changeKey(arrival uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tChange}, arrival)
}

func markKey(u board.UserID, b board.ID) []byte {
	return append(append([]byte{tMark}, u[:]...), b[:]...)
}

func teamKey(t board.TeamID) []byte { return append([]byte{tTeam}, t[:]...) }

func settingKey(k string) []byte { return append([]byte{tSetting}, k...) }

func storeKey(name string) []byte { return append([]byte{tStore}, name...) }
