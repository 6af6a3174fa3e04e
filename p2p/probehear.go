package p2p

import (
	"errors"

	weftv1 "weft/api/weft/v1"
	"weft/board"
	"weft/presence/detect"
)

// said takes a node's own word, by itself.
func (p *probing) said(from board.NodeID, w *weftv1.NodeAlive, signed *weftv1.Signed) {
	p.tell(true, detect.Said{From: from, Word: wordOf(w, signed)})
}

// wordOf is a word whose form and signature are good.
func wordOf(w *weftv1.NodeAlive, signed *weftv1.Signed) detect.Word {
	return detect.Word{
		Node: board.NodeID(w.Node), Boot: [16]byte(w.Boot), BootMs: w.BootMs, Incarnation: w.Incarnation, Goodbye: w.Goodbye, Signed: signed,
	}
}

// receive takes a probe, an answer or suspicions, in the goroutine of the stream's reader.
func (p *probing) receive(from board.NodeID, f *weftv1.PresenceFrame) {
	switch f := f.Frame.(type) {
	case *weftv1.PresenceFrame_Probe:
		switch about, nonce := len(f.Probe.GetTarget()), f.Probe.GetNonce(); {
		case about == 0 && len(nonce) == 0:
			p.tell(false, detect.Probed{From: from, ID: f.Probe.GetId()})
		case about == 0 && len(nonce) == probeNonce:
			p.tell(false, detect.Probed{From: from, ID: f.Probe.Id, Nonce: nonce})
		case about == 32 && len(nonce) == probeNonce:
			p.tell(false, detect.AskedFor{From: from, Target: board.NodeID(f.Probe.Target), ID: f.Probe.Id, Nonce: nonce})
		default:
			p.m.offend(from, "probe_malformed")
		}
	case *weftv1.PresenceFrame_Answer:
		if n := len(f.Answer.GetProof()); n != 0 && n != 64 {
			p.m.offend(from, "probe_malformed")
			return
		}
		p.words(from, f.Answer.GetAlive())
		p.tell(false, detect.Answered{From: from, ID: f.Answer.GetId(), Silent: f.Answer.GetSilent(), Late: f.Answer.GetLate(), Proof: f.Answer.GetProof()})
	case *weftv1.PresenceFrame_Suspicions:
		ev := detect.Told{From: from}
		for _, s := range f.Suspicions.GetNodes() {
			if len(s.GetNode()) != 32 || len(s.GetBoot()) != 16 {
				p.m.offend(from, "suspicion_malformed")
				return
			}
			ev.Suspicions = append(ev.Suspicions, detect.Suspicion{Node: board.NodeID(s.Node), Boot: [16]byte(s.Boot), Incarnation: s.Incarnation, Dead: s.Dead})
		}
		p.words(from, f.Suspicions.GetAlive()...)
		if len(ev.Suspicions) > 0 {
			p.tell(false, ev)
		}
	}
}

// words takes words that from passes on, its own among them perhaps.
func (p *probing) words(from board.NodeID, list ...*weftv1.Signed) {
	for _, s := range list {
		if s == nil {
			continue
		}
		w, err := p.m.voices.readWord(s)
		var why rejected
		switch {
		case err == nil:
			p.tell(false, detect.Said{From: from, Word: wordOf(w, s)})
			continue
		case !errors.As(err, &why):
			why = rejected{"malformed", true}
		}
		p.m.stats.refused.WithLabelValues("word_" + why.outcome).Inc()
		if why.fault {
			p.m.offend(from, "word_"+why.outcome)
			return
		}
	}
}
