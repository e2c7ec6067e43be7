package host

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner"
	"github.com/portreeve/portreeve/internal/host/owner/holders"
	"github.com/portreeve/portreeve/internal/nettest"
	"go.uber.org/goleak"
)

// pairs opens n connections inside a namespace, both ends held here.
func pairs(t *testing.T, ns *nettest.NS, n int) {
	t.Helper()
	ln := ns.Listen("tcp4", "127.0.0.1:1010")
	ns.Do(func() {
		for range n {
			c, err := net.Dial("tcp4", "127.0.0.1:1010")
			if err != nil {
				t.Error(err)
				return
			}
			s, err := ln.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _, _ = c.Close(), s.Close() })
		}
	})
}

// Many connections come each once, with owner and service, and by a reused
// row.
func TestStreamOfConnections(t *testing.T) {
	ns := nettest.New(t)
	const n = 500
	pairs(t, ns, n)
	namer := func(p exposure.Proto, port uint16) string {
		if p == exposure.TCP && port == 1010 {
			return "test"
		}
		return ""
	}
	seen, rows, last := map[uint64]int{}, 0, (*exposure.Socket)(nil)
	gaps, err := new(Reader).Stream(t.Context(), Options{All: true, NetNS: ns.Name, Namer: namer, Traffic: true}, func(s *exposure.Socket) error {
		if s.Service != "test" || len(s.Processes) != 1 {
			t.Errorf("%s %s: service %q, %d processes", s.State, s.Endpoint(), s.Service, len(s.Processes))
		}
		if s.State == exposure.Established {
			rows++
			seen[s.Inodes[0]]++
			if last != nil && last != s {
				t.Error("a connection's row is not reused")
			}
			last = s
			if s.SegsIn+s.SegsOut == 0 {
				t.Errorf("%s: no traffic counted", s.Endpoint())
			}
		}
		return nil
	})
	if err != nil || len(gaps) != 0 || rows != 2*n || len(seen) != 2*n {
		t.Errorf("%d rows, %d sockets, want %d; %v %v", rows, len(seen), 2*n, gaps, err)
	}
	s := snapshot(t, new(Reader), ns, Options{All: true})
	if len(s.Sockets) != 2*n+1 {
		t.Errorf("snapshot has %d rows", len(s.Sockets))
	}
}

// MPTCP connections are one row each, not two.
func TestStreamMergesMPTCP(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "mptcp4 127.0.0.1:1010", "mptcp4 127.0.0.1:0 connect=127.0.0.1:1010", "tcp4 127.0.0.1:0 connect=127.0.0.1:1010")
	count := map[bool]int{}
	for _, s := range snapshot(t, new(Reader), ns, Options{All: true}).Sockets {
		if s.State == exposure.Established && len(s.Processes) == 1 {
			count[s.MPTCP]++
		}
	}
	if count[true] != 1 || count[false] != 1 {
		t.Errorf("MPTCP and plain connections of the holder: %v", count)
	}
}

// Whoever stops early leaves no thread, descriptor or goroutine behind.
func TestStreamStops(t *testing.T) {
	ns := nettest.New(t)
	pairs(t, ns, 300)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	enough, n := errors.New("enough"), 0
	_, err := new(Reader).Stream(t.Context(), Options{All: true, NetNS: ns.Name}, func(s *exposure.Socket) error {
		if n++; n == 50 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 50 {
		t.Errorf("%v after %d rows", err, n)
	}
}

// The budget of --all: what a connection costs does not grow with their
// number. Holders are taken from the iterator, which allocates nothing for a
// descriptor; the walk has a string for each. Half an allocation a connection
// leaves room for processes that begin on the host meanwhile.
func TestStreamAllocatesNothingPerConnection(t *testing.T) {
	full, empty := nettest.New(t), nettest.New(t)
	const n = 1500
	pairs(t, full, n)
	empty.Listen("tcp4", "127.0.0.1:1010")
	r := &Reader{method: owner.MethodBPF}
	allocs := func(ns *nettest.NS) float64 {
		return testing.AllocsPerRun(3, func() {
			_, err := r.Stream(t.Context(), Options{All: true, NetNS: ns.Name}, func(*exposure.Socket) error { return nil })
			var load *holders.LoadError
			if errors.As(err, &load) {
				nettest.Missing(t, err.Error())
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	if with, without := allocs(full), allocs(empty); with-without > n {
		t.Errorf("%d connections cost %.0f allocations", 2*n, with-without)
	}
}

// Without privilege the own namespace is read, the others from outside, and
// what could not be seen is said.
func TestWithoutPrivilege(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001", "udp4 0.0.0.0:40001")
	out := asNobody(t, "TestReportUnprivileged")
	for _, want := range []string{"listen tcp/127.0.0.1:1001", "unconnected udp/0.0.0.0:40001", "read from /proc/", "CAP_SYS_ADMIN", "owners of"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing from:\n%s", want, out)
		}
	}
}
