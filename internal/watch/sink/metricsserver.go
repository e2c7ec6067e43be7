package sink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/netutil"
)

// MetricsPort is used when --listen names none.
const MetricsPort = "9464"

// Limits of the metrics server.
const (
	metricsConns = 32
	metricsRead  = 5 * time.Second
	metricsWrite = 10 * time.Second
	metricsHead  = 8 << 10
)

// ListenMetrics opens the socket. An address without a host (":9464", "9464")
// is on 127.0.0.1: who wants more writes 0.0.0.0 or [::].
func ListenMetrics(ctx context.Context, addr string) (net.Listener, error) {
	if _, err := strconv.ParseUint(addr, 10, 16); err == nil {
		addr = ":" + addr
	}
	host, port, err := splitPort(addr)
	if err != nil {
		h, p, bad := net.SplitHostPort(addr)
		if bad != nil || h != "" {
			return nil, fmt.Errorf("listen for metrics on %q: %w", addr, err)
		}
		host, port = "127.0.0.1", p
	}
	if port == "" {
		port = MetricsPort
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	return ln, nil
}

// ServeMetrics answers GET /metrics and GET /healthz until ctx ends, and
// nothing else. figures is asked at each request and must be quick. healthy
// says why the watch is not well, or nil.
func ServeMetrics(ctx context.Context, ln net.Listener, figures func() ([]byte, error), healthy func() error) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { answerMetrics(w, figures) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answerHealth(w, healthy) })
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: metricsRead, ReadTimeout: metricsRead, WriteTimeout: metricsWrite,
		MaxHeaderBytes: metricsHead,
		BaseContext:    func(net.Listener) context.Context { return ctx },
	}
	// One request a connection: idle ones would keep others out.
	srv.SetKeepAlivesEnabled(false)
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	err := srv.Serve(netutil.LimitListener(ln, metricsConns))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve metrics: %w", err)
}

func answerMetrics(w http.ResponseWriter, figures func() ([]byte, error)) {
	b, err := figures()
	if err != nil {
		http.Error(w, "no figures", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(b)
}

func answerHealth(w http.ResponseWriter, healthy func() error) {
	if err := healthy(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
