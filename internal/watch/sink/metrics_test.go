package sink

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)`)
)

// readMetrics is strict about the text format: families in one piece with HELP
// and TYPE first, no sample twice, counters named _total, base units.
func readMetrics(text string) (map[string]float64, error) {
	out, family, kind, seen := map[string]float64{}, "", "", map[string]bool{}
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("no newline at the end")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(name, " ")
			if seen[name] || help == "" {
				return nil, fmt.Errorf("%q: twice, or without help", line)
			}
			family, kind, seen[name] = name, "", true
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, k, _ := strings.Cut(rest, " ")
			if name != family || kind != "" || k != "counter" && k != "gauge" || (k == "counter") != strings.HasSuffix(name, "_total") {
				return nil, fmt.Errorf("%q", line)
			}
			kind = k
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || m[1] != family || kind == "" {
			return nil, fmt.Errorf("%q stands outside its family", line)
		}
		for labels := m[2]; labels != ""; {
			l := labelPair.FindString(labels)
			if l == "" {
				return nil, fmt.Errorf("labels %q", labels)
			}
			labels = labels[len(l):]
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if _, dup := out[m[1]+m[2]]; dup || err != nil {
			return nil, fmt.Errorf("%q: twice, or no number", line)
		}
		out[m[1]+m[2]] = v
	}
	return out, nil
}

func TestMetrics(t *testing.T) {
	f := &Figures{
		Version: "v1 \"\\\n", Listeners: 12, Changes: map[string]uint64{"opened": 7, "strange": 1}, Findings: map[string]int{"high": 2},
		Lost: 3, Listed: time.Unix(1700000000, 0), Started: time.Unix(1690000000, 5e8),
	}
	b := AppendMetrics(nil, f, []Status{{Label: "hook", Kind: Webhook, Spooled: 4, SpoolBytes: 1 << 40, Failures: 9, LastError: "down"}, {Label: "x", Kind: Stderr, Sent: 5}})
	got, err := readMetrics(string(b))
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]float64{
		`portreeve_changes_totalkind="opened"`: 7, `portreeve_changes_totalkind="closed"`: 0, `portreeve_changes_totalkind="strange"`: 1,
		`portreeve_findings_openseverity="high"`: 2, `portreeve_findings_openseverity="low"`: 0, "portreeve_events_lost_total": 3,
		"portreeve_last_listing_timestamp_seconds": 1700000000, "portreeve_start_timestamp_seconds": 1690000000.5,
		`portreeve_sink_upsink="hook",kind="webhook"`: 0, `portreeve_sink_upsink="x",kind="stderr"`: 1, `portreeve_sink_spool_bytessink="hook",kind="webhook"`: 1 << 40,
	} {
		if v, ok := got[k]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", k, v, ok, want)
		}
	}
	if got, err := readMetrics(string(AppendMetrics(nil, new(Figures), nil))); err != nil || len(got) < 12 {
		t.Error(err, got)
	}
}

func TestMetricsServer(t *testing.T) {
	t.Parallel()
	ln, err := ListenMetrics(t.Context(), ":0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if !strings.HasPrefix(addr, "127.0.0.1:") {
		t.Fatal(addr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var sick error
	figures := func() ([]byte, error) { return AppendMetrics(nil, new(Figures), nil), nil }
	go func() { done <- ServeMetrics(ctx, ln, figures, func() error { return sick }) }()
	// Somebody who never ends his request keeps nobody out.
	slow, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_, _ = slow.Write([]byte("GET /metrics HTTP/1.1\r\nX-A: "))
	for _, c := range []struct {
		method, path string
		code         int
	}{{"GET", "/metrics", 200}, {"GET", "/healthz", 200}, {"POST", "/metrics", 405}, {"GET", "/", 404}, {"GET", "/debug/pprof/", 404}, {"HEAD", "/metrics", 200}} {
		req, _ := http.NewRequestWithContext(t.Context(), c.method, "http://"+addr+c.path, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.code {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, resp.StatusCode, c.code)
		}
		if c.path == "/metrics" && c.method == "GET" {
			if _, err := readMetrics(string(b)); err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
				t.Error(err, resp.Header)
			}
		}
	}
	sick = io.ErrUnexpectedEOF
	if resp, err := http.Get("http://" + addr + "/healthz"); err != nil || resp.StatusCode != 503 {
		t.Error(err, resp)
	}
	_ = slow.SetReadDeadline(time.Now().Add(metricsRead + 10*time.Second))
	if line, _ := bufio.NewReader(slow).ReadString('\n'); strings.Contains(line, "200") {
		t.Error("the slow one was answered")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestListenMetricsAddress(t *testing.T) {
	for addr, want := range map[string]string{"127.0.0.1:0": "127.0.0.1:", "[::1]:0": "[::1]:", ":0": "127.0.0.1:", "localhost:0": "127.0.0.1:"} {
		ln, err := ListenMetrics(t.Context(), addr)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		if !strings.HasPrefix(ln.Addr().String(), want) && addr != "localhost:0" {
			t.Errorf("%s: %s", addr, ln.Addr())
		}
		_ = ln.Close()
	}
	for _, addr := range []string{"", "host:port:more", "127.0.0.1:99999", "127.0.0.1:http!"} {
		if ln, err := ListenMetrics(t.Context(), addr); err == nil {
			t.Errorf("%q: %s", addr, ln.Addr())
			_ = ln.Close()
		}
	}
}
