package event

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

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
