package attack

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	weftv1 "weft/api/weft/v1"
)

// onSync is an attack by bytes on a greeted sync stream, which the target then has to close.
func onSync(send func(x *wire) error) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, _ *order) error {
		x, err := l.greeted(ctx, syncProtocol)
		if err != nil {
			return err
		}
		defer x.reset()
		send(x) // the target may close while it is being sent to
		if err := x.ended(6 * x.patience); err != nil {
			return broken("%v", err)
		}
		return nil
	}
}

// raw sends bytes.
func raw(b func() []byte) func(x *wire) error { return func(x *wire) error { return x.write(b()) } }

// sending sends a frame.
func sending(l *liar, f func(l *liar) *weftv1.SyncFrame) func(x *wire) error {
	return func(x *wire) error { return x.message(f(l)) }
}

// framing is onSync with a frame.
func framing(f func(l *liar) *weftv1.SyncFrame) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, o *order) error { return onSync(sending(l, f))(ctx, l, o) }
}

func rubbish(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

var frameAttacks = []Attack{
	{Name: "frame-giant", What: "a frame said to have a gigabyte, and the beginning of it", As: Member, Row: "giant frame",
		Expect: []string{offence("frame_too_large")},
		run:    onSync(raw(func() []byte { return append(binary.AppendUvarint(nil, 1<<30), make([]byte, 64<<10)...) }))},
	{Name: "frame-length", What: "a length that fits no integer", As: Member, Row: "giant frame", Expect: []string{offence("frame")},
		run: onSync(raw(func() []byte { return append(bytes.Repeat([]byte{0xff}, 10), 1) }))},
	{Name: "frame-truncated", What: "a stream that ends within a frame", As: Member, Row: "slow or endless streams",
		run: onSync(func(x *wire) error {
			err := x.write(append(binary.AppendUvarint(nil, 1000), 1, 2, 3))
			x.s.CloseWrite()
			return err
		})},
	{Name: "frame-slow", What: "a frame of which a byte comes now and then", As: Member, Row: "slow or endless streams",
		Expect: []string{offence("frame_slow")}, run: dribble},
	{Name: "frame-rubbish", What: "random bytes as frames, on one stream after the other", As: Member, Row: "signature burn",
		Expect: []string{offence("frame")}, run: func(ctx context.Context, l *liar, o *order) error {
			for range 5 {
				if err := onSync(raw(func() []byte { return framed(rubbish(4000)) }))(ctx, l, o); err != nil {
					return err
				}
			}
			return nil
		}},
	{Name: "frame-empty", What: "frames with nothing in them", As: Member, Row: "slow or endless streams", Expect: []string{offence("frame")},
		run: onSync(raw(func() []byte { return []byte{0} }))},
	{Name: "frame-endless", What: "frames without end that mean nothing: credit for no transfer", As: Member, Row: "slow or endless streams",
		Expect: []string{refusal("frames_too_fast")}, run: endless},
	{Name: "hello-twice", What: "a second hello", As: Member, Row: "protocol", Expect: []string{offence("frame")},
		run: framing(func(*liar) *weftv1.SyncFrame { return hello(1) })},
	{Name: "version-unknown", What: "protocols and hellos of versions that do not exist", As: Member, Row: "protocol", run: unknownVersions},
	{Name: "message-deep", What: "groups within groups, 8,000 deep", As: Member, Row: "protobuf abuse", Expect: []string{offence("frame")},
		run: onSync(raw(func() []byte { return framed(deep(8000)) }))},
	{Name: "message-bomb", What: "a megabyte of empty messages, each of which takes a hundred bytes once it is read", As: Member, Row: "protobuf abuse",
		Expect: []string{offence("frame")}, run: func(ctx context.Context, l *liar, o *order) error {
			for range 4 {
				if err := onSync(raw(func() []byte { return framed(emptyLeaves(l.team[:], 500_000)) }))(ctx, l, o); err != nil {
					return err
				}
			}
			return nil
		}},
	{Name: "compressed-bomb", What: "64 MiB of zeros, compressed (nothing is decompressed)", As: Member, Row: "decompression bomb",
		Expect: []string{offence("frame")}, run: onSync(raw(func() []byte { return framed(gzipped(64 << 20)) }))},
	{Name: "streams-many", What: "a hundred streams at once", As: Member, Row: "slow or endless streams", run: manyStreams},
}

// dribble sends a frame byte by byte.
func dribble(ctx context.Context, l *liar, _ *order) error {
	x, err := l.greeted(ctx, syncProtocol)
	if err != nil {
		return err
	}
	defer x.reset()
	over := make(chan error, 1)
	go func() { over <- x.ended(12 * x.patience) }()
	if err := x.write(binary.AppendUvarint(nil, 100_000)); err != nil {
		return err
	}
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-over:
			if err != nil {
				return broken("%v", err)
			}
			return nil
		case <-tick.C:
			x.write([]byte{0})
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// endless sends frames that are in order and mean nothing.
func endless(ctx context.Context, l *liar, o *order) error {
	x, err := l.greeted(ctx, syncProtocol)
	if err != nil {
		return err
	}
	defer x.reset()
	go x.drain()
	one := framed(encoded(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Credit{Credit: &weftv1.Credit{Id: 99, Bytes: 1}}}))
	many := bytes.Repeat(one, 1000)
	o.flood(ctx, 10, func(int) error { return x.write(many) }) // that it fails is as good
	return nil
}

// unknownVersions asks for what the target can't speak.
func unknownVersions(ctx context.Context, l *liar, _ *order) error {
	for _, p := range []string{"/weft/sync/9.0.0", "/weft/governance/0.1.0", "/weft/lobby/7.0.0"} {
		if x, err := l.open(ctx, p); err == nil {
			x.reset()
			return broken("the target speaks %s", p)
		}
	}
	for _, v := range []uint32{0, 2, 1 << 31} {
		x, err := l.open(ctx, syncProtocol)
		if err != nil {
			return err
		}
		err = x.message(hello(v))
		if err == nil {
			x.frame(x.patience) // answered or not: it must not harm
		}
		x.reset()
	}
	return nil
}

// deep is a message with groups in an unknown field.
func deep(n int) []byte {
	b := bytes.Repeat(protowire.AppendTag(nil, 100, protowire.StartGroupType), n)
	return append(b, bytes.Repeat(protowire.AppendTag(nil, 100, protowire.EndGroupType), n)...)
}

// emptyLeaves is a SyncFrame with a vector of n empty elements.
func emptyLeaves(team []byte, n int) []byte {
	inside := func(b []byte, num protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
	}
	boards := inside(inside(nil, 1, make([]byte, 16)), 2, nil)
	boards = append(boards, bytes.Repeat([]byte{2<<3 | 2, 0}, n)...)
	return inside(nil, 2, inside(inside(nil, 1, team), 5, boards))
}

func gzipped(n int) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(make([]byte, n))
	w.Close()
	return b.Bytes()
}

// manyStreams opens streams until no more are taken.
func manyStreams(ctx context.Context, l *liar, _ *order) error {
	var greeted []*wire
	for _, p := range []string{syncProtocol, governanceProtocol} {
		for range 50 {
			x, err := l.open(ctx, p)
			if err != nil {
				break
			}
			defer x.reset()
			if x.message(hello(1)) != nil {
				continue
			}
			if f, err := x.frame(time.Second); err == nil && f.GetHello() != nil {
				greeted = append(greeted, x)
			}
		}
	}
	open := 0
	for _, x := range greeted { // a later one may have taken the place of an earlier one
		if x.ended(100*time.Millisecond) == errStillOpen {
			open++
		}
	}
	if open > 16 {
		return broken("the target took %d streams of one peer", open)
	}
	if len(greeted) == 0 {
		return errors.New("couldn't open a stream")
	}
	return nil
}
