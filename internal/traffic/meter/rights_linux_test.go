package meter

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

// runChild is what this test binary does in place of tests: open a meter on
// eth0 and lo, say how it went, and stay until it is killed.
func runChild(what string) int {
	_, err := Open(Options{Interfaces: []string{"lo", "eth0"}, MaxFlows: 16, Promiscuous: true})
	var missing *PermissionError
	switch {
	case err == nil:
		fmt.Println("counting")
	case errors.As(err, &missing) && errors.Is(err, fs.ErrPermission):
		fmt.Println("needs", missing.Capability)
	default:
		fmt.Println(err)
	}
	if what == "stay" {
		select {}
	}
	return 0
}

// child starts it in a namespace, with some rights, and gives its first line.
func child(t *testing.T, ns *nettest.NS, what string, attr *syscall.SysProcAttr) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe") // whoever may not enter its folder
	cmd.Env = append(os.Environ(), "METER_CHILD="+what)
	cmd.SysProcAttr = attr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ns.Do(func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var line [256]byte
	n, _ := out.Read(line[:])
	return cmd, strings.TrimSpace(string(line[:n]))
}

// Every capability that is missing is named.
func TestRights(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct {
		caps []uintptr
		want string
	}{
		{nil, "needs CAP_BPF"},
		{[]uintptr{unix.CAP_BPF}, "needs CAP_BPF and CAP_NET_ADMIN"},
		{[]uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN}, "needs CAP_PERFMON"},
		{[]uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON}, "needs CAP_NET_RAW"},
		{[]uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON, unix.CAP_NET_RAW}, "counting"},
	} {
		attr := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: c.caps}
		if _, said := child(t, l.near, "leave", attr); said != c.want {
			t.Errorf("with capabilities %v: %q, want %q", c.caps, said, c.want)
		}
	}
}

// A meter that is killed leaves nothing attached.
func TestKilled(t *testing.T) {
	l := newLab(t)
	cmd, said := child(t, l.near, "stay", nil)
	if said != "counting" {
		t.Fatal(said)
	}
	if n := attached(t, l.near, "eth0"); n != 2 {
		t.Fatalf("%d programs", n)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if n := attached(t, l.near, "eth0"); n != 0 {
		t.Errorf("%d programs left", n)
	}
	if strings.Contains(l.near.Run("ip", "-d", "link", "show", "eth0"), "promiscuity 1 ") {
		t.Error("still promiscuous")
	}
}

func attached(t *testing.T, ns *nettest.NS, iface string) (n int) {
	t.Helper()
	var err error
	ns.Do(func() {
		var i *net.Interface
		if i, err = net.InterfaceByName(iface); err != nil {
			return
		}
		for _, way := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
			var found *link.QueryResult
			if found, err = link.QueryPrograms(link.QueryOptions{Target: i.Index, Attach: way}); err != nil {
				return
			}
			n += len(found.Programs)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A program of another that ends the chain does not hide frames.
func TestBeforeOthers(t *testing.T) {
	l := newLab(t)
	drop, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "MIT", Instructions: verdict(2)})
	if err != nil {
		t.Fatal(err)
	}
	defer drop.Close()
	var other link.Link
	l.near.Do(func() {
		var i *net.Interface
		if i, err = net.InterfaceByName("eth0"); err == nil {
			other, err = link.AttachTCX(link.TCXOptions{Interface: i.Index, Program: drop, Attach: ebpf.AttachTCXIngress})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	m := openIn(t, l.near, Options{Interfaces: []string{"eth0"}})
	frame := samples["udp"]()
	openPort(t, l.far, "eth0").send(frame)
	settled(t, m, 1)
	agree(t, m, [][]byte{frame})
}

func TestWrongInterfaces(t *testing.T) {
	l := newLab(t)
	openTun(t, l.near, "tun7", unix.ARPHRD_SLIP)
	for name, o := range map[string]Options{
		"none":     {},
		"twice":    {Interfaces: []string{"lo", "lo"}},
		"unknown":  {Interfaces: []string{"lo", "nope7"}},
		"too long": {Interfaces: []string{"a-name-that-is-too-long"}},
		"too few":  {Interfaces: []string{"lo"}, MaxFlows: -1},
	} {
		l.near.Do(func() {
			if m, err := Open(o); err == nil {
				t.Errorf("%s: opened", name)
				_ = m.Close()
			}
		})
	}
	var missing *UnsupportedError
	l.near.Do(func() {
		_, err := Open(Options{Interfaces: []string{"tun7"}})
		if !errors.Is(err, ErrUnsupported) || !errors.As(err, &missing) {
			t.Errorf("tun7: %v", err)
		}
	})
	if n := attached(t, l.near, "lo"); n != 0 {
		t.Errorf("%d programs left behind by failures", n)
	}
}

func verdict(n int32) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, n), asm.Return()}
}
