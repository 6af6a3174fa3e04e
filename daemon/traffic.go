package daemon

import (
	weftv1 "weft/api/weft/v1"
	"weft/rpc"
)

// Names of the counters that a mesh keeps of its traffic, with the label kind.
const (
	sentBytes     = "weft_p2p_sent_bytes_total"
	receivedBytes = "weft_p2p_received_bytes_total"
)

// Traffic reads the mesh's own counters, so that pages and metrics never say different things.
func (f meshFace) Traffic() rpc.Traffic {
	byKind := map[string]*weftv1.Traffic{}
	families, _ := f.metrics.Gather() //nolint:errcheck // what could be read is there all the same
	for _, family := range families {
		sent := family.GetName() == sentBytes
		if !sent && family.GetName() != receivedBytes {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() != "kind" {
					continue
				}
				t := byKind[l.GetValue()]
				if t == nil {
					t = &weftv1.Traffic{Kind: l.GetValue()}
					byKind[l.GetValue()] = t
				}
				if sent {
					t.SentBytes = uint64(m.GetCounter().GetValue())
				} else {
					t.ReceivedBytes = uint64(m.GetCounter().GetValue())
				}
			}
		}
	}
	out := rpc.Traffic{}
	for _, t := range byKind {
		out.Kinds = append(out.Kinds, t)
	}
	return out
}
