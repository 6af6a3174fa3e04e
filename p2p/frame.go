package p2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

// A frame is a varint length and that many bytes of a protobuf message.

const (
	frameStep  = 64 << 10 // a frame's buffer grows by this as bytes arrive, so a length alone buys no memory
	slowFrame  = 2 * time.Second
	frameDepth = 16       // of nested messages
	writeStep  = 16 << 10 // bytes that must go out within writePatience
	// writePatience is long: a reader that has all it can hold stops reading on purpose.
	writePatience = 60 * time.Second
)

var (
	errFrameTooLarge = fmt.Errorf("frame is too large: %w", board.ErrTooLarge)
	errFrameSlow     = errors.New("frame arrives too slowly")
	errFrameBad      = fmt.Errorf("frame can't be read: %w", board.ErrMalformed)
)

// readDeadliner is the part of a stream that bounds how long a read may take.
type readDeadliner interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// frameReader reads frames from a stream that nobody else reads. Between frames it waits for ever; within a frame each
// read has idle time, and after that time the whole frame must come at minRate.
type frameReader struct {
	r       *bufio.Reader
	timed   *timedReader
	max     int
	buf     []byte
	idle    time.Duration
	minRate int
	bytes   int    // of the frame that was read last
	moving  func() // called now and then while a slow frame comes in; may be nil
}

// timedReader sets the deadline of each read inside a frame.
type timedReader struct {
	s       readDeadliner
	idle    time.Duration
	inFrame bool
}

func (t *timedReader) Read(p []byte) (int, error) {
	var deadline time.Time
	if t.inFrame {
		deadline = time.Now().Add(t.idle)
	}
	if err := t.s.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return t.s.Read(p)
}

func newFrameReader(s readDeadliner, max int, idle time.Duration, minRate int) *frameReader {
	t := &timedReader{s: s, idle: idle}
	return &frameReader{r: bufio.NewReaderSize(t, 16<<10), timed: t, max: max, idle: idle, minRate: minRate}
}

// next reads a frame's bytes, which stay valid until the next call.
func (f *frameReader) next() ([]byte, error) {
	f.timed.inFrame = false
	if _, err := f.r.Peek(1); err != nil {
		return nil, err
	}
	f.timed.inFrame = true
	start := time.Now()
	n, err := binary.ReadUvarint(f.r)
	if err != nil {
		return nil, frameError(err)
	}
	if n > uint64(f.max) {
		return nil, errFrameTooLarge
	}
	f.buf = f.buf[:0]
	for have := 0; have < int(n); {
		step := min(int(n)-have, frameStep)
		if cap(f.buf) < have+step {
			grown := make([]byte, have, max(have+step, min(int(n), 2*have)))
			copy(grown, f.buf)
			f.buf = grown
		}
		f.buf = f.buf[:have+step]
		for got := 0; got < step; {
			k, err := f.r.Read(f.buf[have+got : have+step])
			got += k
			if err != nil {
				return nil, frameError(err)
			}
			if took := time.Since(start); took > f.idle && float64(have+got) < float64(f.minRate)*took.Seconds() {
				return nil, errFrameSlow
			} else if took > slowFrame && f.moving != nil {
				f.moving()
			}
		}
		have += step
	}
	out := f.buf
	f.bytes = len(out)
	if cap(f.buf) > 4*frameStep { // don't keep a rare large frame's memory
		f.buf = nil
	}
	return out, nil
}

// frameError says what a broken read within a frame means.
func frameError(err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return errFrameSlow
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case err.Error() == "binary: varint overflows a 64-bit integer":
		return errFrameBad
	}
	return err
}

// badFrame says whether err is the sender's fault.
func badFrame(err error) bool {
	return errors.Is(err, errFrameTooLarge) || errors.Is(err, errFrameSlow) || errors.Is(err, errFrameBad)
}

// decode reads a message with bounded nesting, and bounds what it takes in memory before it is read.
func decode(b []byte, m proto.Message) error {
	parts := leastParts + len(b)/bytesOfPart
	if !countParts(b, m.ProtoReflect().Descriptor(), frameDepth, &parts) {
		return fmt.Errorf("%w: too many or too deep messages in it", errFrameBad)
	}
	if err := (proto.UnmarshalOptions{RecursionLimit: frameDepth}).Unmarshal(b, m); err != nil {
		return fmt.Errorf("%w: %v", errFrameBad, err)
	}
	return nil
}

// A message within a message takes two bytes on the wire and a hundred in memory, so one frame could fill half a gigabyte.
// Honest ones are at least so long on average, but for a few.
const (
	leastParts  = 256
	bytesOfPart = 24
)

// countParts takes the messages within b, and the elements of its lists of bytes, off *left. False: there are more than
// were left, or b can't be read.
func countParts(b []byte, d protoreflect.MessageDescriptor, depth int, left *int) bool {
	if depth == 0 {
		return false
	}
	fields := d.Fields()
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return false
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		f := fields.ByNumber(num)
		if f == nil || f.Message() == nil && !f.IsList() {
			continue
		}
		if *left--; *left < 0 {
			return false
		}
		if inner := f.Message(); inner != nil && !countParts(v, inner, depth-1, left) {
			return false
		}
	}
	return true
}

// readSync reads a SyncFrame.
func (f *frameReader) readSync() (*weftv1.SyncFrame, error) {
	b, err := f.next()
	if err != nil {
		return nil, err
	}
	m := new(weftv1.SyncFrame)
	if err := decode(b, m); err != nil {
		return nil, err
	}
	if m.Frame == nil {
		return nil, fmt.Errorf("%w: it is empty", errFrameBad)
	}
	return m, nil
}

// encodeFrame is the bytes of a frame with m.
func encodeFrame(m proto.Message) ([]byte, error) {
	n := proto.Size(m)
	b := binary.AppendUvarint(make([]byte, 0, n+binary.MaxVarintLen32), uint64(n))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
	if err != nil {
		return nil, fmt.Errorf("couldn't encode frame: %w", err)
	}
	return b, nil
}

// writeDeadliner is the part of a stream that bounds how long a write may take.
type writeDeadliner interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}

// writeAll writes b in steps, each within writePatience.
func writeAll(s writeDeadliner, b []byte) error {
	for len(b) > 0 {
		if err := s.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
			return err
		}
		n, err := s.Write(b[:min(len(b), writeStep)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
