package daemon

import (
	weftv1 "weft/api/weft/v1"
	"weft/rpc"
)

// Traffic reads the mesh's counters, the same that /metrics shows.
func (f meshFace) Traffic() rpc.Traffic {
	out := rpc.Traffic{Topics: f.mesh.Topics()}
	for _, t := range f.mesh.Traffic() {
		out.Kinds = append(out.Kinds, &weftv1.Traffic{Kind: t.Kind, SentBytes: t.Sent, ReceivedBytes: t.Received})
	}
	return out
}
