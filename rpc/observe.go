package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
)

// observer is the one interceptor: it counts calls, turns panics into INTERNAL, gives every error its ErrorDetail, and
// logs without a word of what was said.
type observer struct {
	log      *slog.Logger
	calls    *prometheus.CounterVec // by procedure and code
	seconds  *prometheus.HistogramVec
	open     *prometheus.GaugeVec
	panics   prometheus.Counter
	refusals prometheus.CounterFunc
	sessions prometheus.Gauge // Sync streams
	acks     prometheus.Gauge // arrival of the last Ack

	byName map[string]*procedure // filled at start, read-only later
}

// procedure holds a procedure's metrics, looked up once.
type procedure struct {
	ok      prometheus.Counter
	seconds prometheus.Observer
	open    prometheus.Gauge
}

func newObserver(log *slog.Logger, reg prometheus.Registerer) (*observer, error) {
	o := &observer{
		log: log,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_rpc_calls_total", Help: "Calls of the API that have ended, by procedure and code.",
		}, []string{"procedure", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weft_rpc_seconds", Help: "How long unary calls of the API took.",
			Buckets: []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30},
		}, []string{"procedure"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weft_rpc_open", Help: "Calls and streams of the API under way.",
		}, []string{"procedure"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weft_rpc_panics_total", Help: "Panics in handlers of the API, each answered with INTERNAL.",
		}),
		refusals: prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weft_rpc_refused_connections_total", Help: "Connections to the socket by other users.",
		}, func() float64 { return float64(refusedConnections.Load()) }),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weft_rpc_sync_streams", Help: "Sync streams open.",
		}),
		acks: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weft_rpc_acked_arrival", Help: "The arrival that a client acknowledged last.",
		}),
		byName: map[string]*procedure{},
	}
	for p := range procedures() {
		o.byName[p] = &procedure{
			ok: o.calls.WithLabelValues(shortName(p), "ok"), seconds: o.seconds.WithLabelValues(shortName(p)), open: o.open.WithLabelValues(shortName(p)),
		}
	}
	if reg == nil {
		return o, nil
	}
	for _, c := range []prometheus.Collector{o.calls, o.seconds, o.open, o.panics, o.refusals, o.sessions, o.acks} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("couldn't register the API's metrics: %w", err)
		}
	}
	return o, nil
}

// shortName is "BoardService/Post" of "/weft.v1.BoardService/Post".
func shortName(procedure string) string { return strings.TrimPrefix(procedure, "/weft.v1.") }

func (o *observer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
		began := time.Now()
		name := req.Spec().Procedure
		p := o.byName[name]
		if p == nil { // health and reflection
			return next(ctx, req)
		}
		p.open.Inc()
		defer func() {
			if r := recover(); r != nil {
				err = o.panicked(name, r)
			}
			p.open.Dec()
			p.seconds.Observe(time.Since(began).Seconds())
			err = o.ended(ctx, name, p, err)
		}()
		if err := unreadable(req.Any()); err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

func (o *observer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		name := conn.Spec().Procedure
		p := o.byName[name]
		if p == nil {
			return next(ctx, conn)
		}
		p.open.Inc()
		defer func() {
			if r := recover(); r != nil {
				err = o.panicked(name, r)
			}
			p.open.Dec()
			err = o.ended(ctx, name, p, err)
		}()
		return next(ctx, checkedConn{conn})
	}
}

func (o *observer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// ended counts and logs the end of a call and returns its error as callers get it.
func (o *observer) ended(ctx context.Context, name string, p *procedure, err error) error {
	if err == nil {
		p.ok.Inc()
		return nil
	}
	wire := wireError(err)
	code := wire.Code()
	o.calls.WithLabelValues(shortName(name), code.String()).Inc()
	switch code {
	case connect.CodeInternal, connect.CodeDataLoss, connect.CodeUnknown:
		// Such errors are about the store and the machine; they carry no words of people.
		o.log.ErrorContext(ctx, "call failed", "procedure", shortName(name), "code", code.String(), "reason", string(reasonOf(err)), "err", err.Error())
	default:
		o.log.DebugContext(ctx, "call refused", "procedure", shortName(name), "code", code.String(), "reason", string(reasonOf(err)))
	}
	return wire
}

// panicked answers a panic. Its value is not logged, since it could quote a message; the stack tells where it was.
func (o *observer) panicked(name string, r any) error {
	if r == http.ErrAbortHandler { //nolint:errorlint // net/http compares by ==, too
		panic(r)
	}
	o.panics.Inc()
	o.log.Error("panic in a call", "procedure", shortName(name), "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
	return refuse(reasonInternal, "couldn't finish the call: the handler panicked")
}

// checkedConn refuses requests that a codec could not read.
type checkedConn struct{ connect.StreamingHandlerConn }

func (c checkedConn) Receive(m any) error {
	if err := c.StreamingHandlerConn.Receive(m); err != nil {
		return err
	}
	return unreadable(m)
}
