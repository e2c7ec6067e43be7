package filter

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

// liveExpressions are run where VLAN tags may be in the metadata.
func liveExpressions() []string {
	return []string{
		"", "vlan", "vlan 5", "vlan 100", "not vlan", "vlan and ip", "vlan or ip", "ip or vlan", "vlan 5 and tcp", "vlan and vlan",
		"vlan 100 and vlan 200", "vlan 5 or vlan 100", "(vlan and tcp) or udp", "vlan and host 192.0.2.1", "vlan and port 80",
		"vlan and mpls and ip", "vlan and pppoes and ip", "vlan 5 and ip[8] > 5", "vlan and ether[12:2] = 0x800", "vlan and arp",
		"tcp and vlan 5", "not vlan 5 and ip", "vlan and vlan and vlan", "vlan and stp", "vlan and ip6 proto 17", "vlan and tcp[13] & 2 != 0",
		"tcp port 80", "host 192.0.2.1", "ip6", "outbound", "inbound and ip", "len > 90", "udp or geneve", "geneve and ip",
		"ip[ip[0] & 15] = 3", "ip[8] / ip[9] = 10", "1 << ip[9] = 64", "ip6 protochain 6", "ip[8] % 3 ^ 1 = 0", "net 10 or net 192.168.0.0/16",
	}
}

// TestLiveAsTcpdump: what tcpdump compiles for an interface, where it asks the
// metadata for VLAN tags, is what we do.
func TestLiveAsTcpdump(t *testing.T) {
	ns := nettest.New(t)
	ps := packets(linkEthernet, 12, 3000)
	tcpdump := nettest.Need(t, "tcpdump")
	var entries []entry
	for _, expr := range liveExpressions() {
		// What tcpdump does not make kernel programs of: see docs/filters.md.
		if !strings.Contains(expr, "chain") && expr != "1 << ip[9] = 64" {
			entries = append(entries, entry{expr: expr})
		}
	}
	inParallel(entries, func(e entry) {
		expr := e.expr
		o := testOptions(linkEthernet)
		o.VLANMeta = true
		ours, err := Compile(expr, o)
		if err != nil {
			t.Errorf("%q: %v", expr, err)
			return
		}
		var theirs [2][]bpf.RawInstruction
		for i, flag := range []string{"-p", "-O"} {
			out, err := ns.Command(tcpdump, "-ddd", flag, "-i", "lo", "--", expr).CombinedOutput()
			if err != nil {
				t.Errorf("%q: %v: %s", expr, err, out)
				return
			}
			theirs[i] = program(t, string(out))
		}
		for _, p := range ps {
			got := ours.Match(p.data, p.wire, p.meta)
			if got != (slow(theirs[0], p.data, p.wire, p.meta) != 0) && got != (slow(theirs[1], p.data, p.wire, p.meta) != 0) {
				t.Errorf("%q on % x, %+v: we say %v", expr, p.data, p.meta, got)
				return
			}
		}
	})
}

// TestInTheKernel: programs attached to packet sockets let through what Match
// lets through, of frames with tags that the kernel has moved to the metadata.
func TestInTheKernel(t *testing.T) {
	a, b := nettest.New(t), nettest.New(t)
	for _, ns := range []*nettest.NS{a, b} {
		ns.Script("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
	}
	nettest.Veth(t, a, b, "fa0=192.0.2.101/24", "fb0=192.0.2.102/24")
	all := listen(t, b, "fb0", nil)
	exprs := liveExpressions()
	programs, sockets := make([]*Program, len(exprs)), make([]int, len(exprs))
	for i, expr := range exprs {
		o := testOptions(linkEthernet)
		o.VLANMeta = true
		programs[i] = mustCompile(t, expr, o)
		sockets[i] = listen(t, b, "fb0", programs[i].Instructions())
	}
	sender := listen(t, a, "fa0", nil)
	for _, p := range packets(linkEthernet, 13, 400) {
		if len(p.data) < 18 {
			continue
		}
		if err := unix.Send(sender, p.data, 0); err != nil {
			t.Fatalf("send %d bytes: %v", len(p.data), err)
		}
	}
	seen := receive(t, all)
	tagged := 0
	for _, p := range seen {
		if p.meta.HasVLAN {
			tagged++
		}
	}
	if len(seen) < 300 || tagged == 0 {
		t.Fatalf("%d frames came, %d with a tag", len(seen), tagged)
	}
	for i, expr := range exprs {
		compare(t, expr, programs[i], seen, receive(t, sockets[i]))
	}
}

// compare checks that what came through a filter is what matches.
func compare(t *testing.T, expr string, p *Program, seen, got []packet) {
	t.Helper()
	for _, q := range seen {
		if !p.Match(q.data, q.wire, q.meta) {
			continue
		}
		if len(got) == 0 || !bytes.Equal(got[0].data, q.data) || got[0].meta != q.meta {
			t.Errorf("%q: % x %+v matches, the kernel did not let it through", expr, q.data, q.meta)
			return
		}
		got = got[1:]
	}
	if len(got) > 0 {
		t.Errorf("%q: the kernel let % x through, which does not match", expr, got[0].data)
	}
}

// listen opens a packet socket on an interface, with a filter.
func listen(t *testing.T, ns *nettest.NS, name string, prog []bpf.RawInstruction) int {
	t.Helper()
	var fd int
	var err error
	ns.Do(func() { fd, err = open(name, prog) })
	if err != nil {
		t.Fatalf("packet socket on %s with %d instructions: %v", name, len(prog), err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func open(name string, prog []bpf.RawInstruction) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr)
	}
	if err == nil && prog != nil {
		fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: (*unix.SockFilter)(unsafe.Pointer(&prog[0]))}
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog)
	}
	if err == nil {
		err = errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: int(ifr.Uint32())}))
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, err
}

// receive reads all that has come to a socket.
func receive(t *testing.T, fd int) []packet {
	t.Helper()
	var out []packet
	buf, oob := make([]byte, 65536), make([]byte, 256)
	for {
		n, oobn, _, from, err := unix.Recvmsg(fd, buf, oob, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		p := packet{data: bytes.Clone(buf[:n]), wire: uint32(n)}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok {
			p.meta.PacketType = ll.Pkttype
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA {
				aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&m.Data[0]))
				p.meta.HasVLAN = aux.Status&unix.TP_STATUS_VLAN_VALID != 0
				p.meta.VLANTCI, p.meta.VLANProto = aux.Vlan_tci, aux.Vlan_tpid
			}
		}
		out = append(out, p)
	}
}
