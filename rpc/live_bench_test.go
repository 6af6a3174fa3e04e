package rpc_test

import (
	"testing"
	"time"

	weftv1 "weft/api/weft/v1"
	"weft/presence/hub"
	"weft/rpc/rpctest"
)

// unlimited lifts the limits of the live lane, to see what is behind them.
func unlimited(r *rpctest.Rig) {
	r.Live = hub.Limits{Live: hub.LiveLimit{Batches: 1e9, Messages: 1e9, Bytes: 1e12, Lump: time.Second}}
}

// BenchmarkSay is one live message a call by 64 callers through the socket.
func BenchmarkSay(b *testing.B) {
	r := rpctest.Start(b, unlimited)
	id := r.Team(b, "crew").String()
	b.SetParallelism(32) // × GOMAXPROCS
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Client.Say(b.Context(), id, &weftv1.LiveSend{Kind: "cursor", Body: []byte(words)}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkSayBatch is 100 live messages a call by 8 callers.
func BenchmarkSayBatch(b *testing.B) {
	r := rpctest.Start(b, unlimited)
	id := r.Team(b, "crew").String()
	var batch []*weftv1.LiveSend
	for range 100 {
		batch = append(batch, &weftv1.LiveSend{Kind: "cursor", Body: []byte(words)})
	}
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Client.Say(b.Context(), id, batch...); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "messages/s")
}
