package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"

	weftv1 "weft/api/weft/v1"
	"weft/api/weft/v1/weftv1connect"
	"weft/board"
	"weft/rpc"
	"weft/rpc/rpctest"
)

func TestEveryProtocolIsUnderstood(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	for name, c := range map[string]weftv1connect.BoardServiceClient{
		"connect":         r.Boards(r.HTTP()),
		"connect, json":   weftv1connect.NewBoardServiceClient(r.HTTP(), "http://weft", connect.WithProtoJSON()),
		"connect, gzip":   weftv1connect.NewBoardServiceClient(r.HTTP(), "http://weft", connect.WithSendGzip()),
		"connect, http/2": r.Boards(r.HTTP2()),
		"connect, get":    weftv1connect.NewBoardServiceClient(r.HTTP(), "http://weft", connect.WithHTTPGet()),
		"grpc":            weftv1connect.NewBoardServiceClient(r.HTTP2(), "http://weft", connect.WithGRPC()),
		"grpc-web":        weftv1connect.NewBoardServiceClient(r.HTTP(), "http://weft", connect.WithGRPCWeb()),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.Post(t.Context(), connect.NewRequest(&weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: name}}})); err != nil {
				t.Fatal(err)
			}
			res, err := c.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: "crew", Limit: 1}))
			if err != nil || res.Msg.Entries[0].Text != name {
				t.Errorf("read %v %v", res, err)
			}
			_, err = c.Post(t.Context(), connect.NewRequest(&weftv1.PostRequest{Team: "none", Posts: []*weftv1.NewPost{{Text: name}}}))
			if connect.CodeOf(err) != connect.CodeNotFound || detail(t, err).Reason != "NOT_FOUND" {
				t.Errorf("refusal %v", err)
			}
			entry := func() string {
				res, err := c.History(t.Context(), connect.NewRequest(&weftv1.HistoryRequest{Team: "crew", Limit: 1}))
				if err != nil {
					t.Fatal(err)
				}
				return res.Msg.Entries[0].EntryId
			}()
			s, err := c.WatchPost(t.Context(), connect.NewRequest(&weftv1.WatchPostRequest{Team: "crew", EntryId: entry}))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if !s.Receive() || s.Msg().Result.State != "stored" || s.Receive() || s.Err() != nil {
				t.Errorf("stream: %v", s.Err())
			}
		})
	}
}

func detail(t *testing.T, err error) *weftv1.ErrorDetail {
	t.Helper()
	c, ok := err.(*connect.Error) //nolint:errorlint // as the generated client returns it
	if !ok || len(c.Details()) != 1 {
		t.Fatalf("%v has no ErrorDetail", err)
	}
	v, valueErr := c.Details()[0].Value()
	if valueErr != nil {
		t.Fatal(valueErr)
	}
	return v.(*weftv1.ErrorDetail)
}

// call sends a body as curl would and returns the answer's status and JSON.
func call(t *testing.T, r *rpctest.Rig, method, contentType string, body []byte) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://weft/weft.v1."+method, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := r.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%s: %s", res.Status, b)
	}
	return res.StatusCode, out
}

// reasonIn is the reason in an error's JSON, where the detail must be readable without the schema.
func reasonIn(t *testing.T, answer map[string]any) string {
	t.Helper()
	details, ok := answer["details"].([]any)
	if !ok || len(details) == 0 {
		t.Fatalf("%v has no detail", answer)
	}
	debug, ok := details[0].(map[string]any)["debug"].(map[string]any)
	if !ok {
		t.Fatalf("%v can't be read without the schema", details[0])
	}
	return debug["reason"].(string)
}

func TestRequestsThatCannotBeReadGetTypedErrors(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	large := `{"team":"crew","posts":[{"text":"` + strings.Repeat("x", rpc.MaxRequest) + `"}]}`
	for _, c := range []struct {
		name, method, kind, body, reason string
		status                           int
	}{
		{"no json", "BoardService/Post", "application/json", "{", "MALFORMED", 400},
		{"empty", "BoardService/Post", "application/json", "", "MALFORMED", 400},
		{"wrong type", "BoardService/Post", "application/json", `{"team":7}`, "MALFORMED", 400},
		{"invalid UTF-8 in json", "BoardService/Post", "application/json", "{\"team\":\"crew\",\"posts\":[{\"text\":\"\xff\xfe\"}]}", "NOT_UTF8", 400},
		{"a lone surrogate", "BoardService/Post", "application/json", `{"team":"crew","posts":[{"text":"\ud800"}]}`, "MALFORMED", 400},
		{"invalid UTF-8 in protobuf", "BoardService/Post", "application/proto", "\x0a\x04crew\x1a\x04\x0a\x02\xff\xfe", "NOT_UTF8", 400},
		{"rubbish in protobuf", "BoardService/Post", "application/proto", "\xff\xff\xff", "MALFORMED", 400},
		{"too large", "BoardService/Post", "application/json", large, "TOO_LARGE", 400},
		{"unknown method", "BoardService/Shout", "application/json", "{}", "UNIMPLEMENTED", 501},
		{"unknown service", "TeaService/Brew", "application/json", "{}", "UNIMPLEMENTED", 501},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, answer := call(t, r, c.method, c.kind, []byte(c.body))
			if got := reasonIn(t, answer); got != c.reason || status != c.status {
				t.Errorf("%d %s: %v", status, got, answer["message"])
			}
		})
	}
	if got := r.Texts(t, "crew", 5); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

func TestRequestsOverTheLimitAreRefusedByEveryProtocol(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	m := &weftv1.PostRequest{Team: "crew", Posts: []*weftv1.NewPost{{Text: strings.Repeat("x", rpc.MaxRequest)}}}
	for name, c := range map[string]weftv1connect.BoardServiceClient{
		"connect":  r.Boards(r.HTTP()),
		"grpc":     weftv1connect.NewBoardServiceClient(r.HTTP2(), "http://weft", connect.WithGRPC()),
		"grpc-web": weftv1connect.NewBoardServiceClient(r.HTTP(), "http://weft", connect.WithGRPCWeb()),
	} {
		_, err := c.Post(t.Context(), connect.NewRequest(m))
		if connect.CodeOf(err) != connect.CodeInvalidArgument || detail(t, err).Reason != "TOO_LARGE" {
			t.Errorf("%s: %v", name, err)
		}
	}
	bomb := weftv1connect.NewBoardServiceClient(r.HTTP(), "http://weft", connect.WithSendGzip())
	if _, err := bomb.Post(t.Context(), connect.NewRequest(m)); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a small body that unpacks to more: %v", err)
	}
}

func TestUnknownFieldsAreRefusedInJSONAndIgnoredInProtobuf(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	status, answer := call(t, r, "BoardService/Post", "application/json", []byte(`{"team":"crew","posts":[{"text":"a","client_msgid":"1"}]}`))
	if status != 400 || reasonIn(t, answer) != "MALFORMED" || !strings.Contains(answer["message"].(string), "client_msgid") {
		t.Errorf("%d %v", status, answer)
	}
	m := &weftv1.ListTeamsRequest{}
	m.ProtoReflect().SetUnknown([]byte{0x98, 0x06, 0x01}) // field 99, of a newer client
	if res, err := r.Client.Teams.ListTeams(t.Context(), connect.NewRequest(m)); err != nil || len(res.Msg.Teams) != 1 {
		t.Errorf("%v %v", res, err)
	}
}

func TestReflectionListsTheServices(t *testing.T) {
	r := rpctest.Start(t)
	for _, options := range [][]connect.ClientOption{{connect.WithGRPC()}} {
		c := grpcreflect.NewClient(r.HTTP2(), "http://weft", options...)
		s := c.NewStream(t.Context())
		names, err := s.ListServices()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"weft.v1.NodeService", "weft.v1.TeamService", "weft.v1.BoardService", "weft.v1.SyncService", "grpc.health.v1.Health"} {
			if !slices.Contains(namesOf(names), want) {
				t.Errorf("%s is missing in %v", want, names)
			}
		}
		files, err := s.FileContainingSymbol("weft.v1.BoardService")
		if err != nil || len(files) == 0 {
			t.Errorf("schema: %v %v", files, err)
		}
		if _, err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func namesOf[T ~string](in []T) (out []string) {
	for _, n := range in {
		out = append(out, string(n))
	}
	return out
}

func TestHealthIsServed(t *testing.T) {
	r := rpctest.Start(t)
	for _, body := range []string{`{}`, `{"service":"weft.v1.BoardService"}`} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://weft/grpc.health.v1.Health/Check", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := r.HTTP().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || !strings.Contains(string(b), "SERVING") {
			t.Errorf("%s: %s %s", body, res.Status, b)
		}
	}
}

func TestReadsWorkByGet(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://weft/weft.v1.TeamService/ListTeams?encoding=json&message=%7B%7D", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || !strings.Contains(string(b), `"crew"`) {
		t.Errorf("%s %s", res.Status, b)
	}
}

func TestNodeTellsAboutItself(t *testing.T) {
	r := rpctest.Start(t)
	r.Team(t, "crew")
	r.Mesh.SetStatus([]*weftv1.Peer{{NodeId: "x", Connected: true}, {NodeId: "y"}}, []*weftv1.BoardSync{{BoardId: generalOf(t, r), Behind: 3}}, r.Now())
	info, err := r.Client.Nodes.GetInfo(t.Context(), connect.NewRequest(&weftv1.GetInfoRequest{}))
	if err != nil || !strings.HasPrefix(info.Msg.NodeId, "12D3Koo") || info.Msg.Name != "ada" || info.Msg.UserId != r.Identity.User.String() || info.Msg.Socket != r.Socket || info.Msg.Version != "test" || len(info.Msg.StoreId) != 32 {
		t.Errorf("info %v %v", info, err)
	}
	status, err := r.Client.Nodes.SyncStatus(t.Context(), connect.NewRequest(&weftv1.SyncStatusRequest{Team: "crew"}))
	if err != nil || status.Msg.PeersConnected != 1 || status.Msg.LastHeardMs == 0 || len(status.Msg.Boards) != 1 || status.Msg.Boards[0].Board != "general" || status.Msg.Boards[0].Team != "crew" || status.Msg.Boards[0].Behind != 3 {
		t.Errorf("status %v %v", status, err)
	}
	r.Post(t, "crew", "a")
	hash, err := r.Client.Nodes.BoardHash(t.Context(), connect.NewRequest(&weftv1.BoardHashRequest{Team: "crew"}))
	if err != nil || hash.Msg.Entries != 1 || hash.Msg.Hash == "" {
		t.Errorf("hash %v %v", hash, err)
	}
	check, err := r.Client.Nodes.Check(t.Context(), connect.NewRequest(&weftv1.CheckRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer check.Close()
	var last *weftv1.CheckResponse
	for check.Receive() {
		last = check.Msg()
	}
	if check.Err() != nil || last == nil || !last.Done || last.Damaged != 0 || last.RecordsChecked == 0 {
		t.Errorf("check %v %v", last, check.Err())
	}
	doctor, err := r.Client.Nodes.Doctor(t.Context(), connect.NewRequest(&weftv1.DoctorRequest{}))
	if err != nil || len(doctor.Msg.Checks) != 2 || doctor.Msg.Checks[1].Name != "team crew" || doctor.Msg.Checks[1].Level != "warn" {
		t.Errorf("doctor %v %v", doctor, err)
	}
	_, err = r.Client.Nodes.TakeRecoveryKey(t.Context(), connect.NewRequest(&weftv1.TakeRecoveryKeyRequest{}))
	refused(t, err, "GONE", connect.CodeFailedPrecondition)
	_, err = r.Client.Nodes.AddPeer(t.Context(), connect.NewRequest(&weftv1.AddPeerRequest{}))
	refused(t, err, "EMPTY", connect.CodeInvalidArgument)
	_, err = r.Client.Nodes.AddPeer(t.Context(), connect.NewRequest(&weftv1.AddPeerRequest{Address: "/ip4/192.0.2.9"}))
	refused(t, err, "OFFLINE", connect.CodeUnavailable, "tried again")
	r.Mesh.SetAddPeer(func(context.Context, string) (board.NodeID, error) { return board.NodeID{}, board.ErrMalformed })
	_, err = r.Client.Nodes.AddPeer(t.Context(), connect.NewRequest(&weftv1.AddPeerRequest{Address: "there"}))
	refused(t, err, "MALFORMED", connect.CodeInvalidArgument, "weft status")
}

func generalOf(t *testing.T, r *rpctest.Rig) string {
	t.Helper()
	res, err := r.Client.Boards.ListBoards(t.Context(), connect.NewRequest(&weftv1.ListBoardsRequest{Team: "crew"}))
	if err != nil {
		t.Fatal(err)
	}
	return res.Msg.Boards[0].BoardId
}

func TestJoinAnswersWhatTheMeshReached(t *testing.T) {
	r := rpctest.Start(t)
	id := r.Team(t, "crew")
	invite, err := r.Client.Teams.CreateInvite(t.Context(), connect.NewRequest(&weftv1.CreateInviteRequest{Team: "crew"}))
	if err != nil {
		t.Fatal(err)
	}
	join := func(link string, ms uint64) (*weftv1.JoinTeamResponse, error) {
		res, err := r.Client.Teams.Join(t.Context(), connect.NewRequest(&weftv1.JoinTeamRequest{Link: link, TimeoutMs: ms}))
		if err != nil {
			return nil, err
		}
		return res.Msg, nil
	}
	for _, bad := range []string{"", "nonsense", "weft:", invite.Msg.Link[:len(invite.Msg.Link)-3], strings.Replace(invite.Msg.Link, invite.Msg.Link[30:31], "-_"[:1], 1) + "A"} {
		_, err := join(bad, 0)
		refused(t, err, "BAD_LINK", connect.CodeInvalidArgument)
	}
	_, err = join(invite.Msg.Link, 0)
	refused(t, err, "OFFLINE", connect.CodeUnavailable)
	r.Mesh.SetJoin(func(ctx context.Context, _ *weftv1.InviteLink) (rpc.Joined, error) {
		<-ctx.Done()
		return rpc.Joined{}, ctx.Err()
	})
	_, err = join(invite.Msg.Link, 30)
	refused(t, err, "OFFLINE", connect.CodeUnavailable, "within 30ms")
	r.Mesh.SetJoin(func(context.Context, *weftv1.InviteLink) (rpc.Joined, error) {
		return rpc.Joined{Team: id, AlreadyMember: true}, nil
	})
	r.Post(t, "crew", "a")
	if got, err := join(invite.Msg.Link, 0); err != nil || got.Name != "crew" || !got.AlreadyMember || got.Entries != 1 || got.Role != "owner" {
		t.Errorf("joined %v %v", got, err)
	}
}
