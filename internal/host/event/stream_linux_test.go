package event

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// A listener that lives 20 ms is told with its process and program, every
// time.
func TestBriefLives(t *testing.T) {
	ns := nettest.New(t)
	tp := follow(t, Options{NetNS: ns.Name, Source: SourceBPF})
	exe, _ := os.Executable()
	const lives = 50
	pids := map[int]string{}
	for i := range lives {
		network := []string{"tcp4", "tcp6", "udp4", "udp6"}[i%4]
		address := map[string]string{"tcp4": "127.0.0.1:", "tcp6": "[::1]:", "udp4": "0.0.0.0:", "udp6": "[::]:"}[network]
		port := strconv.Itoa(5000 + i)
		cmd := prepare(t, ns, "brief", network, address+port, "20ms")
		if out, err := cmd.Output(); err != nil || string(out) != "open\n" {
			t.Fatalf("%s %v", out, err)
		}
		pids[cmd.Process.Pid] = port
	}
	for _, kind := range []Kind{Opened, Closed} {
		for _, e := range tp.wait(lives, string(kind), func(e *Event) bool { return e.Kind == kind }) {
			if len(e.Socket.Processes) != 1 {
				t.Fatalf("%s: %+v", e.Socket.Endpoint(), e.Socket)
			}
			p := e.Socket.Processes[0]
			want := fmt.Sprint(e.Socket.Port)
			if pids[p.PID] != want || p.Exe != exe || p.Name != "event.test" || p.User != "root" || p.Started.IsZero() {
				t.Errorf("%s %s: %+v", e.Kind, want, p)
			}
		}
	}
	once(t, tp.quiet(ns), lives+1)
}

// However a listener's process ends, its end is told with it.
func TestEnds(t *testing.T) {
	for _, source := range sources() {
		t.Run(source, func(t *testing.T) {
			ns := nettest.New(t)
			tp := follow(t, Options{NetNS: ns.Name, Source: source})
			killed := player(t, ns, "hold", "tcp4", "127.0.0.1:6000")
			ended := player(t, ns, "hold", "udp4", "127.0.0.1:6001")
			for i, cmd := range []*os.Process{killed.Process, ended.Process} {
				port := uint16(6000 + i)
				if e := tp.wait(1, "opened", on(Opened, port))[0]; len(e.Socket.Processes) != 1 || e.Socket.Processes[0].PID != cmd.Pid {
					t.Errorf("%+v, want process %d", e.Socket, cmd.Pid)
				}
				_ = cmd.Signal([]os.Signal{syscall.SIGKILL, syscall.SIGTERM}[i])
				e := tp.wait(1, "closed", on(Closed, port))[0]
				if len(e.Socket.Processes) != 1 || e.Socket.Processes[0].PID != cmd.Pid || e.Socket.Processes[0].Exe == "" {
					t.Errorf("%+v, want process %d", e.Socket, cmd.Pid)
				}
			}
		})
	}
}

// A datagram socket that lives shorter than a listing's interval is told by
// its end where the kernel announces it.
func TestEndOfABriefLife(t *testing.T) {
	ns := nettest.New(t)
	tp := follow(t, Options{NetNS: ns.Name, Source: SourceDestroy})
	for i := range 20 {
		address := fmt.Sprintf("127.0.0.1:%d", 7000+i)
		pc := ns.ListenPacket("udp4", address)
		_ = pc.Close()
	}
	for i := range 20 {
		for _, kind := range []Kind{Opened, Closed} {
			for _, e := range tp.wait(1, "short lives", on(kind, uint16(7000+i))) {
				if len(e.Socket.Processes) == 0 && e.Socket.OwnerUnknown == "" {
					t.Errorf("no owner and no reason: %+v", e.Socket)
				}
			}
		}
	}
}

// shutdown(2) ends a listener too, and it may listen again.
func TestShutdown(t *testing.T) {
	ns := nettest.New(t)
	tp := follow(t, Options{NetNS: ns.Name, Source: SourceBPF})
	f := rawSocket(ns, unix.AF_INET, unix.SOCK_STREAM, func(fd int) error {
		return errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Port: 8001}), unix.Listen(fd, 5))
	})
	defer f.Close()
	fd := int(f.Fd())
	tp.wait(1, "opened", on(Opened, 8001))
	if err := unix.Shutdown(fd, unix.SHUT_RD); err != nil {
		t.Fatal(err)
	}
	tp.wait(1, "closed", on(Closed, 8001))
	if err := unix.Listen(fd, 7); err != nil {
		t.Fatal(err)
	}
	tp.wait(2, "opened", on(Opened, 8001))
	if err := unix.Listen(fd, 9); err != nil { // another backlog is no event
		t.Fatal(err)
	}
	_ = f.Close()
	tp.wait(2, "closed", on(Closed, 8001))
	if n := len(tp.quiet(ns)); n != 6 {
		t.Errorf("%d events\n%s", n, brief(tp.all()))
	}
}

// A datagram socket that gets a peer is a listener no more; one whose connect
// failed still is.
func TestConnectedDatagram(t *testing.T) {
	ns := nettest.New(t)
	tp := follow(t, Options{NetNS: ns.Name, Source: SourceBPF})
	var open []*os.File
	for i, peer := range [][4]byte{{127, 0, 0, 1}, {198, 51, 100, 1}} { // the second has no route
		open = append(open, rawSocket(ns, unix.AF_INET, unix.SOCK_DGRAM, func(fd int) error {
			err := unix.Bind(fd, &unix.SockaddrInet4{Port: 9001 + i})
			cerr := unix.Connect(fd, &unix.SockaddrInet4{Port: 53, Addr: peer})
			if refused := cerr != nil; refused != (i == 1) {
				return fmt.Errorf("connect %v: %v", peer, cerr)
			}
			return err
		}))
	}
	tp.wait(1, "closed", on(Closed, 9001))
	time.Sleep(2 * grace)
	for _, e := range tp.quiet(ns) {
		if e.Kind == Closed && e.Socket.Port == 9002 {
			t.Error("a listener whose connect failed was told as closed")
		}
	}
	for _, f := range open {
		_ = f.Close()
	}
	tp.wait(1, "closed", on(Closed, 9002))
	if n := len(tp.all()); n != 6 {
		t.Errorf("%d events\n%s", n, brief(tp.all()))
	}
}

// The kernel's own sockets are told as such, without the process in whose
// name they were made.
func TestKernelSocket(t *testing.T) {
	ns := nettest.New(t)
	tp := follow(t, Options{NetNS: ns.Name, Source: SourceBPF})
	ns.Run("ip", "link", "add", "vx1", "type", "vxlan", "id", "7", "dstport", "4790")
	ns.Run("ip", "link", "set", "vx1", "up")
	e := tp.wait(1, "opened", on(Opened, 4790))[0]
	if e.Socket.Kernel == nil || len(e.Socket.Processes) != 0 || e.Socket.OwnerUnknown != "" {
		t.Errorf("%+v", e.Socket)
	}
}

// Events of every namespace come with its name, those of others do not come
// where one is asked for.
func TestNamespaces(t *testing.T) {
	one, two := nettest.New(t), nettest.New(t)
	all := follow(t, Options{Source: SourceBPF})
	only := follow(t, Options{Source: SourceBPF, NetNS: two.Inode()})
	for i, ns := range []*nettest.NS{one, two} {
		port := uint16(10001 + i)
		ln := ns.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		here := func(e *Event) bool {
			return e.Kind == Opened && e.Socket.Port == port && e.Socket.NetNS == exposure.NetNS{ID: ns.Inode(), Name: ns.Name}
		}
		all.wait(1, "opened", here)
		_ = ln.Close()
	}
	only.wait(1, "opened", on(Opened, 10002))
	for _, e := range only.all() {
		if e.Socket.NetNS.ID != two.Inode() {
			t.Errorf("%+v", e.Socket)
		}
	}
}

// What does not fit into the ring is counted and told.
func TestLossIsTold(t *testing.T) {
	ns := nettest.New(t)
	stream, err := Open(t.Context(), Options{NetNS: ns.Name, Source: SourceBPF, Ring: os.Getpagesize()})
	if errors.Is(err, ErrUnavailable) {
		nettest.Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	const sockets = 200
	for range sockets {
		_ = ns.Listen("tcp4", "127.0.0.1:11000").Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	var seen, missed uint64
	err = stream.Run(ctx, func(e Event) error {
		if seen++; e.Kind == Lost {
			seen--
			missed += e.Missed
			cancel()
		}
		return nil
	})
	if err != nil || missed == 0 || seen+missed != 2*sockets || stream.Lost() != missed {
		t.Errorf("seen %d, missed %d of %d, lost %d, %v", seen, missed, 2*sockets, stream.Lost(), err)
	}
}

// The error of the one who is told ends the run.
func TestErrorOfTheReader(t *testing.T) {
	ns := nettest.New(t)
	for _, source := range sources() {
		stream, err := Open(t.Context(), Options{NetNS: ns.Name, Source: source, Interval: interval, steady: true})
		if err != nil {
			t.Fatal(err)
		}
		ln := ns.Listen("tcp4", "127.0.0.1:12000")
		full := errors.New("full")
		if err := stream.Run(t.Context(), func(Event) error { return full }); !errors.Is(err, full) {
			t.Errorf("%s: %v", source, err)
		}
		_, _ = ln.Close(), stream.Close()
	}
}

func TestNoSuchSource(t *testing.T) {
	if _, err := Open(t.Context(), Options{Source: "auspices"}); err == nil || errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if _, err := Open(t.Context(), Options{NetNS: "no-such-namespace"}); !errors.Is(err, host.ErrNoNamespace) {
		t.Error(err)
	}
}

// After Open the capabilities may go.
func TestWithoutCapabilities(t *testing.T) {
	for _, source := range sources() {
		ns := nettest.New(t)
		out, err := prepare(t, ns, "follow", source).CombinedOutput()
		if want := "opened 4000 1 0\nclosed 4000 1 0\n"; err != nil || string(out) != want {
			t.Errorf("%s: %q %v, want %q", source, out, err, want)
		}
	}
}

// churn opens and closes listeners at a rate, and says how many.
func churn(t *testing.T, ns *nettest.NS, perSecond int, length time.Duration) int {
	t.Helper()
	n := 0
	ns.Do(func() {
		begun := time.Now()
		for time.Since(begun) < length {
			for ; n < int(time.Since(begun).Seconds()*float64(perSecond)); n++ {
				kind := []int{unix.SOCK_STREAM, unix.SOCK_DGRAM}[n%2]
				fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
				if err == nil {
					err = unix.Bind(fd, &unix.SockaddrInet4{Port: 13000 + n%1000})
				}
				if err == nil && kind == unix.SOCK_STREAM {
					err = unix.Listen(fd, 1)
				}
				if err != nil {
					panic(err)
				}
				_ = unix.Close(fd)
			}
			time.Sleep(time.Millisecond)
		}
	})
	return n
}

// A thousand listeners a second: none is missed. PORTREEVE_EVENT_BURST is a
// longer time, as 60s.
func TestBurst(t *testing.T) {
	length := 2 * time.Second
	if text := os.Getenv("PORTREEVE_EVENT_BURST"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	ns := nettest.New(t)
	stream, err := Open(t.Context(), Options{NetNS: ns.Name, Source: SourceBPF})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	count := map[Kind]int{}
	open := map[uint64]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	var worst time.Duration
	go func() {
		done <- stream.Run(ctx, func(e Event) error {
			count[e.Kind]++
			worst = max(worst, time.Since(e.At))
			if e.Kind == Opened {
				open[e.Cookie] = true
			} else if !open[e.Cookie] {
				t.Errorf("closed before it was opened: %+v", e)
			} else {
				delete(open, e.Cookie)
			}
			if e.Socket.Port == 14000 {
				cancel()
			}
			return nil
		})
	}()
	want := churn(t, ns, 1000, length)
	_ = ns.Listen("tcp4", "127.0.0.1:14000").Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if count[Opened] != want+1 || count[Closed] < want || stream.Lost() != 0 {
		t.Errorf("opened %d, closed %d of %d, lost %d", count[Opened], count[Closed], want, stream.Lost())
	}
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &ru)
	t.Logf("%d listeners in %v, worst delay %v, lost %d, peak %d KiB", want, length, worst, stream.Lost(), ru.Maxrss)
}

// A process that has ended before anybody looked is still known by its unit.
func TestUnitOfTheEnded(t *testing.T) {
	ns := nettest.New(t)
	root, err := cgroupRoot("")
	if err != nil {
		nettest.Missing(t, err.Error())
	}
	group := filepath.Join(root, ns.Name+".service")
	if err := os.Mkdir(group, 0o755); err != nil {
		nettest.Missing(t, err.Error())
	}
	dir, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close(); _ = os.Remove(group) })
	stream, err := Open(t.Context(), Options{NetNS: ns.Name, Source: SourceBPF})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	cmd := prepare(t, ns, "brief", "tcp4", "127.0.0.1:15000", "1ms")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	exe, _ := os.Executable()
	stop := errors.New("seen")
	err = stream.Run(t.Context(), func(e Event) error { // it ended long ago
		s := e.Socket
		p := s.Processes[0]
		if s.Unit != ns.Name+".service" || p.Exe != exe || p.Cmdline != exe+" brief tcp4 127.0.0.1:15000 1ms" || p.PID != cmd.Process.Pid {
			t.Errorf("%+v", s)
		}
		if s.PackageUnknown == "" && s.Package == "" {
			t.Error("no package and no reason")
		}
		if e.Kind == Closed {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}

// A process is numbered as /proc numbers it, wherever it lives.
func TestOtherPIDNamespace(t *testing.T) {
	ns := nettest.New(t)
	tp := follow(t, Options{NetNS: ns.Name, Source: SourceBPF})
	cmd := prepare(t, ns, "brief", "tcp4", "127.0.0.1:16000", "1ms")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	for _, kind := range []Kind{Opened, Closed} {
		if p := tp.wait(1, string(kind), on(kind, 16000))[0].Socket.Processes; len(p) != 1 || p[0].PID != cmd.Process.Pid {
			t.Errorf("%s: %+v, want process %d", kind, p, cmd.Process.Pid)
		}
	}
}

// A namespace that loses its name lives on with its processes; when the last
// ends, its listeners are told as closed.
func TestNamespaceEnds(t *testing.T) {
	for _, source := range sources() {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			ns := nettest.New(t)
			tp := follow(t, Options{NetNS: ns.Name, Source: source})
			cmd := player(t, ns, "hold", "tcp4", "127.0.0.1:17000")
			tp.wait(1, "opened", on(Opened, 17000))
			nettest.Run(t, "ip", "netns", "del", ns.Name)
			time.Sleep(3 * censusSteady)
			if n := len(tp.all()); n != 1 {
				t.Errorf("%d events\n%s", n, brief(tp.all()))
			}
			_ = cmd.Process.Kill()
			tp.wait(1, "closed", on(Closed, 17000))
			time.Sleep(3 * censusSteady)
		})
	}
}
