package p2p

import (
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	ma "github.com/multiformats/go-multiaddr"

	weftv1 "weft/api/weft/v1"
	"weft/board"
)

const (
	maxRecord      = 8 << 10 // bytes of one signed peer record
	maxRecords     = 512     // in one frame
	maxRecordAddrs = 32
	keptAddrs      = 8 // addresses that worked, kept for a peer
)

// recordsChanged tells the loop that this node has new addresses.
type recordsChanged struct{}

// sendRecords tells a peer how to reach the nodes of the teams that it shares, this one first. Called by the loop.
func (p *peering) sendRecords(k *link) {
	for _, t := range p.m.who.view.Load().shared[k.node] {
		if !p.m.who.mayReceive(k.node, t) {
			continue
		}
		m := &weftv1.PeerRecords{Team: t[:], Envelopes: p.m.recordsOf(t)}
		k.send(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Peers{Peers: m}})
	}
}

// recordsOf are the signed peer records that are known of a team's nodes, this node's first.
func (m *Mesh) recordsOf(t board.TeamID) (out [][]byte) {
	cab, ok := peerstore.GetCertifiedAddrBook(m.host.Peerstore())
	st, known := m.o.Store.Team(t)
	if !ok || !known {
		return nil
	}
	nodes := append([]board.NodeID{m.self}, st.Nodes()...)
	for i, n := range nodes {
		id, err := PeerIDOf(n)
		if err != nil || i > 0 && n == m.self || len(out) >= maxRecords {
			continue
		}
		if e := cab.GetPeerRecord(id); e != nil {
			if b, err := e.Marshal(); err == nil && len(b) <= maxRecord {
				out = append(out, b)
			}
		}
	}
	return out
}

// takePeers learns where a team's other nodes are.
func (k *link) takePeers(m *weftv1.PeerRecords) error {
	t, err := teamID(m.Team)
	if err != nil {
		return err
	}
	if len(m.Envelopes) > maxRecords {
		return errFrameTooLarge
	}
	if !k.governance || !k.m.who.mayAsk(k.node, t) {
		k.m.stats.refused.WithLabelValues("records_of_stranger").Inc()
		return nil
	}
	for _, b := range m.Envelopes {
		if !k.m.learn(t, b) {
			k.m.stats.refused.WithLabelValues("peer_record").Inc()
		}
	}
	return nil
}

// learn takes a signed peer record of one of a team's nodes. Only what the node itself has signed is believed.
func (m *Mesh) learn(t board.TeamID, envelope []byte) bool {
	if len(envelope) > maxRecord {
		return false
	}
	var rec peer.PeerRecord
	e, err := record.ConsumeTypedEnvelope(envelope, &rec)
	if err != nil || !rec.PeerID.MatchesPublicKey(e.PublicKey) || len(rec.Addrs) > maxRecordAddrs {
		return false
	}
	n, err := NodeIDOf(rec.PeerID)
	if err != nil || n == m.self || !m.who.mayAsk(n, t) {
		return n == m.self
	}
	cab, ok := peerstore.GetCertifiedAddrBook(m.host.Peerstore())
	if !ok {
		return false
	}
	old := cab.GetPeerRecord(rec.PeerID)
	fresh, err := cab.ConsumePeerRecord(e, peerstore.PermanentAddrTTL)
	if err != nil {
		return false
	}
	if fresh && (old == nil || !old.Equal(e)) {
		m.kv.set("record/"+rec.PeerID.String(), envelope)
		m.peers.alive(rec.PeerID)
	}
	return true
}

// keepAddress remembers an address at which a peer was reached.
func (p *peering) keepAddress(id peer.ID, a ma.Multiaddr) {
	key := "addrs/" + id.String()
	old, _ := p.m.kv.get(key)
	all := strings.Fields(string(old))
	if len(all) > 0 && all[0] == a.String() {
		return
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == a.String() })
	all = append([]string{a.String()}, all...)
	p.m.kv.set(key, []byte(strings.Join(all[:min(len(all), keptAddrs)], "\n")))
}

// loadAddresses puts what was learned before a restart into the peerstore.
func (p *peering) loadAddresses() {
	book := p.m.host.Peerstore()
	p.m.kv.scan("addrs/", func(key string, value []byte) {
		id, err := peer.Decode(strings.TrimPrefix(key, "addrs/"))
		for _, text := range strings.Fields(string(value)) {
			if a, bad := ma.NewMultiaddr(text); bad == nil && err == nil {
				book.AddAddr(id, a, peerstore.PermanentAddrTTL)
			}
		}
	})
	cab, ok := peerstore.GetCertifiedAddrBook(book)
	p.m.kv.scan("record/", func(_ string, value []byte) {
		var rec peer.PeerRecord
		if e, err := record.ConsumeTypedEnvelope(value, &rec); err == nil && ok {
			cab.ConsumePeerRecord(e, peerstore.PermanentAddrTTL)
		}
	})
}

// mdnsTag is the service's name on the local network.
const mdnsTag = "_weft._udp"

// startMDNS announces this node on the local network and looks for others.
func (m *Mesh) startMDNS() (stop func()) {
	s := mdns.NewMdnsService(m.host, mdnsTag, (*mdnsFound)(m.peers))
	if err := s.Start(); err != nil {
		m.log.Warn("couldn't look for nodes on the local network", "err", err)
		return func() {}
	}
	return func() { s.Close() }
}

type mdnsFound peering

// HandlePeerFound takes an address of a node that is known already; strangers on the local network are left alone.
func (f *mdnsFound) HandlePeerFound(info peer.AddrInfo) {
	p := (*peering)(f)
	if !p.m.gate.known(info.ID) || len(info.Addrs) > maxRecordAddrs {
		return
	}
	p.m.host.Peerstore().AddAddrs(info.ID, info.Addrs, time.Hour)
	if p.m.host.Network().Connectedness(info.ID) != network.Connected {
		p.alive(info.ID)
	}
}
