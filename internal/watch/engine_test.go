package watch

import (
	"net/netip"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/host/event"
)

var begin = time.Date(2027, 1, 4, 10, 0, 0, 0, time.UTC)

// listener is a socket of program at addr:port.
func listener(program string, pid int, addr string, port uint16) exposure.Socket {
	ip := netip.MustParseAddr(addr)
	s := exposure.Socket{Proto: exposure.TCP, State: exposure.Listen, Addr: exposure.IPAddress(ip), Port: port, Scope: exposure.ScopeOf(ip),
		NetNS: exposure.NetNS{ID: "1"}, Sockets: 1}
	if program != "" {
		s.Processes = []exposure.Process{{PID: pid, Name: program, Exe: "/usr/bin/" + program}}
	}
	return s
}

// host makes events of sockets with their own cookies.
type host struct {
	e   *Engine
	now time.Time
}

func newHost(o Options) *host { return &host{NewEngine(o), begin} }

func (h *host) open(cookie uint64, s exposure.Socket) {
	s.Inodes = []uint64{cookie + 1000}
	h.e.Event(event.Event{Kind: event.Opened, At: h.now, Socket: s, Cookie: cookie, Source: "bpf"})
}

// close is as the kernel tells it: the cookie, and no inode.
func (h *host) close(cookie uint64, s exposure.Socket) {
	h.e.Event(event.Event{Kind: event.Closed, At: h.now, Socket: s, Cookie: cookie, Source: "bpf"})
}

// wait lets time pass, ticking whenever something is due.
func (h *host) wait(d time.Duration) {
	end := h.now.Add(d)
	for {
		next := h.e.Next()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(h.now) {
			h.now = next
		}
		h.e.Tick(h.now)
		if again := h.e.Next(); !again.IsZero() && !again.After(h.now) {
			h.now = h.now.Add(time.Millisecond)
		}
	}
	if end.After(h.now) {
		h.now = end
	}
	h.e.Tick(h.now)
}

func (h *host) kinds() []drift.Kind {
	out := []drift.Kind{}
	for _, c := range h.e.Take().Changes {
		out = append(out, c.Kind)
	}
	return out
}

func same(a, b []drift.Kind) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// The kinds of the contract, by what happens.
func TestKinds(t *testing.T) {
	web := func(pid int, addr string) exposure.Socket { return listener("web", pid, addr, 80) }
	other := listener("nc", 9, "0.0.0.0", 80)
	kinds := func(k ...drift.Kind) []drift.Kind { return k }
	for _, c := range []struct {
		name string
		do   func(h *host)
		want []drift.Kind
	}{
		{"opened", func(h *host) { h.open(1, web(1, "0.0.0.0")) }, kinds(drift.Opened)},
		{"short-lived", func(h *host) { h.open(1, web(1, "0.0.0.0")); h.close(1, web(1, "0.0.0.0")) }, kinds(drift.Opened, drift.Closed)},
		{"closed", func(h *host) {
			h.open(1, web(1, "0.0.0.0"))
			h.wait(time.Minute)
			h.close(1, web(1, "0.0.0.0"))
			if len(h.kinds()) != 1 {
				t.Error("a closing was told before it settled")
			}
			h.wait(3 * time.Second)
		}, kinds(drift.Closed)},
		{"restart", func(h *host) {
			h.open(1, web(1, "0.0.0.0"))
			h.wait(time.Minute)
			h.close(1, web(1, "0.0.0.0"))
			h.wait(time.Second)
			h.open(2, web(2, "0.0.0.0"))
			h.wait(time.Minute)
		}, kinds(drift.Opened, drift.Replaced)},
		{"rebind", func(h *host) {
			h.open(1, web(1, "127.0.0.1"))
			h.wait(time.Minute)
			h.close(1, web(1, "127.0.0.1"))
			h.open(2, web(2, "0.0.0.0"))
			h.wait(time.Minute)
		}, kinds(drift.Opened, drift.ScopeChanged)},
		{"taken over", func(h *host) {
			h.open(1, web(1, "0.0.0.0"))
			h.wait(time.Minute)
			h.close(1, web(1, "0.0.0.0"))
			h.open(2, other)
			h.wait(time.Minute)
		}, kinds(drift.Opened, drift.OwnerChanged)},
		{"two of one service", func(h *host) {
			h.open(1, web(1, "0.0.0.0"))
			h.open(2, web(1, "0.0.0.0"))
			h.wait(time.Minute)
			h.close(1, web(1, "0.0.0.0"))
			h.wait(time.Minute)
		}, kinds(drift.Opened)},
		{"rolling restart", func(h *host) {
			h.open(1, web(1, "0.0.0.0"))
			h.wait(time.Minute)
			h.open(2, web(2, "0.0.0.0"))
			h.wait(time.Minute)
			h.close(1, web(1, "0.0.0.0"))
			h.wait(time.Minute)
		}, kinds(drift.Opened, drift.Replaced)},
		{"two programs share", func(h *host) {
			h.open(1, web(1, "0.0.0.0"))
			h.open(2, other)
			h.wait(time.Minute)
			h.close(2, other)
			h.wait(time.Minute)
		}, kinds(drift.Opened, drift.Opened, drift.Closed)},
		{"listed before its event", func(h *host) {
			s := web(1, "0.0.0.0")
			s.Inodes = []uint64{1001}
			h.e.Start([]exposure.Socket{s}, h.now)
			h.open(1, web(1, "0.0.0.0"))
			h.wait(time.Minute)
			h.close(1, web(1, "0.0.0.0"))
			h.wait(time.Minute)
		}, kinds(drift.Closed)},
		{"unknown closes", func(h *host) { h.close(1, web(1, "0.0.0.0")) }, kinds()},
	} {
		h := newHost(Options{Settle: 2 * time.Second})
		c.do(h)
		if got := h.kinds(); !same(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Settle 0 tells every closing at once.
func TestNoSettling(t *testing.T) {
	h := newHost(Options{})
	h.open(1, listener("web", 1, "0.0.0.0", 80))
	h.now = h.now.Add(time.Hour)
	h.close(1, listener("web", 1, "0.0.0.0", 80))
	h.open(2, listener("web", 2, "0.0.0.0", 80))
	if got := h.kinds(); !same(got, []drift.Kind{drift.Opened, drift.Closed, drift.Opened}) {
		t.Errorf("%v", got)
	}
}

// The time of a line is when it happened, not when it was told.
func TestTimeIsReal(t *testing.T) {
	h := newHost(Options{Settle: 2 * time.Second})
	h.open(1, listener("web", 1, "0.0.0.0", 80))
	h.wait(time.Minute)
	h.close(1, listener("web", 1, "0.0.0.0", 80))
	closed := h.now
	h.wait(time.Minute)
	out := h.e.Take().Changes
	if at := out[len(out)-1].At; !at.Equal(closed) {
		t.Errorf("closed at %s, want %s", at, closed)
	}
}

// A listing finds what events missed, when two listings in a row say so, and
// leaves alone what an event spoke of meanwhile.
func TestListed(t *testing.T) {
	h := newHost(Options{Settle: 2 * time.Second})
	web, db := listener("web", 1, "0.0.0.0", 80), listener("db", 2, "127.0.0.1", 5432)
	web.Inodes, db.Inodes = []uint64{7}, []uint64{8}
	h.e.Start([]exposure.Socket{web}, h.now)
	list := func(open ...exposure.Socket) bool {
		h.wait(5 * time.Second)
		return h.e.Listed(open, h.now, h.now)
	}
	if list(web) {
		t.Error("a listing that says the same wants another")
	}
	if !list(db) || len(h.kinds()) != 0 {
		t.Error("one listing alone was believed")
	}
	if list(db) {
		t.Error("the second listing was not believed")
	}
	h.wait(5 * time.Second)
	if got := h.kinds(); !same(got, []drift.Kind{drift.Opened, drift.Closed}) {
		t.Errorf("%v", got)
	}
	begun := h.now
	h.now = h.now.Add(time.Millisecond)
	h.open(3, listener("new", 3, "0.0.0.0", 99))
	h.e.Listed([]exposure.Socket{db}, begun, h.now)
	h.e.Listed([]exposure.Socket{db}, begun, h.now)
	h.wait(5 * time.Second)
	if got := h.kinds(); !same(got, []drift.Kind{drift.Opened}) {
		t.Errorf("an older listing undid an event: %v", got)
	}
}

// A daemon that forks after it listened has not restarted; a socket that is
// handed to another process later is told.
func TestHandedOn(t *testing.T) {
	h := newHost(Options{Settle: 2 * time.Second})
	h.open(1, listener("daemon", 10, "0.0.0.0", 80))
	list := func(program string, pid int) {
		s := listener(program, pid, "0.0.0.0", 80)
		s.Inodes = []uint64{1001}
		h.wait(time.Minute)
		h.e.Listed([]exposure.Socket{s}, h.now, h.now)
	}
	list("daemon", 11)
	if got := h.kinds(); !same(got, []drift.Kind{drift.Opened}) {
		t.Errorf("forked: %v", got)
	}
	list("daemon", 12)
	list("other", 13)
	if got := h.kinds(); !same(got, []drift.Kind{drift.Replaced, drift.OwnerChanged}) {
		t.Errorf("handed on: %v", got)
	}
}
