package sockiter

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

// inode of a socket's descriptor.
func inode(t *testing.T, c syscall.Conn) uint64 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func read(t *testing.T, ns *nettest.NS, kind Kind) map[uint64]Socket {
	t.Helper()
	it, err := Open(kind)
	if errors.Is(err, ErrUnsupported) {
		nettest.Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	out := map[uint64]Socket{}
	ns.Do(func() {
		if err := it.Read(t.Context(), func(s Socket) { out[s.Inode] = s }); err != nil {
			t.Error(err)
		}
	})
	return out
}

// Who chose a datagram socket's port: the program, by bind, or the kernel.
func TestWhoChoseThePort(t *testing.T) {
	ns := nettest.New(t)
	tests := []struct {
		addr string
		want bool
	}{
		{"0.0.0.0:45000", true}, // in the ephemeral range, yet named
		{"0.0.0.0:53", true},
		{"[::]:45001", true},
		{"127.0.0.1:0", true}, // the address was named
		{"0.0.0.0:0", false},
		{"[::]:0", false},
	}
	conns := make([]net.PacketConn, len(tests))
	for i, test := range tests {
		conns[i] = ns.ListenPacket("udp", test.addr)
	}
	seen := read(t, ns, Datagrams)
	if len(seen) != len(tests) {
		t.Errorf("%d sockets, want %d (other namespaces' must not show)", len(seen), len(tests))
	}
	for i, test := range tests {
		s, ok := seen[inode(t, conns[i].(syscall.Conn))]
		port := conns[i].LocalAddr().(*net.UDPAddr).Port
		if !ok || s.BoundByProgram() != test.want || s.Kernel || int(s.Port) != port {
			t.Errorf("%s: %+v (found %v), want bound by program %v, port %d", test.addr, s, ok, test.want, port)
		}
	}
}

// The kernel's own sockets are told from a program's, and by whom they are.
func TestKernelSocketNamesItsUser(t *testing.T) {
	ns := nettest.New(t)
	ns.Run("ip", "link", "add", "vx1", "type", "vxlan", "id", "7", "dstport", "4790")
	ns.Run("ip", "link", "set", "vx1", "up")
	kernel := 0
	for _, s := range read(t, ns, Datagrams) {
		if s.Kernel && s.Port == 4790 && s.Callback[:9] == "vxlan_rcv" {
			kernel++
		}
	}
	if kernel == 0 {
		t.Error("no kernel socket of vxlan on 4790")
	}
	ln := ns.Listen("tcp4", "127.0.0.1:4791")
	s, ok := read(t, ns, Listeners)[inode(t, ln.(syscall.Conn))]
	if !ok || s.Port != 4791 {
		t.Errorf("listener %+v, found %v", s, ok)
	}
}
