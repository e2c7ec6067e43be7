package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestWebhookDelivers(t *testing.T) {
	got := make(chan *http.Request, 10)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		got <- r
	}))
	defer srv.Close()
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if os.WriteFile(ca, cert, 0o600) != nil || os.WriteFile(token, []byte("Bearer s3cret\n"), 0o600) != nil {
		t.Fatal("no files")
	}
	place, _ := testPlace(t)
	f := open(t, place, Config{Kind: Webhook, URL: srv.URL + "/hook?k=v", CA: ca, HeaderFiles: map[string]string{"Authorization": token}, Headers: map[string]string{"X-Team": "db"}})
	if err := f.Send(t.Context(), hostileNotice("n1")); err != nil {
		t.Fatal(err)
	}
	r := <-got
	var doc map[string]any
	if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if r.Method != "POST" || r.URL.String() != "/hook?k=v" || r.Header.Get("Authorization") != "Bearer s3cret" || r.Header.Get("X-Team") != "db" ||
		r.Header.Get("Idempotency-Key") != "n1" || r.Header.Get("Content-Type") != "application/json" || doc["endpoint"] != "tcp/0.0.0.0:5432" || doc["id"] != "n1" {
		t.Fatal(r.Method, r.URL, r.Header, doc)
	}
	eventually(t, "it is counted", func() bool { st := f.Status()[0]; return st.Sent == 1 && st.Spooled == 0 })
	// The test's own authority is not the system's: without `ca` nothing goes.
	place2, said := testPlace(t)
	f2 := open(t, place2, Config{Kind: Webhook, URL: srv.URL})
	send(t, f2, 0, 1)
	eventually(t, "it is refused", func() bool { return strings.Contains(strings.Join(said.all(), "\n"), "certificate") })
	if len(got) > 0 {
		t.Fatal("sent to a stranger")
	}
}

// TestWebhookAnswers: what each kind of receiver makes of one notice.
func TestWebhookAnswers(t *testing.T) {
	answer := func(code int, head ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i+1 < len(head); i += 2 {
				w.Header().Set(head[i], head[i+1])
			}
			w.WriteHeader(code)
			_, _ = w.Write([]byte("be\x1b[31mcause"))
		}
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_, _ = c.Write([]byte(text))
			_ = c.Close()
		}
	}
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    string // sent, parked or waits
		says    string
	}{
		{"200", answer(200), "sent", ""},
		{"204", answer(204), "sent", ""},
		{"400", answer(400), "parked", "answer 400"},
		{"401", answer(401), "parked", `"be\x1b[31mcause"`},
		{"404", answer(404), "parked", "answer 404"},
		{"408", answer(408), "waits", "answer 408"},
		{"429", answer(429), "waits", "answer 429"},
		{"500", answer(500), "waits", "answer 500"},
		{"redirect", answer(307, "Location", "http://127.0.0.1:1/elsewhere"), "waits", "elsewhere"},
		{"reset", raw(""), "waits", "EOF"},
		{"garbage", raw("\x00\xff hello\r\n\r\n"), "waits", "malformed"},
		{"cut body", raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), "sent", ""},
		{"endless header", raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 200_000)), "waits", "header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(c.handler)
			defer srv.Close()
			place, said := testPlace(t)
			f := open(t, place, Config{Kind: Webhook, URL: srv.URL})
			send(t, f, 0, 1)
			eventually(t, c.want, func() bool {
				st := f.Status()[0]
				return map[string]bool{"sent": st.Sent == 1, "parked": st.Parked == 1, "waits": st.Failures > 0 && st.Spooled == 1}[c.want]
			})
			if text := strings.Join(said.all(), "\n"); !strings.Contains(text, c.says) || strings.Contains(text, "\x1b") {
				t.Fatalf("it says %q, want %q", text, c.says)
			}
			if c.want == "parked" {
				b, err := os.ReadFile(filepath.Join(place.Spool, Webhook, "parked.jsonl"))
				var p struct {
					ID, Why string
					Body    map[string]any
				}
				if err != nil || json.Unmarshal(b, &p) != nil || p.ID != "n000000" || p.Why == "" || p.Body["id"] != "n000000" {
					t.Fatalf("%v %s", err, b)
				}
			}
		})
	}
}

// TestWebhookSlow: a receiver that hangs and one that trickles end with the
// timeout, and never keep Send waiting.
func TestWebhookSlow(t *testing.T) {
	stop := make(chan struct{})
	for name, handler := range map[string]http.HandlerFunc{
		"hangs": func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		},
		"trickles": func(w http.ResponseWriter, r *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			defer c.Close()
			for _, b := range []byte("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("b", 10000)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(handler)
			place, said := testPlace(t)
			f := open(t, place, Config{Kind: Webhook, URL: srv.URL, Timeout: 150 * time.Millisecond})
			send(t, f, 0, 200)
			eventually(t, "it gives up", func() bool { return strings.Contains(strings.Join(said.all(), "\n"), "no answer within 150ms") })
			if st := f.Status()[0]; st.Spooled != 200 || st.Dropped != 0 {
				t.Fatalf("%+v", st)
			}
			srv.CloseClientConnections()
		})
	}
	close(stop)
}

// TestWebhookComesBack: while the receiver is not there notices wait; then all
// come, in order, once.
func TestWebhookComesBack(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close() // nobody listens
	place, said := testPlace(t)
	f := open(t, place, Config{Kind: Webhook, URL: "http://" + addr})
	send(t, f, 0, 50)
	eventually(t, "a failure", func() bool { return f.Status()[0].Failures > 0 })
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Skip("the port was taken meanwhile:", err)
	}
	var keys []string
	ids := make(chan string, 100)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ids <- r.Header.Get("Idempotency-Key") })}
	go func() { _ = srv.Serve(ln) }()
	defer srv.Close()
	for range 50 {
		keys = append(keys, <-ids)
	}
	if !slices.IsSorted(keys) || len(slices.Compact(keys)) != 50 {
		t.Fatal(keys)
	}
	eventually(t, "it says so", func() bool { return strings.Contains(strings.Join(said.all(), "\n"), "delivers again") })
	if err := f.Close(t.Context()); err != nil || len(ids) != 0 {
		t.Fatal(err, len(ids))
	}
}

func TestWebhookRetryAfter(t *testing.T) {
	t.Parallel()
	var first, second atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(0, time.Now().UnixNano()) {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(429)
			return
		}
		second.Store(time.Now().UnixNano())
	}))
	defer srv.Close()
	place, _ := testPlace(t)
	f := open(t, place, Config{Kind: Webhook, URL: srv.URL})
	send(t, f, 0, 1)
	eventually(t, "the second try", func() bool { return second.Load() != 0 })
	if waited := time.Duration(second.Load() - first.Load()); waited < 2900*time.Millisecond {
		t.Fatal("came back after", waited)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "99999999": time.Hour, "x": 0, "Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Wed, 31 Dec 2025 00:01:00 GMT": 0, "999999999999999999999": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestWebhookSecretIsNotShown(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hunter2\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	place, said := testPlace(t)
	f := open(t, place, Config{Kind: Webhook, URL: "http://127.0.0.1:1/?key=hunter2", HeaderFiles: map[string]string{"Authorization": token}})
	send(t, f, 0, 1)
	eventually(t, "it complains", func() bool { return len(said.all()) > 0 })
	if text := strings.Join(said.all(), "\n"); strings.Contains(text, "hunter2") || !strings.Contains(text, "more than one line") {
		t.Fatal(text)
	}
	if err := os.WriteFile(token, []byte("hunter2\n"), 0o600); err != nil { // read anew at each delivery
		t.Fatal(err)
	}
	eventually(t, "the secret is read again", func() bool { return strings.Contains(f.Status()[0].LastError, "refused") })
	if text := f.Status()[0].LastError; strings.Contains(text, "hunter2") {
		t.Fatal(text)
	}
}

// TestSpoolFullIsTold: what does not fit is counted, said, and told to the
// receiver.
func TestSpoolFullIsTold(t *testing.T) {
	r := make(chan string, 10000)
	var up atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !up.Load() {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(503)
			return
		}
		r <- req.Header.Get("Portreeve-Dropped")
	}))
	defer srv.Close()
	place, said := testPlace(t)
	f := open(t, place, Config{Kind: Webhook, URL: srv.URL, SpoolSize: minSpool})
	send(t, f, 0, 1000)
	st := f.Status()[0]
	if st.Dropped == 0 || st.Spooled == 0 || st.Dropped+uint64(st.Spooled) != 1000 || st.SpoolBytes > minSpool {
		t.Fatalf("%+v", st)
	}
	up.Store(true)
	if got := <-r; got != fmt.Sprint(st.Dropped) {
		t.Fatalf("told %q, want %d", got, st.Dropped)
	}
	if text := strings.Join(said.all(), "\n"); !strings.Contains(text, "the spool is full") {
		t.Fatal(text)
	}
}

// TestFanoutDoesNotWait: sinks that hang, for good, keep neither Send nor each
// other waiting, and what is lost is counted.
func TestFanoutDoesNotWait(t *testing.T) {
	place, _ := testPlace(t)
	f := NewFanout(t.Context(), place)
	f.Add("stuck", stuck{})
	var out bytes.Buffer
	f.Add("lines", NewLines(&out))
	begun := time.Now()
	for i := range 10000 {
		if err := f.Send(t.Context(), notice(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 0 {
			eventually(t, "the other goes on", func() bool { return f.Status()[1].Queued < 3000 })
		}
	}
	eventually(t, "the other has all", func() bool { return f.Status()[1].Sent == 10000 })
	if took := time.Since(begun); took > 15*time.Second {
		t.Fatal(took)
	}
	if st := f.Status()[0]; st.Dropped != 10000-defaultQueue-1 {
		t.Fatalf("%+v", st)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Close(ctx); err == nil || bytes.Count(out.Bytes(), []byte("\n")) != 10000 {
		t.Fatal(err)
	}
	if err := f.Send(t.Context(), notice("late")); err == nil {
		t.Fatal("a closed fan-out takes notices")
	}
}

type stuck struct{}

func (stuck) Send(ctx context.Context, _ *Notice) error { <-ctx.Done(); return ctx.Err() }
func (stuck) Close(context.Context) error               { return nil }
