package event

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

const interval = 40 * time.Millisecond

func sources() []string { return []string{SourceBPF, SourceDestroy, SourceListing} }

// record of a stream that runs.
type tape struct {
	t      *testing.T
	stream *Stream
	mu     sync.Mutex
	events []Event
	came   chan struct{}
}

// follow runs a stream on one namespace until the test ends.
func follow(t *testing.T, o Options) *tape {
	t.Helper()
	o.Interval, o.steady = interval, true
	stream, err := Open(t.Context(), o)
	if errors.Is(err, ErrUnavailable) {
		nettest.Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	tp := &tape{t: t, stream: stream, came: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- stream.Run(ctx, tp.add) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := stream.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return tp
}

func (tp *tape) add(e Event) error {
	tp.mu.Lock()
	tp.events = append(tp.events, e)
	tp.mu.Unlock()
	select {
	case tp.came <- struct{}{}:
	default:
	}
	return nil
}

func (tp *tape) all() []Event {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return slices.Clone(tp.events)
}

// wait returns the events that match once there are n of them.
func (tp *tape) wait(n int, what string, match func(*Event) bool) []Event {
	tp.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		var out []Event
		all := tp.all()
		for i := range all {
			if match(&all[i]) {
				out = append(out, all[i])
			}
		}
		if len(out) >= n {
			return out
		}
		select {
		case <-tp.came:
		case <-deadline:
			tp.t.Fatalf("%d of %d %s; %d events:\n%s", len(out), n, what, len(all), brief(all))
		}
	}
}

func brief(events []Event) string {
	out := ""
	for _, e := range events[max(0, len(events)-20):] {
		out += fmt.Sprintf("%s %s %s inode %d cookie %d\n", e.Kind, e.Socket.State, e.Socket.Endpoint(), e.Inode(), e.Cookie)
	}
	return out
}

func is(kind Kind, inode uint64) func(*Event) bool {
	return func(e *Event) bool { return e.Kind == kind && e.Inode() == inode }
}

func on(kind Kind, port uint16) func(*Event) bool {
	return func(e *Event) bool { return e.Kind == kind && e.Socket.Port == port }
}

// quiet waits until the stream has told what happened before: a listener of
// its own comes last.
func (tp *tape) quiet(ns *nettest.NS) []Event {
	tp.t.Helper()
	ln := ns.Listen("tcp4", "127.0.0.1:29")
	tp.wait(1, "last listener", is(Opened, inodeFor(tp.t, ln)))
	_ = ln.Close()
	tp.wait(1, "last end", is(Closed, tp.wait(1, "last", on(Opened, 29))[0].Inode()))
	return tp.all()
}

func inodeFor(t *testing.T, c any) uint64 {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if cerr := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return st.Ino
}

// cases are the kinds of listeners.
func cases() map[string]func(*nettest.NS) interface{ Close() error } {
	tcp := func(network, addr string, mptcp bool) func(*nettest.NS) interface{ Close() error } {
		return func(ns *nettest.NS) interface{ Close() error } {
			return listenWith(ns, network, addr, mptcp, nil)
		}
	}
	udp := func(network, addr string) func(*nettest.NS) interface{ Close() error } {
		return func(ns *nettest.NS) interface{ Close() error } { return ns.ListenPacket(network, addr) }
	}
	return map[string]func(*nettest.NS) interface{ Close() error }{
		"tcp4":          tcp("tcp4", "127.0.0.1:1001", false),
		"tcp4 any":      tcp("tcp4", "0.0.0.0:1002", false),
		"tcp6":          tcp("tcp6", "[::1]:1003", false),
		"tcp6 only":     tcp("tcp6", "[::]:1004", false),
		"tcp dual":      tcp("tcp", "[::]:1005", false),
		"tcp mapped":    mapped,
		"tcp ephemeral": tcp("tcp4", "127.0.0.1:0", false),
		"mptcp4":        tcp("tcp4", "127.0.0.1:1007", true),
		"mptcp dual":    tcp("tcp", "[::]:1008", true),
		"tcp unbound":   unbound,
		"tcp device": func(ns *nettest.NS) interface{ Close() error } {
			return listenWith(ns, "tcp4", "0.0.0.0:1009", false, toLo)
		},
		"tcp link-local": tcp("tcp6", "[fe80::1%lo]:1010", false),
		"udp4":           udp("udp4", "127.0.0.1:1011"),
		"udp4 any":       udp("udp4", "0.0.0.0:1012"),
		"udp6":           udp("udp6", "[::1]:1013"),
		"udp6 only":      udp("udp6", "[::]:1014"),
		"udp dual":       udp("udp", "[::]:1015"),
		"udp address":    udp("udp4", "127.0.0.1:0"),
		"udplite4":       udplite,
		"udp in range":   udp("udp4", "0.0.0.0:45000"),
	}
}

func toLo(_, _ string, c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "lo") }); cerr != nil {
		return cerr
	}
	return err
}

func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); cerr != nil {
		return cerr
	}
	return err
}

func listenWith(ns *nettest.NS, network, addr string, mptcp bool, control func(string, string, syscall.RawConn) error) net.Listener {
	config := net.ListenConfig{Control: control}
	config.SetMultipathTCP(mptcp)
	var ln net.Listener
	var err error
	ns.Do(func() { ln, err = config.Listen(context.Background(), network, addr) })
	if err != nil {
		panic(fmt.Sprintf("listen %s %s: %v", network, addr, err))
	}
	return ln
}

// rawSocket opens a socket inside the namespace without Go's own options.
func rawSocket(ns *nettest.NS, family, kind int, prepare func(fd int) error) *os.File {
	var f *os.File
	ns.Do(func() {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			f = os.NewFile(uintptr(fd), "socket")
			err = prepare(fd)
		}
		if err != nil {
			panic(err)
		}
	})
	return f
}

func unbound(ns *nettest.NS) interface{ Close() error } {
	return rawSocket(ns, unix.AF_INET, unix.SOCK_STREAM, func(fd int) error { return unix.Listen(fd, 5) })
}

func udplite(ns *nettest.NS) interface{ Close() error } {
	var f *os.File
	ns.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDPLITE)
		if err == nil {
			f = os.NewFile(uintptr(fd), "socket")
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: 1016})
		}
		if err != nil {
			panic(err)
		}
	})
	return f
}

func mapped(ns *nettest.NS) interface{ Close() error } {
	return rawSocket(ns, unix.AF_INET6, unix.SOCK_STREAM, func(fd int) error {
		a := &unix.SockaddrInet6{Port: 1006}
		copy(a.Addr[:], net.ParseIP("127.0.0.1").To16())
		return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0), unix.Bind(fd, a), unix.Listen(fd, 5))
	})
}

// The oracle: the listing of internal/host gives the same row of the same
// socket, with the same process, package and unit.
func TestEveryKindOfListener(t *testing.T) {
	for _, source := range sources() {
		t.Run(source, func(t *testing.T) {
			ns := nettest.New(t)
			ns.Run("ip", "addr", "add", "fe80::1/64", "dev", "lo", "nodad")
			tp := follow(t, Options{NetNS: ns.Name, Source: source})
			if tp.stream.Source() != source {
				t.Fatalf("source %s", tp.stream.Source())
			}
			open := map[string]interface{ Close() error }{}
			inodes := map[string]uint64{}
			for name, f := range cases() {
				open[name] = f(ns)
				inodes[name] = inodeFor(t, open[name])
			}
			for name, inode := range inodes {
				tp.wait(1, "opened of "+name, is(Opened, inode))
			}
			rows := listed(t, ns)
			for name, inode := range inodes {
				sameRow(t, name, tp.wait(1, name, is(Opened, inode))[0], rows[inode])
			}
			for name := range open {
				if err := open[name].Close(); err != nil {
					t.Fatal(err)
				}
			}
			for name, inode := range inodes {
				closed := tp.wait(1, "closed of "+name, is(Closed, inode))[0]
				sameRow(t, name+" closed", closed, rows[inode])
			}
			once(t, tp.quiet(ns), len(inodes)+1)
		})
	}
}

func listed(t *testing.T, ns *nettest.NS) map[uint64]exposure.Socket {
	t.Helper()
	snapshot, err := new(host.Reader).Snapshot(t.Context(), host.Options{NetNS: ns.Name})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[uint64]exposure.Socket{}
	for _, s := range snapshot.Sockets {
		for _, inode := range s.Inodes {
			rows[inode] = s
		}
	}
	return rows
}

func sameRow(t *testing.T, name string, e Event, want exposure.Socket) {
	t.Helper()
	got := e.Socket
	if len(got.Processes) != 1 || len(want.Processes) != 1 {
		t.Errorf("%s: processes %+v, listed %+v", name, got.Processes, want.Processes)
		return
	}
	got.Processes, want.Processes = slices.Clone(got.Processes), slices.Clone(want.Processes)
	got.Processes[0].FD, want.Processes[0].FD = 0, 0
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: listed, told:\n%s", name, diff)
	}
	if since := time.Since(e.At); since < 0 || since > time.Minute || e.At.Location() != time.UTC {
		t.Errorf("%s: at %v", name, e.At)
	}
	if e.Cookie == 0 {
		t.Errorf("%s: no cookie", name)
	}
}

// once: every socket is told as opened once and closed once.
func once(t *testing.T, events []Event, sockets int) {
	t.Helper()
	type key struct {
		kind  Kind
		inode uint64
	}
	count := map[key]int{}
	for _, e := range events {
		count[key{e.Kind, e.Inode()}]++
	}
	for k, n := range count {
		if n != 1 {
			t.Errorf("inode %d %s %d times", k.inode, k.kind, n)
		}
	}
	if len(count) != 2*sockets {
		t.Errorf("%d different events, want %d:\n%s", len(count), 2*sockets, brief(events))
	}
}

// Several sockets on one endpoint are several events.
func TestReusePort(t *testing.T) {
	for _, source := range sources() {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			ns := nettest.New(t)
			tp := follow(t, Options{NetNS: ns.Name, Source: source})
			var all []net.Listener
			for range 3 {
				all = append(all, listenWith(ns, "tcp4", "127.0.0.1:2000", false, reusePort))
			}
			cookies := map[uint64]bool{}
			for _, e := range tp.wait(3, "opened", on(Opened, 2000)) {
				cookies[e.Cookie] = true
			}
			inode := inodeFor(t, all[1])
			_ = all[1].Close()
			tp.wait(1, "closed", is(Closed, inode))
			for _, i := range []int{0, 2} {
				_ = all[i].Close()
			}
			tp.wait(3, "closed", on(Closed, 2000))
			if len(cookies) != 3 {
				t.Errorf("cookies %v", cookies)
			}
			once(t, tp.quiet(ns), 4)
		})
	}
}

// Sockets of clients are no listeners: connections, datagram sockets whose
// port the kernel chose, those that connect.
func TestClientsAreNotTold(t *testing.T) {
	for _, source := range sources() {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			ns := nettest.New(t)
			tp := follow(t, Options{NetNS: ns.Name, Source: source})
			ln := ns.Listen("tcp4", "127.0.0.1:3000")
			pc := ns.ListenPacket("udp4", "127.0.0.1:3001")
			inodes := []uint64{inodeFor(t, ln), inodeFor(t, pc)}
			for range 5 {
				ns.Do(func() {
					for _, network := range []string{"tcp4", "udp4"} {
						c, err := net.Dial(network, "127.0.0.1:300"+map[string]string{"tcp4": "0", "udp4": "1"}[network])
						if err != nil {
							panic(err)
						}
						_, _ = c.Write([]byte("x"))
						_ = c.Close()
					}
				})
				any := ns.ListenPacket("udp4", ":0")
				_ = any.Close()
			}
			for _, inode := range inodes {
				tp.wait(1, "opened", is(Opened, inode))
			}
			_, _ = ln.Close(), pc.Close()
			for _, inode := range inodes {
				tp.wait(1, "closed", is(Closed, inode))
			}
			once(t, tp.quiet(ns), 3)
		})
	}
}
