package nettest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// NS is one network namespace with loopback up.
type NS struct {
	Name string
	t    testing.TB
}

// New makes a namespace that lives until the test ends.
func New(t testing.TB) *NS {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("nettest: needs root to make a network namespace")
	}
	ns := &NS{Name: "prt-" + randomName(), t: t}
	Run(t, "ip", "netns", "add", ns.Name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns.Name).Run() })
	ns.Run("ip", "link", "set", "lo", "up")
	return ns
}

func randomName() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// Path is the namespace's file under /run/netns.
func (ns *NS) Path() string { return "/run/netns/" + ns.Name }

// Inode is the namespace's identity as text (nsfs inode).
func (ns *NS) Inode() string {
	ns.t.Helper()
	st, err := os.Stat(ns.Path())
	if err != nil {
		ns.t.Fatal(err)
	}
	return strconv.FormatUint(st.Sys().(*syscall.Stat_t).Ino, 10)
}

// Do runs fn on a locked thread inside the namespace.
func (ns *NS) Do(fn func()) {
	ns.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd, err := unix.Open(ns.Path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			_ = unix.Close(fd)
		}
		if err == nil {
			fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		ns.t.Fatalf("enter namespace %s: %v", ns.Name, err)
	}
}

// Command prepares a command inside the namespace (not started). The process
// runs in the namespace itself, with no wrapper left between.
func (ns *NS) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", ns.Name, name}, args...)...)
}

// Run runs a command inside the namespace and returns its output; failure
// ends the test.
func (ns *NS) Run(name string, args ...string) string {
	ns.t.Helper()
	return run(ns.t, ns.Command(name, args...))
}

// Script runs shell lines inside the namespace.
func (ns *NS) Script(lines string) string {
	ns.t.Helper()
	return ns.Run("sh", "-euc", lines)
}

// Start starts a command inside the namespace and ends it with the test.
func (ns *NS) Start(name string, args ...string) *exec.Cmd {
	ns.t.Helper()
	cmd := ns.Command(name, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		ns.t.Fatalf("start %s in %s: %v", name, ns.Name, err)
	}
	ns.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// Listen opens a TCP listener inside the namespace, closed with the test.
func (ns *NS) Listen(network, addr string) net.Listener {
	ns.t.Helper()
	var ln net.Listener
	var err error
	ns.Do(func() { ln, err = net.Listen(network, addr) })
	if err != nil {
		ns.t.Fatalf("listen %s %s: %v", network, addr, err)
	}
	ns.t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// ListenPacket opens a datagram socket inside the namespace, closed with the
// test.
func (ns *NS) ListenPacket(network, addr string) net.PacketConn {
	ns.t.Helper()
	var pc net.PacketConn
	var err error
	ns.Do(func() { pc, err = net.ListenPacket(network, addr) })
	if err != nil {
		ns.t.Fatalf("listen %s %s: %v", network, addr, err)
	}
	ns.t.Cleanup(func() { _ = pc.Close() })
	return pc
}

// Veth joins two namespaces: interface "eth0" in each (or the names given as
// "name=addr/prefix"), with the addresses.
func Veth(t testing.TB, a, b *NS, aEnd, bEnd string) {
	t.Helper()
	aName, aAddr := end(aEnd)
	bName, bAddr := end(bEnd)
	a.Run("ip", "link", "add", aName, "type", "veth", "peer", "name", bName, "netns", b.Name)
	setUp(a, aName, aAddr)
	setUp(b, bName, bAddr)
}

func end(spec string) (name, addr string) {
	if name, addr, ok := strings.Cut(spec, "="); ok {
		return name, addr
	}
	return "eth0", spec
}

func setUp(ns *NS, iface, addr string) {
	ns.t.Helper()
	args := []string{"addr", "add", addr, "dev", iface}
	if strings.Contains(addr, ":") {
		args = append(args, "nodad")
	}
	ns.Run("ip", args...)
	ns.Run("ip", "link", "set", iface, "up")
}

// Run runs a command outside any test namespace; failure ends the test.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	return run(t, exec.Command(name, args...))
}

func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// Need finds a program of another package; its absence is a named skip, or a
// failure where CI has installed everything (PORTREEVE_NO_SKIP=1).
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Missing(t, fmt.Sprintf("program %s (make deps installs it)", program))
	}
	return path
}

// Missing skips by name, or fails where everything should be there.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PORTREEVE_NO_SKIP") == "1" {
		t.Fatalf("missing: %s, and PORTREEVE_NO_SKIP=1 promises that it is here", what)
	}
	t.Skipf("missing: %s", what)
}
