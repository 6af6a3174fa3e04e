package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	weftv1 "weft/api/weft/v1"
)

// newRegistry holds a node's metrics; each part adds its own.
func newRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "weft_build_info", Help: "1, with the version as a label."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// operations are the pages for machines that watch over the node: /metrics, /healthz (the process answers) and /readyz
// (the store takes posts).
func (d *Daemon) operations() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn)}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := d.notReady(); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// notReady says why posts are not taken now, or nothing.
func (d *Daemon) notReady() string {
	status := d.store.Status()
	switch {
	case d.ctx.Err() != nil:
		return "stopping"
	case status.Failed != "":
		return "store failed: " + status.Failed
	case status.Full:
		return "storage full"
	}
	return ""
}

// withOperations puts the pages beside the API.
func (d *Daemon) withOperations(api http.Handler) http.Handler {
	pages := d.operations()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics", "/healthz", "/readyz":
			pages.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// serveOperations answers on the loopback port until ctx ends.
func (d *Daemon) serveOperations(ctx context.Context, l net.Listener) error {
	pages := d.operations()
	server := &http.Server{
		Handler:           onlyHost(l.Addr().String(), pages),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("couldn't serve metrics: %w", err)
	}
	return nil
}

// onlyHost refuses requests that name another host: a web page that rebinds its name to this address must not read them.
func onlyHost(address string, next http.Handler) http.Handler {
	_, port, _ := net.SplitHostPort(address)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Host {
		case "127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port, address:
			next.ServeHTTP(w, r)
		default:
			http.Error(w, "unknown host", http.StatusForbidden)
		}
	})
}

// doctor adds what only a running node knows to Doctor.
func (d *Daemon) doctor(context.Context) []*weftv1.DoctorCheck {
	checks := Doctor(d.cfg)
	ahead, peers := d.mesh.ClockSkew()
	checks = append(checks, checkSkew(ahead, peers), checkListen(d.mesh.Addrs()), checkSocket(d.socket), checkStore(d.store.Status()), checkTeams(d.store), d.checkPresence())
	return checks
}
