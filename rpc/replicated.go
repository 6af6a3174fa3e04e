package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/store"
)

// awaitReplicas waits until each record is on so many other nodes and writes into results how far each got. What is
// stored stays stored whatever comes of it: the error of a wait that ends too soon carries the results.
func (s *boardService) awaitReplicas(ctx context.Context, m *weftv1.PostRequest, p place, receipts []store.Receipt, want int, results []*weftv1.PostResult) error {
	ctx, cancel := untilStop(ctx)
	defer cancel()
	wait := waitFor(m.TimeoutMs, defaultRepWait, maxRepWait)
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, beforeDeadline(time.Until(deadline)))
	}
	timed, done := context.WithTimeout(ctx, wait)
	defer done()
	nudge, stop := s.Mesh.WatchReplicated()
	defer stop()
	for {
		if s.measure(p.id, receipts, want, results) {
			return nil
		}
		select {
		case <-nudge:
			continue
		case <-timed.Done():
		}
		r := refuse(reasonOf(whyEnded(timed, timed.Err())), "couldn't see the post on %d other nodes of %s in time; it is stored here and spreads by itself", want, p.state.Name()).
			hint("nothing needs to be sent again; weft sync shows which nodes are behind, WatchPost tells when they have it")
		r.detail.Results = results
		return r
	}
}

// measure looks how far records have spread; true if each is on want other nodes.
func (s *service) measure(b board.ID, receipts []store.Receipt, want int, results []*weftv1.PostResult) bool {
	all := true
	for i, r := range receipts {
		k, n := s.Mesh.Replicated(b, r.Position)
		results[i].Replicated, results[i].Nodes = uint32(k), uint32(n)
		if k > 0 {
			results[i].State = stateReplicated
		}
		all = all && k >= want
	}
	return all
}

// whyEnded is err, or that the node stops if that is why ctx ended.
func whyEnded(ctx context.Context, err error) error {
	if context.Cause(ctx) == errStopping {
		return errStopping
	}
	return err
}

// WatchPost tells how far an entry has spread: at once, and whenever that changes, until the state asked for is reached.
func (s *boardService) WatchPost(ctx context.Context, req *connect.Request[weftv1.WatchPostRequest], stream *connect.ServerStream[weftv1.WatchPostResponse]) error {
	m := req.Msg
	switch m.Until {
	case "", stateReplicated, stateStored:
	case "delivered", "read":
		return refuse(reasonUnimplemented, "couldn't watch for %q: weft has no receipts of delivery and reading yet", m.Until).hint("watch until replicated")
	default:
		return refuse(reasonUnknownOption, "couldn't watch for %q: until can be stored or replicated", shorten(m.Until))
	}
	p, err := s.findBoard(m.Team, m.Board)
	if err != nil {
		return err
	}
	id, err := board.ParseHash(m.EntryId)
	if err != nil {
		return err
	}
	ctx, cancel := untilStop(ctx)
	defer cancel()
	nudge, stop := s.Mesh.WatchReplicated()
	defer stop()
	var before *weftv1.PostResult
	for {
		result, err := s.spread(ctx, p, id)
		if err != nil {
			return err
		}
		if before == nil || result.Replicated != before.Replicated || result.Nodes != before.Nodes {
			if err := stream.Send(&weftv1.WatchPostResponse{Result: result}); err != nil {
				return err
			}
			before = result
		}
		if m.Until == stateStored || result.Replicated >= result.Nodes {
			return nil
		}
		select {
		case <-nudge:
		case <-ctx.Done():
			return whyEnded(ctx, ctx.Err())
		}
	}
}

// spread says how far an entry has got: a node has it if it holds any of its records.
func (s *boardService) spread(ctx context.Context, p place, id board.Hash) (*weftv1.PostResult, error) {
	sh, err := s.Store.EntryByID(ctx, p.id, id)
	if err != nil {
		return nil, err
	}
	positions, err := s.Store.Positions(ctx, p.id, id)
	if err != nil {
		return nil, err
	}
	out := &weftv1.PostResult{
		EntryId: id.String(), Origin: originName(sh.Origin), Seq: sh.Seq, State: stateStored,
		Nodes: uint32(s.otherNodes(p)), Hlc: uint64(sh.Entry.Header.HLC), Receipt: s.receipt(p.id, sh.Origin, sh.Seq),
	}
	for _, at := range positions {
		k, n := s.Mesh.Replicated(p.id, at)
		out.Nodes = uint32(n)
		out.Replicated = max(out.Replicated, uint32(k))
	}
	if out.Replicated > 0 {
		out.State = stateReplicated
	}
	return out, nil
}
