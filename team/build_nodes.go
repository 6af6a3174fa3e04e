package team

import (
	"fmt"

	"weft/board"

	weftv1 "weft/api/weft/v1"
)

// NewNode denies a node, or allows one that was denied. cut is what the caller's node had accepted of its logs
// (store.CutNode), needed to deny. It replaces all that counts on the node at present: allowing names the denials and
// proofs of forks that it lifts. Errors wrap ErrBadRequest, ErrUnchanged, or are those of NewSet for somebody without power.
func NewNode(st *State, id Identity, node board.NodeID, allowed bool, cut *weftv1.Cut, nonce [16]byte) (*Object, error) {
	to := "deny the node"
	if allowed {
		to = "allow the node"
	}
	if err := mayGovern(st, id, to); err != nil {
		return nil, err
	}
	if _, denied := st.Denial(node); denied != allowed {
		return nil, fmt.Errorf("couldn't %s: it is so already: %w", to, ErrUnchanged)
	}
	if !allowed && cut == nil {
		return nil, fmt.Errorf("couldn't %s: a denial says what was accepted before: %w", to, ErrBadRequest)
	}
	if allowed {
		cut = nil
	}
	op := operation(st, id, nonce)
	op.Kind = &weftv1.Operation_Node{Node: &weftv1.SetNode{Node: node[:], Allowed: allowed, Parents: hashes(st.nodeHeads(node)), Cut: cut}}
	return build(board.KindOperation, id.Device, op)
}

// NewFork tells a team of a node's contradiction. node is the key of the node that found it. nonce is random. Errors are
// those of board.Fork.Check.
func NewFork(t board.TeamID, node board.Key, proof *board.Fork, nonce [16]byte) (*Object, error) {
	if err := proof.Check(); err != nil {
		return nil, err
	}
	op := operationUnder(board.Hash(t), t, node.Public(), nonce)
	op.Kind = &weftv1.Operation_Fork{Fork: proof.Wire()}
	return build(board.KindOperation, node, op)
}

// NewFloor says that a log is pruned below a position; devices are the last numbers below it. key is that of the log's
// node. Errors wrap ErrBadRequest, ErrLimit, ErrUpgradeNeeded or board.ErrPending.
func NewFloor(st *State, key board.Key, at board.Position, devices []DeviceFloor, nonce [16]byte) (*Object, error) {
	if at.Node != key.Public() {
		return nil, fmt.Errorf("couldn't prune: the log is another node's: %w", ErrBadRequest)
	}
	return newFloor(st, operationUnder(board.Hash(st.ID()), st.ID(), at.Node, nonce), key, at, devices)
}

// NewFloorOf is NewFloor by an owner or admin, for the log of a node that is gone.
func NewFloorOf(st *State, id Identity, at board.Position, devices []DeviceFloor, nonce [16]byte) (*Object, error) {
	if err := mayGovern(st, id, "prune"); err != nil {
		return nil, err
	}
	if st.IsNode(at.Node) {
		return nil, fmt.Errorf("couldn't prune: the log's node is of the team and does that itself: %w", ErrBadRequest)
	}
	return newFloor(st, operation(st, id, nonce), id.Device, at, devices)
}

func newFloor(st *State, op *weftv1.Operation, key board.Key, at board.Position, devices []DeviceFloor) (*Object, error) {
	switch {
	case !st.Known():
		return nil, fmt.Errorf("couldn't prune: the team's charter is not here yet: %w", board.ErrPending)
	case st.UpgradeNeeded():
		return nil, fmt.Errorf("couldn't prune: %w", ErrUpgradeNeeded)
	case at.Board == board.GovernanceID(st.ID()):
		return nil, fmt.Errorf("couldn't prune: the governance board is kept for ever: %w", ErrBadRequest)
	case len(devices) > maxDevices:
		return nil, fmt.Errorf("couldn't prune: %d devices, a floor names at most %d: prune less at a time: %w", len(devices), maxDevices, ErrLimit)
	}
	f := &weftv1.Floor{Position: wirePosition(at)}
	for i := range devices {
		d := &devices[i]
		f.Devices = append(f.Devices, &weftv1.DeviceMark{Device: d.Device[:], DevEpoch: d.DevEpoch, DevSeq: d.DevSeq})
	}
	op.Kind = &weftv1.Operation_Floor{Floor: f}
	return build(board.KindOperation, key, op)
}
