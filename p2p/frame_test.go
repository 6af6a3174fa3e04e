package p2p

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"net"

	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
)

// buffered is a stream made of given bytes.
type buffered struct{ io.Reader }

func (buffered) SetReadDeadline(time.Time) error { return nil }

func testReader(b []byte) *frameReader {
	return newFrameReader(buffered{bytes.NewReader(b)}, 1<<20, 10*time.Second, 1<<10)
}

func wantFrame(n int) *weftv1.SyncFrame {
	return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: bytes.Repeat([]byte{7}, n)}}
}

func TestFrameRoundTrip(t *testing.T) {
	var wire []byte
	sizes := []int{0, 1, 127, 128, frameStep - 3, frameStep, frameStep + 1, 900 << 10}
	for _, n := range sizes {
		b, err := encodeFrame(wantFrame(n))
		if err != nil {
			t.Fatal(err)
		}
		wire = append(wire, b...)
	}
	r := testReader(wire)
	for _, n := range sizes {
		m, err := r.readSync()
		if err != nil {
			t.Fatalf("frame of %d: %v", n, err)
		}
		if !proto.Equal(m, wantFrame(n)) {
			t.Fatalf("frame of %d came out different", n)
		}
	}
	if _, err := r.readSync(); !errors.Is(err, io.EOF) {
		t.Fatalf("after the last frame: %v", err)
	}
}

func TestGiantFrameIsRefusedBeforeItIsRead(t *testing.T) {
	for _, n := range []uint64{1<<20 + 1, 1 << 40, 1<<64 - 1} {
		r := testReader(binary.AppendUvarint(nil, n))
		if _, err := r.next(); !errors.Is(err, errFrameTooLarge) {
			t.Fatalf("frame of %d bytes: %v", n, err)
		}
		if cap(r.buf) != 0 {
			t.Fatalf("%d bytes were allocated for it", cap(r.buf))
		}
	}
}

func TestAFramesLengthAloneBuysNoMemory(t *testing.T) {
	r := testReader(append(binary.AppendUvarint(nil, 1<<20), make([]byte, 100)...))
	if _, err := r.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if cap(r.buf) > frameStep {
		t.Fatalf("%d bytes allocated for 100 that came", cap(r.buf))
	}
}

func TestSlowFrames(t *testing.T) {
	send := func(every time.Duration, step int) error {
		a, b := net.Pipe()
		sent := make(chan struct{})
		defer func() { a.Close(); b.Close(); <-sent }()
		go func() {
			defer close(sent)
			a.Write(binary.AppendUvarint(nil, 100<<10))
			for i := 0; i < 100<<10; i += step {
				<-time.After(every) // virtual time
				if _, err := a.Write(make([]byte, step)); err != nil {
					return
				}
			}
		}()
		_, err := newFrameReader(b, 1<<20, 10*time.Second, 1<<10).next()
		return err
	}
	synctest.Test(t, func(t *testing.T) {
		if err := send(time.Second, 2<<10); err != nil {
			t.Errorf("2 KiB/s: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if err := send(9*time.Second, 1); !errors.Is(err, errFrameSlow) {
			t.Errorf("a byte every 9 s: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if err := send(11*time.Second, 64<<10); !errors.Is(err, errFrameSlow) {
			t.Errorf("11 s of silence within a frame: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		go func() {
			<-time.After(time.Hour)
			f, _ := encodeFrame(wantFrame(1))
			a.Write(f)
		}()
		if _, err := newFrameReader(b, 1<<20, 10*time.Second, 1<<10).next(); err != nil {
			t.Errorf("an hour of silence between frames: %v", err)
		}
	})
}

func FuzzSyncFrame(f *testing.F) {
	b, _ := encodeFrame(wantFrame(3))
	f.Add(b)
	f.Add([]byte{0})
	f.Add(binary.AppendUvarint(nil, 1<<63))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := testReader(b)
		for {
			m, err := r.readSync()
			if err != nil {
				if cap(r.buf) > len(b)+2*frameStep {
					t.Fatalf("%d bytes made it allocate %d", len(b), cap(r.buf))
				}
				return
			}
			again, err := encodeFrame(m)
			if err != nil {
				t.Fatal(err)
			}
			m2, err := testReader(again).readSync()
			if err != nil || !proto.Equal(m, m2) {
				t.Fatalf("doesn't survive encoding: %v", err)
			}
		}
	})
}
