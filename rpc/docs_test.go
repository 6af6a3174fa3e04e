package rpc_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/rpc"
	"weft/rpc/rpctest"
	"weft/team"
)

// example is a curl command of docs/API.md with the JSON that it answers.
type example struct {
	method  string // SERVICE/METHOD
	command string
	answer  string
}

var fences = regexp.MustCompile("(?s)```sh\n(curl .*?)\n```\n```json\n(.*?)\n```")
var url = regexp.MustCompile(`http://weft/weft\.v1\.(\w+/\w+)`)

func examples(t *testing.T) (out []example) {
	t.Helper()
	doc, err := os.ReadFile("../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fences.FindAllStringSubmatch(string(doc), -1) {
		out = append(out, example{url.FindStringSubmatch(m[1])[1], m[1], m[2]})
	}
	return out
}

func TestEveryCallHasAnExample(t *testing.T) {
	have := map[string]bool{}
	for _, e := range examples(t) {
		have[e.method] = true
	}
	services := weftv1.File_weft_v1_api_proto.Services()
	for i := range services.Len() {
		for j := range services.Get(i).Methods().Len() {
			name := fmt.Sprintf("%s/%s", services.Get(i).Name(), services.Get(i).Methods().Get(j).Name())
			if !have[name] {
				t.Errorf("docs/API.md has no example of %s", name)
			}
		}
	}
}

func TestEverySyncEventIsExplained(t *testing.T) {
	doc, err := os.ReadFile("../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := (&weftv1.SyncEvent{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		row := fmt.Sprintf("| `%s` |", fields.Get(i).Name())
		at := strings.Index(string(doc), row)
		if at < 0 {
			t.Errorf("docs/API.md does not explain the event %s", fields.Get(i).Name())
			continue
		}
		line, _, _ := strings.Cut(string(doc)[at:], "\n")
		of := fields.Get(i).Message().Fields()
		for j := range of.Len() {
			if !strings.Contains(line, "`"+string(of.Get(j).Name())+"`") {
				t.Errorf("docs/API.md does not name the field %s of %s", of.Get(j).Name(), fields.Get(i).Name())
			}
		}
	}
}

// TestExamplesWork runs each example of docs/API.md against a live node and compares the shape of its answer.
func TestExamplesWork(t *testing.T) {
	runs := map[string]func(*testing.T, *rpctest.Rig, example, map[string]string) []byte{"net/http": runByHTTP}
	if _, err := exec.LookPath("curl"); err == nil {
		runs["curl"] = runByCurl
	}
	for name, run := range runs {
		t.Run(name, func(t *testing.T) {
			r, env := documented(t)
			for _, e := range examples(t) {
				t.Run(e.method, func(t *testing.T) {
					answer := run(t, r, e, env)
					sameShape(t, e, answer)
				})
			}
		})
	}
}

// documented is a node in which the examples' variables mean something.
func documented(t *testing.T) (*rpctest.Rig, map[string]string) {
	t.Helper()
	r, id, bob := withBob(t, func(r *rpctest.Rig) {
		r.Words = func() (string, error) { return "abandon ability able", nil }
	})
	node := board.NodeID(rpctest.Key("peer").Public())
	r.Mesh.SetAddPeer(func(context.Context, string) (board.NodeID, error) { return node, nil })
	r.Mesh.SetJoin(func(context.Context, *weftv1.InviteLink) (rpc.Joined, error) {
		return rpc.Joined{Team: id, AlreadyMember: true}, nil
	})
	r.Mesh.SetStatus(
		[]*weftv1.Peer{{NodeId: "12D3KooW", Addresses: []string{"/ip4/192.0.2.2/udp/4001/quic-v1"}, Connected: true, Direction: "outbound", RttUs: 900, Teams: []string{"crew"}, LastSeenMs: 1, Users: []string{"bob"}, Health: "alive"}},
		[]*weftv1.BoardSync{{BoardId: board.GeneralID(id).String(), Behind: 12, From: []string{"12D3KooW"}, Entries: 840}}, time.UnixMilli(1))
	r.Mesh.SetCopies(func(board.ID, board.Position) (int, int) { return 0, 1 })
	invite, err := r.Client.Teams.CreateInvite(t.Context(), connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew"}))
	if err != nil {
		t.Fatal(err)
	}
	bobs := newWriter(t, r, id, bob)
	for i := range 3 {
		e := bobs.next(rpctest.Text(i), rpctest.Text(i), nil)
		if _, err := send(t, r, e); err != nil {
			t.Fatal(err)
		}
		bobs.took(e)
	}
	w := watch(t, r, &weftv1.SyncRequest{})
	w.untilLive()
	w.close()
	page, err := history(t, r, &weftv1.HistoryRequest{Team: "crew", Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	governed(t, r, id, bob)
	signed := newWriter(t, r, id, r.Identity).next("elsewhere", "signed elsewhere", nil)
	r.Mesh.SetTraffic(rpc.Traffic{Kinds: []*weftv1.Traffic{{Kind: "presence", SentBytes: 1, ReceivedBytes: 1}}, Topics: map[board.TeamID]int{id: 2}})
	attached, err := r.Client.Presence.Attach(t.Context(), connect.NewRequest(&weftv1.AttachRequest{}))
	if err != nil || !attached.Receive() {
		t.Fatalf("couldn't attach: %v, %v", err, attached.Err())
	}
	b64 := base64.StdEncoding.EncodeToString
	return r, map[string]string{
		"SOCKET": r.Socket, "NODE": peerText(t, node), "INVITE": invite.Msg.InviteId, "LINK": invite.Msg.Link, "ENTRY": page.Entries[0].EntryId, "VECTOR": page.Vector, "PAGE": page.Before,
		"CURSOR": w.cursor, "SESSION": attached.Msg().Session, "HEADER": b64(signed.Raw), "SIGNATURE": b64(signed.Signature), "BODY": b64(signed.Body),
	}
}

// governed makes of crew a team in which there is something to decide: bob is an owner, too, and has proposed a change; cyd
// and dan ask to be let in. Another team has ada as a member.
func governed(t *testing.T, r *rpctest.Rig, id board.TeamID, bob team.Identity) {
	t.Helper()
	must(t, r.Client.Teams.ChangeCharter, &weftv1.ChangeCharterRequest{Team: "crew", AddOwners: []string{"bob"}})
	proposal, err := team.NewCharter(r.State(t, id), bob, team.Change{AddRelays: []board.NodeID{{7}}}, nil, team.Member, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	r.Record(t, id, proposal)
	ack, err := team.NewAck(r.State(t, id), bob, proposal.Hash)
	if err != nil {
		t.Fatal(err)
	}
	r.Record(t, id, ack)
	for _, name := range []string{"cyd", "dan"} {
		r.Ask(t, id, rpctest.Person(t, name, t.Name()+name, rpctest.Key(name)), "let me in")
	}
	r.Found(t, bob, "book club", team.Member, r.Identity)
	homes := r.State(t, id).Homes(bob.User)
	followers(r, rpc.Follower{Node: homes[0], LastHeard: time.UnixMilli(1790000000000)}, func(board.Position) bool { return false })
}

// peerText is a node's id as people see it.
func peerText(t *testing.T, n board.NodeID) string {
	t.Helper()
	key, err := crypto.UnmarshalEd25519PublicKey(n[:])
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func runByCurl(t *testing.T, _ *rpctest.Rig, e example, env map[string]string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", e.command)
	cmd.Env = os.Environ()
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.Output()
	const timedOut = 28 // --max-time: how a stream without end ends
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == timedOut && strings.Contains(e.command, "--max-time")) {
		t.Fatalf("%v: %s", err, out)
	}
	return out
}

var bodyOf = regexp.MustCompile(`(?s) -d '(.*)'$`)
var variable = regexp.MustCompile(`'\$([A-Z]+)'`)

// runByHTTP does what curl does, for machines without it.
func runByHTTP(t *testing.T, r *rpctest.Rig, e example, env map[string]string) []byte {
	t.Helper()
	body := variable.ReplaceAllStringFunc(bodyOf.FindStringSubmatch(e.command)[1], func(v string) string {
		return env[strings.Trim(v, "'$")]
	})
	ctx, cancel := context.WithCancel(t.Context())
	endless := strings.Contains(e.command, "--max-time")
	if endless {
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	}
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://weft/weft.v1."+e.method, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if endless { // until the time is over, as curl does
		answer, _ := io.ReadAll(res.Body)
		return answer[:bytes.LastIndexByte(answer, '\n')+1]
	}
	first, err := bufio.NewReader(res.Body).ReadBytes('\n') // of another stream the first line is enough
	if len(first) == 0 {
		t.Fatal(err)
	}
	return first
}

// sameShape checks that the answer has each field that the documented one has, with a value of the same kind. Of a stream
// some line must.
func sameShape(t *testing.T, e example, answer []byte) {
	t.Helper()
	var want any
	if err := json.Unmarshal([]byte(e.answer), &want); err != nil {
		t.Fatalf("the documented answer is no JSON: %v", err)
	}
	var wrong []string
	for line := range bytes.Lines(answer) {
		var got any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if wrong = differences("", want, got); len(wrong) == 0 {
			return
		}
	}
	t.Errorf("%s\n%s\nanswer: %s", e.command, strings.Join(wrong, "\n"), answer)
}

func differences(at string, want, got any) (out []string) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{at + " is no object"}
		}
		for _, k := range slices.Sorted(maps.Keys(w)) {
			v, ok := g[k]
			if !ok {
				out = append(out, at+"."+k+" is missing")
				continue
			}
			out = append(out, differences(at+"."+k, w[k], v)...)
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) == 0 && len(w) > 0 {
			return []string{at + " is no list, or empty"}
		}
		for i := range w {
			for j := range g {
				if out = differences(fmt.Sprintf("%s[%d]", at, j), w[i], g[j]); len(out) == 0 {
					break
				}
			}
		}
	default:
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
			out = []string{fmt.Sprintf("%s is %T instead of %T", at, got, want)}
		}
	}
	return out
}
