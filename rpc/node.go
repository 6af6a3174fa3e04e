package rpc

import (
	"context"
	"encoding/hex"
	"errors"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
)

// ErrGone says that the recovery key was shown before and erased.
var ErrGone = errors.New("the recovery key is no longer on this machine")

// ErrKeyDamaged says that the file of the recovery key can't be read.
var ErrKeyDamaged = errors.New("the recovery key's file is damaged")

// ErrOffline says that no node answered: of an invite, or at a peer's address.
var ErrOffline = errors.New("no node could be reached")

// ErrLinkNeeded says that a team lets in only those who hold an invite.
var ErrLinkNeeded = errors.New("the team lets in only those who hold an invite")

type nodeService struct{ *service }

func (s *nodeService) GetInfo(ctx context.Context, _ *connect.Request[weftv1.GetInfoRequest]) (*connect.Response[weftv1.GetInfoResponse], error) {
	info := &weftv1.GetInfoResponse{}
	if s.Info != nil {
		info = s.Info()
	}
	info.NodeId = nodeText(s.Node)
	info.UserId = s.Identity.User.String()
	device := board.DeviceID(s.Identity.Device.Public())
	info.DeviceId = device.String()
	if info.Name == "" {
		info.Name = s.Identity.Name
	}
	if info.Version == "" {
		info.Version = s.Version
	}
	id := s.Store.ID()
	info.StoreId = hex.EncodeToString(id[:])
	info.ApiFeatures = apiFeatures
	info.Alarms = s.alarms(ctx)
	return connect.NewResponse(info), nil
}

// apiFeatures tell clients what this version can do beyond the first.
var apiFeatures = []string{"post.batch", "post.wait.replicated", "sync.cursor", "sync.signed", "team.govern", "presence", "live"}

func (s *nodeService) ListPeers(context.Context, *connect.Request[weftv1.ListPeersRequest]) (*connect.Response[weftv1.ListPeersResponse], error) {
	return connect.NewResponse(&weftv1.ListPeersResponse{Peers: s.Mesh.ListPeers()}), nil
}

func (s *nodeService) AddPeer(ctx context.Context, req *connect.Request[weftv1.AddPeerRequest]) (*connect.Response[weftv1.AddPeerResponse], error) {
	if req.Msg.Address == "" {
		return nil, refuse(reasonEmpty, "couldn't add a peer: no address").hint("give a multiaddr with /p2p/, as weft status shows on the other machine")
	}
	id, err := s.Mesh.AddPeer(ctx, req.Msg.Address)
	switch reasonOf(err) {
	case reasonOffline:
		return nil, refuse(reasonOffline, "couldn't reach the peer at %s: nobody answers there", shorten(req.Msg.Address)).
			hint("the address is kept and tried again by itself; weft peers shows when it is reached. See that the other node runs")
	case reasonMalformed:
		return nil, refuse(reasonMalformed, "%w", err).hint("copy one of the lines that weft status shows as listen on the other machine")
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&weftv1.AddPeerResponse{NodeId: nodeText(id)}), nil
}

func (s *nodeService) SyncStatus(_ context.Context, req *connect.Request[weftv1.SyncStatusRequest]) (*connect.Response[weftv1.SyncStatusResponse], error) {
	teams := s.teams()
	if req.Msg.Team != "" {
		st, err := s.findTeam(req.Msg.Team)
		if err != nil {
			return nil, err
		}
		teams = teams[:0]
		teams = append(teams, st)
	}
	res := &weftv1.SyncStatusResponse{}
	for _, st := range teams {
		names := map[string]string{board.GovernanceID(st.ID()).String(): "governance"}
		for _, b := range st.Boards() {
			names[b.ID.String()] = b.Name
		}
		for _, b := range s.Mesh.SyncStatus(st.ID()) {
			b.TeamId, b.Team = st.ID().String(), st.Name()
			if b.Board == "" {
				b.Board = names[b.BoardId]
			}
			res.Boards = append(res.Boards, b)
		}
	}
	for _, p := range s.Mesh.ListPeers() {
		if p.Connected {
			res.PeersConnected++
		}
	}
	if heard := s.Mesh.LastHeard(); !heard.IsZero() {
		res.LastHeardMs = uint64(heard.UnixMilli())
	}
	return connect.NewResponse(res), nil
}

func (s *nodeService) Doctor(ctx context.Context, _ *connect.Request[weftv1.DoctorRequest]) (*connect.Response[weftv1.DoctorResponse], error) {
	res := &weftv1.DoctorResponse{}
	if s.Options.Doctor != nil {
		res.Checks = s.Options.Doctor(ctx)
	}
	for _, a := range s.alarms(ctx) {
		res.Checks = append(res.Checks, &weftv1.DoctorCheck{Name: "team " + a.Team, Level: "warn", Found: a.Words, Advice: a.Advice})
	}
	return connect.NewResponse(res), nil
}

func (s *nodeService) TakeRecoveryKey(context.Context, *connect.Request[weftv1.TakeRecoveryKeyRequest]) (*connect.Response[weftv1.TakeRecoveryKeyResponse], error) {
	if s.Options.TakeRecoveryKey == nil {
		return nil, ErrGone
	}
	words, err := s.Options.TakeRecoveryKey()
	if errors.Is(err, ErrKeyDamaged) {
		return nil, refuse(reasonDamaged, "%w", err).
			hint("bring the file back from a backup of the node's folder and ask again; without one the key is lost, and losing this machine can't be undone with it")
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&weftv1.TakeRecoveryKeyResponse{Words: words}), nil
}

func (s *nodeService) BoardHash(ctx context.Context, req *connect.Request[weftv1.BoardHashRequest]) (*connect.Response[weftv1.BoardHashResponse], error) {
	p, err := s.findBoard(req.Msg.Team, req.Msg.Board)
	if err != nil {
		return nil, err
	}
	hash, entries, err := s.Store.Hash(ctx, p.id)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&weftv1.BoardHashResponse{Hash: hash.String(), Entries: entries}), nil
}

// Check reads the whole store again and tells how far it is.
func (s *nodeService) Check(ctx context.Context, _ *connect.Request[weftv1.CheckRequest], stream *connect.ServerStream[weftv1.CheckResponse]) error {
	ctx, cancel := untilStop(ctx)
	defer cancel()
	var sent error
	told := 0 // problems; each is sent once
	tell := func(p store.CheckProgress) {
		p.Problems, told = p.Problems[told:], len(p.Problems)
		if sent == nil {
			if sent = stream.Send(wireCheck(p)); sent != nil {
				cancel()
			}
		}
	}
	end, err := s.Store.Check(ctx, func(p store.CheckProgress) {
		if !p.Done {
			tell(p)
		}
	})
	if err != nil {
		return whyEnded(ctx, err)
	}
	end.Done = true
	tell(end)
	return sent
}

func wireCheck(p store.CheckProgress) *weftv1.CheckResponse {
	return &weftv1.CheckResponse{RecordsChecked: p.Records, Damaged: p.Damaged, Problems: p.Problems, Done: p.Done}
}
