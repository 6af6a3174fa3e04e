package attack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/team"
)

// liar is an attacker: a person with a node, which is a member of the team or a stranger.
type liar struct {
	*wireHost
	key   board.Key // the node's
	id    team.Identity
	team  board.TeamID // zero: a stranger
	cred  board.Hash
	known *knowledge
}

// knowledge is what a member has learned of a team, from the target.
type knowledge struct {
	state      *team.State
	genesis    *team.Object
	governance map[board.Origin][]*board.Run
	posts      map[board.Origin][]*board.Run // on the general board
}

func randomKey() board.Key {
	var seed [32]byte
	rand.Read(seed[:])
	return board.NewKey(seed)
}

func nonce() (n [16]byte) { rand.Read(n[:]); return n }

// newLiar makes a person and their node, which knows nobody yet.
func newLiar(name string, r reach, count *traffic) (*liar, error) {
	l := &liar{key: randomKey()}
	var err error
	if l.id, err = team.NewUser(name, randomKey(), randomKey(), l.key, nonce()); err != nil {
		return nil, err
	}
	if l.wireHost, err = newHost(l.key, r, count); err != nil {
		return nil, err
	}
	return l, nil
}

// node is the liar's own.
func (l *liar) node() board.NodeID { return board.NodeID(l.key.Public()) }

// general is the team's first board.
func (l *liar) general() board.ID { return board.GeneralID(l.team) }

// ask says one thing in the lobby and reads the answer.
func (l *liar) ask(ctx context.Context, req *weftv1.LobbyRequest) (*weftv1.LobbyReply, error) {
	x, err := l.open(ctx, lobbyProtocol)
	if err != nil {
		return nil, err
	}
	defer x.s.Close()
	if err := x.message(req); err != nil {
		return nil, fmt.Errorf("couldn't ask in the lobby: %w", err)
	}
	b, err := x.bytes(x.patience)
	if err != nil {
		return nil, fmt.Errorf("couldn't hear the lobby's answer: %w", err)
	}
	r := new(weftv1.LobbyReply)
	if err := proto.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("couldn't read the lobby's answer: %w", err)
	}
	return r, nil
}

// inviteFor is which invite of a link the target answers for.
func inviteFor(link *weftv1.InviteLink, target board.NodeID) int {
	for i, k := range link.GetInvites() {
		if string(k.Admitter) == string(target[:]) && !team.WhereToAsk(k) {
			return i
		}
	}
	return -1
}

// join comes in by a link, as anybody would.
func (l *liar) join(ctx context.Context, link *weftv1.InviteLink) error {
	target, err := nodeOf(l.target.ID)
	if err != nil {
		return err
	}
	i := inviteFor(link, target)
	if i < 0 {
		return errors.New("couldn't join: the link has no invite for which the target answers; make it at the target")
	}
	k, err := team.NewKnock(link, i, l.id)
	if err != nil {
		return err
	}
	if err := l.connect(ctx); err != nil {
		return err
	}
	r, err := l.ask(ctx, &weftv1.LobbyRequest{Request: &weftv1.LobbyRequest_Knock{Knock: k}})
	if err != nil {
		return err
	}
	if r.Code != "" {
		return fmt.Errorf("couldn't join: the target answered %s: %s (each attack as a member uses the link once)", r.Code, r.Message)
	}
	l.team, l.cred = board.TeamID(link.Team), board.Hash(r.Admit)
	return nil
}

// nodeOf is the node behind a peer id.
func nodeOf(p peer.ID) (n board.NodeID, err error) {
	k, err := p.ExtractPublicKey()
	if err != nil {
		return n, fmt.Errorf("couldn't read the target's id %s: %w", p, err)
	}
	raw, err := k.Raw()
	if err != nil || len(raw) != len(n) {
		return n, fmt.Errorf("couldn't read the target's id %s: it is no Ed25519 key", p)
	}
	copy(n[:], raw)
	return n, nil
}

// learn reads the team's governance and the newest of its first board from the target.
func (l *liar) learn(ctx context.Context) error {
	k := &knowledge{}
	var err error
	if k.governance, err = l.pull(ctx, governanceProtocol, board.GovernanceID(l.team)); err != nil {
		return err
	}
	ev := team.NewEvaluator(l.team)
	for o, runs := range k.governance {
		for _, run := range runs {
			prev := run.Prev
			for i, h := range run.Hashes() {
				at := board.Position{Board: run.Board, Node: o.Node, Epoch: o.Epoch, Seq: run.First + uint64(i), Hash: h}
				ev.AddRecord(at, prev)
				prev = board.Link{Epoch: o.Epoch, Seq: at.Seq, Hash: h}
				if obj, err := team.EntryObject(run.Items[i].Entry); err == nil {
					obj.Records = []board.Position{at}
					ev.Add(obj)
				}
			}
		}
	}
	k.state = ev.State()
	if !k.state.Known() {
		return errors.New("couldn't learn the team's governance from the target")
	}
	k.genesis = k.state.Genesis()
	if k.posts, err = l.pull(ctx, syncProtocol, l.general()); err != nil {
		return err
	}
	if c, ok := k.state.Cred(l.id.User); ok {
		l.cred = c
	}
	l.known = k
	return nil
}

// pull fetches all that the target holds of a board.
func (l *liar) pull(ctx context.Context, proto string, b board.ID) (map[board.Origin][]*board.Run, error) {
	x, err := l.greeted(ctx, proto)
	if err != nil {
		return nil, err
	}
	defer x.reset()
	if err := x.message(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_AskVector{AskVector: l.team[:]}}); err != nil {
		return nil, err
	}
	out := map[board.Origin][]*board.Run{}
	open, asked, whole := 0, uint64(0), false
	for end := time.Now().Add(4 * l.patience); !whole || open > 0; {
		f, err := x.frame(time.Until(end))
		if err != nil {
			return nil, fmt.Errorf("couldn't pull from the target: %w", err)
		}
		switch f := f.Frame.(type) {
		case *weftv1.SyncFrame_Vector:
			if whole || !f.Vector.Whole || string(f.Vector.Team) != string(l.team[:]) {
				continue
			}
			whole = !f.Vector.More
			for _, v := range f.Vector.Boards {
				if string(v.Board) != string(b[:]) {
					continue
				}
				for _, e := range v.Elements {
					asked++
					open++
					w := l.want(asked, b, board.NodeID(e.Node), board.Epoch{N: e.Epoch, R: e.EpochRandom})
					if err := x.message(wantFrame(w)); err != nil {
						return nil, err
					}
				}
			}
		case *weftv1.SyncFrame_Answer:
			if f.Answer.Run != nil {
				run, err := board.ParseRun(f.Answer.Run)
				if err != nil {
					return nil, err
				}
				out[run.Origin] = append(out[run.Origin], run)
			}
			if f.Answer.Done {
				open--
			}
		}
	}
	return out, nil
}

func (l *liar) want(id uint64, b board.ID, n board.NodeID, e board.Epoch) *weftv1.Want {
	return &weftv1.Want{
		Id: id, Team: l.team[:], Board: b[:], Node: n[:], Credit: 16 << 20,
		Toward: &weftv1.EpochPoint{Epoch: e.N, EpochRandom: e.R},
	}
}

func wantFrame(w *weftv1.Want) *weftv1.SyncFrame {
	return &weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Want{Want: w}}
}

// someRun is a run of another node's log on the first board, as the target gave it, with its signed head; nil: there is none.
func (k *knowledge) someRun(but board.NodeID) *board.Run {
	for o, runs := range k.posts {
		if o.Node != but && len(runs) > 0 {
			return runs[len(runs)-1]
		}
	}
	return nil
}

// other is a person of the team who isn't l; the target's own if it can be.
func (l *liar) other() (team.Person, bool) {
	target, _ := nodeOf(l.target.ID)
	var found team.Person
	ok := false
	for _, p := range l.known.state.Members() {
		if p.User == l.id.User {
			continue
		}
		for _, h := range p.Homes {
			if h == target {
				return p, true
			}
		}
		found, ok = p, true
	}
	return found, ok
}
