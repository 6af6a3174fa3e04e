package p2p

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

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
	maxRecordsSize = 512 << 10
	recordsPerMin  = 20 // new records of one node that are taken and passed on
	maxRecordAddrs = 32
	keptAddrs      = 8 // addresses that worked, kept for a peer
	maxAddrText    = 512
)

// recordsChanged tells the loop that this node has new addresses.
type recordsChanged struct{}

// sendRecords tells a peer how to reach the nodes of the teams that it shares, this one first. A node that is in several of
// them is told of once: by each team, a hundred nodes with ten common teams would tell each other 30 MB. Called by the loop.
func (p *peering) sendRecords(k *link) {
	told := map[string]bool{}
	for _, t := range p.m.who.view.Load().shared[k.node] {
		if !p.m.who.mayReceive(k.node, t) {
			continue
		}
		all := slices.DeleteFunc(p.m.recordsOf(t), func(e []byte) bool { return told[string(e)] })
		for _, e := range all {
			told[string(e)] = true
		}
		if len(all) == 0 {
			continue
		}
		m := &weftv1.PeerRecords{Team: t[:], Envelopes: all}
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
	size := 0
	for i, n := range nodes {
		id, err := PeerIDOf(n)
		if err != nil || i > 0 && n == m.self || len(out) >= maxRecords {
			continue
		}
		if e := cab.GetPeerRecord(id); e != nil {
			if b, err := e.Marshal(); err == nil && len(b) <= maxRecord && size+len(b) <= maxRecordsSize {
				out = append(out, b)
				size += len(b)
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
		if !k.m.learn(t, b, k.node) {
			k.m.stats.refused.WithLabelValues("peer_record").Inc()
		}
	}
	return nil
}

// learned tells the loop of a peer record that is new here, to be passed on to the team's other nodes.
type learned struct {
	team     board.TeamID
	envelope []byte
	from     board.NodeID
}

// records are what is known of peer records beside the peerstore.
type records struct {
	mu      sync.Mutex
	seen    map[peer.ID]*seenRecord
	newest  map[[sha256.Size]byte]struct{} // the newest envelope taken of each, by hash
	waiting map[peer.ID]learned            // of nodes that aren't known as their team's (yet)
}

// seenRecord is the newest record that was taken of a node.
type seenRecord struct {
	seq   uint64            // the record's own number
	hash  [sha256.Size]byte // of the envelope
	n     int               // taken in the minute that began at since
	since time.Time
}

func newRecords() *records {
	return &records{seen: map[peer.ID]*seenRecord{}, newest: map[[sha256.Size]byte]struct{}{}, waiting: map[peer.ID]learned{}}
}

// knows says whether this very envelope was taken already. Every teammate tells of every other one, so most were.
func (r *records) knows(hash [sha256.Size]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.newest[hash]
	return ok
}

// take says whether a record is newer than the last one, and not one of a flood.
func (r *records) take(id peer.ID, seq uint64, hash [sha256.Size]byte, now time.Time) bool {
	s := r.seen[id]
	if s == nil {
		s = &seenRecord{since: now}
		r.seen[id] = s
	}
	if now.Sub(s.since) > time.Minute {
		s.n, s.since = 0, now
	}
	if seq <= s.seq || s.n >= recordsPerMin {
		return false
	}
	delete(r.newest, s.hash)
	r.newest[hash] = struct{}{}
	s.seq, s.hash = seq, hash
	s.n++
	return true
}

// takeWaiting empties what waits.
func (r *records) takeWaiting() []learned {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]learned, 0, len(r.waiting))
	for _, l := range r.waiting {
		out = append(out, l)
	}
	clear(r.waiting)
	return out
}

// learn takes a signed peer record of one of a team's nodes, and sees to it that the others hear of it. Only what the
// node itself has signed is believed. One of a node that isn't known to be the team's waits: governance may be on its way.
func (m *Mesh) learn(t board.TeamID, envelope []byte, from board.NodeID) bool {
	if len(envelope) > maxRecord {
		return false
	}
	hash := sha256.Sum256(envelope)
	if m.records.knows(hash) {
		return true
	}
	var rec peer.PeerRecord
	e, err := record.ConsumeTypedEnvelope(envelope, &rec)
	if err != nil || !rec.PeerID.MatchesPublicKey(e.PublicKey) || len(rec.Addrs) > maxRecordAddrs {
		return false
	}
	n, err := NodeIDOf(rec.PeerID)
	if err != nil {
		return false
	}
	if n == m.self {
		m.records.mu.Lock()
		m.records.take(rec.PeerID, rec.Seq, hash, m.o.Now())
		m.records.mu.Unlock()
		return true
	}
	l := learned{t, envelope, from}
	m.records.mu.Lock()
	if !m.who.mayAsk(n, t) {
		if len(m.records.waiting) < maxRecords {
			m.records.waiting[rec.PeerID] = l
		}
		m.records.mu.Unlock()
		return true
	}
	fresh := m.records.take(rec.PeerID, rec.Seq, hash, m.o.Now())
	m.records.mu.Unlock()
	if !fresh {
		return true
	}
	cab, ok := peerstore.GetCertifiedAddrBook(m.host.Peerstore())
	if !ok {
		return false
	}
	if _, err := cab.ConsumePeerRecord(e, peerstore.PermanentAddrTTL); err != nil {
		return false
	}
	m.kv.set("record/"+rec.PeerID.String(), envelope)
	m.peers.alive(rec.PeerID)
	m.hint(l)
	return true
}

// addrTexts are addresses as texts, those left out that can't be told on: anybody may sign some that are no UTF-8.
func addrTexts(addrs []ma.Multiaddr) (out []string) {
	for _, a := range addrs {
		if text := a.String(); len(text) <= maxAddrText && utf8.ValidString(text) {
			out = append(out, text)
		}
	}
	return out
}

// passOn sends a peer record to the team's nodes but the one that it came from. Called by the loop.
func (l *loop) passOn(x learned) {
	m := &weftv1.PeerRecords{Team: x.team[:], Envelopes: [][]byte{x.envelope}}
	for key, k := range l.links {
		if key.governance && key.node != x.from && l.m.who.mayReceive(key.node, x.team) {
			k.send(&weftv1.SyncFrame{Frame: &weftv1.SyncFrame_Peers{Peers: m}})
		}
	}
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
