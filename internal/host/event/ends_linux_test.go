package event

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

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
