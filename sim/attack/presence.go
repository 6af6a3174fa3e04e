package attack

import (
	"context"
	"encoding/binary"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence"
)

const presenceProtocol = "/weft/presence/1.0.0"

var presenceAttacks = []Attack{
	{Name: "presence-giant", What: "a presence frame said to have a gigabyte, and the beginning of it", As: Member, Row: "giant frame",
		Expect: []string{offence("presence_frame_too_large")}, run: onPresence(func(_ *liar, x *wire) error {
			return x.write(append(binary.AppendUvarint(nil, 1<<30), make([]byte, 64<<10)...))
		})},
	{Name: "presence-rubbish", What: "random bytes where a pulse should be", As: Member, Row: "protocol", Expect: []string{offence("presence_frame")},
		run: onPresence(func(_ *liar, x *wire) error { return x.write(framed(rubbish(500))) })},
	{Name: "presence-forged", What: "beats in the name of other nodes, and of itself by another key", As: Member, Row: "presence spoofing",
		Expect: []string{offence("presence_bad_signature"), offence("presence_malformed")}, run: presenting(func(l *liar) (out []*weftv1.PresenceFrame) {
			target, _ := nodeOf(l.target.ID)
			b := l.presenceOf(1)
			s := signed(randomKey(), board.SignPresence, b)
			n := l.node()
			s.Key = n[:]
			b.Node = target[:]
			return append(out, presenceBeat(s), presenceBeat(signed(l.key, board.SignPresence, b)))
		})},
	{Name: "presence-elsewhere", What: "a beat for a team that the target isn't in, and an ask about it", As: Member, Row: "presence spoofing",
		Expect: []string{refusal("presence_unknown_origin"), refusal("ask_of_stranger")}, run: presenting(func(l *liar) []*weftv1.PresenceFrame {
			b := l.presenceOf(1)
			b.Team = rubbish(32)
			ask := &weftv1.PresenceAsk{Teams: [][]byte{b.Team}}
			return []*weftv1.PresenceFrame{presenceBeat(signed(l.key, board.SignPresence, b)), {Frame: &weftv1.PresenceFrame_Ask{Ask: ask}}}
		})},
	{Name: "presence-replayed", What: "words and beats of boots that are over", As: Member, Row: "replay",
		Expect: []string{counted("clone"), refusal("presence_old")}, run: presenting(func(l *liar) (out []*weftv1.PresenceFrame) {
			was, is := rubbish(16), rubbish(16)
			for i, boot := range [][]byte{was, is, was} {
				out = append(out, l.pulse(boot, uint64(1000+i%2)))
				b := l.presenceOf(uint64(1 + i%2))
				b.Boot, b.SentHlc = boot, uint64(now())-uint64(1-i%2)<<32
				out = append(out, presenceBeat(signed(l.key, board.SignPresence, b)))
			}
			return out
		})},
	{Name: "presence-pages", What: "whole states without end", As: Member, Row: "slow or endless streams", Expect: []string{refusal("beats_too_fast")},
		run: func(ctx context.Context, l *liar, o *order) error {
			return floodPresence(ctx, l, o, 6500, func(i int) *weftv1.PresenceFrame {
				b := l.presenceOf(uint64(i + 1))
				b.Whole, b.Pages = true, presence.MaxPages
				return presenceBeat(signed(l.key, board.SignPresence, b))
			})
		}},
	{Name: "presence-asks", What: "asks for everything without end", As: Member, Row: "sync amplification", Expect: []string{refusal("too_often_ask")},
		run: func(ctx context.Context, l *liar, o *order) error {
			return floodPresence(ctx, l, o, 1000, func(int) *weftv1.PresenceFrame {
				return &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Ask{Ask: &weftv1.PresenceAsk{Teams: [][]byte{l.team[:]}, Vectors: true}}}
			})
		}},
	{Name: "live-forged", What: "live messages by another device than their person's", As: Member, Row: "bad signatures",
		Expect: []string{refusal("live_unknown_device"), offence("live_bad_signature")}, run: presenting(func(l *liar) []*weftv1.PresenceFrame {
			forged := l.live(randomKey(), 1)
			own := l.id.Device.Public()
			forged.GetLive().Key = own[:]
			return []*weftv1.PresenceFrame{l.live(randomKey(), 1), forged}
		})},
	{Name: "live-flood", What: "live messages as fast as they go", As: Member, Row: "replay", Expect: []string{refusal("live_too_often")},
		run: func(ctx context.Context, l *liar, o *order) error {
			f := l.live(l.id.Device, 256)
			return floodPresence(ctx, l, o, 2000, func(int) *weftv1.PresenceFrame { return f })
		}},
}

// presenceOfRemoved is said by whoever is being removed while their stream is open.
var presenceOfRemoved = Attack{Name: "live-after-removal", What: "goes on with live messages and beats on a stream that was open before it was removed",
	As: Removed, Row: "eavesdropping", changes: true, run: func(ctx context.Context, l *liar, o *order) error {
		x, err := l.speaks(ctx)
		if err != nil {
			return err
		}
		defer x.reset()
		if err := o.Remove(ctx, l.id.User); err != nil {
			return err
		}
		l.outside.Store(true)
		for i := range 100 {
			if x.message(l.live(l.id.Device, 1)) != nil || x.message(presenceBeat(signed(l.key, board.SignPresence, l.presenceOf(uint64(i+1))))) != nil {
				return nil
			}
		}
		if err := x.ended(6 * x.patience); err != nil {
			return broken("%v", err)
		}
		return nil
	}}

// onPresence is an attack by the first bytes of a presence stream, which the target then has to close.
func onPresence(send func(l *liar, x *wire) error) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, _ *order) error {
		x, err := l.open(ctx, presenceProtocol)
		if err != nil {
			return err
		}
		defer x.reset()
		send(l, x) // the target may close while it is being sent to
		if err := x.ended(6 * x.patience); err != nil {
			return broken("%v", err)
		}
		return nil
	}
}

// speaks opens a presence stream and says a pulse.
func (l *liar) speaks(ctx context.Context) (*wire, error) {
	x, err := l.open(ctx, presenceProtocol)
	if err != nil {
		return nil, err
	}
	return x, x.message(l.pulse(rubbish(16), uint64(time.Now().UnixMilli())))
}

// presenting says frames on a presence stream.
func presenting(f func(*liar) []*weftv1.PresenceFrame) func(context.Context, *liar, *order) error {
	return func(ctx context.Context, l *liar, _ *order) error {
		x, err := l.speaks(ctx)
		if err != nil {
			return err
		}
		defer x.reset()
		for _, m := range f(l) {
			if err := x.message(m); err != nil {
				return err
			}
		}
		wait(ctx, x.patience) // so that all of it is read before the stream is reset
		return nil
	}
}

// floodPresence says a frame as fast as it goes. The target may read it slowly, or end the stream.
func floodPresence(ctx context.Context, l *liar, o *order, least int, frame func(i int) *weftv1.PresenceFrame) error {
	x, err := l.speaks(ctx)
	if err != nil {
		return err
	}
	defer x.reset()
	o.flood(ctx, least, func(i int) error { return x.message(frame(i)) })
	return ctx.Err()
}

// pulse is the first frame of a boot of the liar's node.
func (l *liar) pulse(boot []byte, bootMs uint64) *weftv1.PresenceFrame {
	n := l.node()
	word := signed(l.key, board.SignAlive, &weftv1.NodeAlive{Node: n[:], Boot: boot, BootMs: bootMs, Incarnation: 1})
	return &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Pulse{Pulse: &weftv1.Pulse{
		Alive: word, LeaseMs: 150_000, Presence: rubbish(16), Vectors: rubbish(16), SentHlc: uint64(now()),
	}}}
}

// presenceOf is a beat that says of the liar's person that they are there.
func (l *liar) presenceOf(number uint64) *weftv1.PresenceBeat {
	n := l.node()
	device := l.id.Device.Public()
	return &weftv1.PresenceBeat{
		Team: l.team[:], Node: n[:], Boot: n[:16], Number: number, Digest: rubbish(16), SentHlc: uint64(now()),
		People: []*weftv1.PersonReport{{User: l.id.User[:], Devices: []*weftv1.DeviceReport{{Device: device[:8], State: weftv1.DeviceState_DEVICE_STATE_ONLINE}}}},
	}
}

func presenceBeat(s *weftv1.Signed) *weftv1.PresenceFrame {
	return &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Beat{Beat: s}}
}

// live are live messages of the liar's person, signed by a device.
func (l *liar) live(device board.Key, count int) *weftv1.PresenceFrame {
	n := l.node()
	b := &weftv1.LiveBatch{Team: l.team[:], User: l.id.User[:], Node: n[:]}
	for range count {
		b.Messages = append(b.Messages, &weftv1.LiveMessage{Id: rubbish(16), Body: []byte(Forged + " live"), SentMs: uint64(time.Now().UnixMilli()), TtlMs: 5000})
	}
	return &weftv1.PresenceFrame{Frame: &weftv1.PresenceFrame_Live{Live: signed(device, board.SignLive, b)}}
}
