package sink

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// hostile is text as a process might call itself.
const hostile = "evil\r\nBcc: x@y\x1b[31m]\"\\ \u202e\xff=\x00%s"

func notice(id string) *Notice {
	s := &exposure.Socket{
		Proto: exposure.TCP, State: exposure.Listen, Addr: exposure.IPAddress(netip.MustParseAddr("0.0.0.0")), Port: 5432, Scope: exposure.ScopeAny,
		Processes: []exposure.Process{{PID: 812, Name: "postgres", Exe: "/usr/lib/postgresql/bin/postgres", User: "postgres", Cmdline: "postgres -D /var"}},
		Unit:      "postgresql.service", Package: "postgresql-15",
	}
	return &Notice{
		ID: id, Host: "db-01", Change: drift.Change{Kind: drift.Opened, Endpoint: s.Endpoint(), After: s, At: time.Date(2026, 3, 1, 12, 30, 1, 123456789, time.UTC)},
		Finding: &exposure.Finding{ID: "f1", Rule: "exposed-datastore", Severity: exposure.High, Endpoint: "tcp/0.0.0.0:5432", Title: "strangers reach a database", Because: []string{"it listens everywhere", "the firewall lets in"}},
	}
}

func hostileNotice(id string) *Notice {
	n := notice(id)
	s := *n.After
	s.Processes = []exposure.Process{{PID: 1, Name: hostile, Exe: "/tmp/" + hostile, User: hostile, Cmdline: hostile}}
	s.Unit = hostile
	n.After = &s
	n.Finding.Title = hostile
	n.Maintenance = hostile
	return n
}

// said collects what sinks say.
type sayings struct {
	mu   sync.Mutex
	list []string
}

func (s *sayings) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, text)
}

func (s *sayings) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.list...)
}

func testPlace(t *testing.T) (Place, *sayings) {
	s := new(sayings)
	return Place{Spool: t.TempDir(), Host: "db-01", PID: 77, Version: "v1", Say: s.say, Now: time.Now}, s
}

// open makes a fan-out that ends with the test.
func open(t *testing.T, place Place, list ...Config) *Fanout {
	t.Helper()
	f, err := Open(t.Context(), list, place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_ = f.Close(ctx)
	})
	return f
}

func send(t *testing.T, f *Fanout, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := f.Send(t.Context(), notice(fmt.Sprintf("n%06d", i))); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits for a condition; the bound is only for a hang.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
