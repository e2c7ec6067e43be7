package host

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// snapshot reads one namespace by name.
func snapshot(t *testing.T, r *Reader, ns *nettest.NS, o Options) exposure.Snapshot {
	t.Helper()
	o.NetNS = ns.Name
	s, err := r.Snapshot(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range s.Sockets {
		if row.NetNS.Name != ns.Name || row.NetNS.ID != ns.Inode() {
			t.Errorf("a row of another namespace: %+v", row.NetNS)
		}
	}
	return s
}

// brief writes what is asked of rows: endpoint and state, then the marks that
// are not ordinary.
func brief(rows []exposure.Socket) []string {
	out := []string{}
	for _, s := range rows {
		line := string(s.State) + " " + s.Endpoint().String()
		if s.Device != "" {
			line += " dev=" + s.Device
		}
		if s.DualStack {
			line += " dual"
		}
		if s.MPTCP {
			line += " mptcp"
		}
		if s.Sockets != 1 {
			line += " x" + strconv.Itoa(s.Sockets)
		}
		out = append(out, line+" "+string(s.Scope))
	}
	slices.Sort(out)
	return out
}

func diff(t *testing.T, want, got []string) {
	t.Helper()
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// Every kind of listener, each as one row with its own marks.
func TestEveryKindOfListener(t *testing.T) {
	ns := nettest.New(t)
	ns.Script("ip link add br7 type bridge; ip link set br7 up; ip addr add fe80::7/64 dev br7 nodad; ip addr add 10.7.7.7/24 dev br7")
	index := strings.TrimSpace(ns.Run("cat", "/sys/class/net/br7/ifindex"))
	holder := hold(t, ns,
		"tcp4 127.0.0.1:1001", "tcp4 0.0.0.0:1002", "tcp6 [::]:1003", "tcp6 [::]:1004 v6only",
		"tcp6 [::ffff:127.0.0.1]:1005", "tcp4 0.0.0.0:1006 dev=br7", "tcp4 0.0.0.0:1007 bound",
		"mptcp4 0.0.0.0:1008", "mptcp6 [::]:1009", "tcp6 [fe80::7%"+index+"]:1010", "tcp4 10.7.7.7:1011 dup",
		"tcp4 0.0.0.0:1012", "tcp6 [::]:1012 v6only",
		"tcp4 0.0.0.0:1013 reuseport", "tcp4 0.0.0.0:1013 reuseport", "tcp4 0.0.0.0:1013 reuseport",
		"udp4 0.0.0.0:2001", "udp6 [::]:2002", "udp6 [::]:2003 v6only", "udp4 127.0.0.1:2004 connect=127.0.0.1:2001",
		"udplite4 0.0.0.0:2005", "udplite6 [::1]:2006", "udp4 224.0.0.251:2007", "raw4 0.0.0.0:0",
	)
	want := []string{
		"listen tcp/127.0.0.1:1001 loopback", "listen tcp/0.0.0.0:1002 any", "listen tcp/[::]:1003 dual any", "listen tcp/[::]:1004 any",
		"listen tcp/[::ffff:127.0.0.1]:1005 loopback", "listen tcp/0.0.0.0:1006 dev=br7 any",
		"listen tcp/0.0.0.0:1008 mptcp any", "listen tcp/[::]:1009 dual mptcp any", "listen tcp/[fe80::7%br7]:1010 dev=br7 link",
		"listen tcp/10.7.7.7:1011 private", "listen tcp/0.0.0.0:1012 any", "listen tcp/[::]:1012 any", "listen tcp/0.0.0.0:1013 x3 any",
		"unconnected udp/0.0.0.0:2001 any", "unconnected udp/[::]:2002 dual any", "unconnected udp/[::]:2003 any",
		"unconnected udplite/0.0.0.0:2005 any", "unconnected udplite/[::1]:2006 loopback", "unconnected udp/224.0.0.251:2007 link",
	}
	s := snapshot(t, new(Reader), ns, Options{})
	diff(t, want, brief(s.Sockets))
	if len(s.Gaps) != 0 {
		t.Errorf("all was seen, yet incomplete: %v", s.Gaps)
	}
	for _, row := range s.Sockets {
		if len(row.Processes) != 1 || row.Processes[0].PID != holder.Process.Pid || row.OwnerUnknown != "" || len(row.Inodes) != row.Sockets {
			t.Errorf("%s: %+v, inodes %v", row.Endpoint(), row.Processes, row.Inodes)
		}
	}
	all := snapshot(t, new(Reader), ns, Options{All: true})
	diff(t, append(want, "bound tcp/0.0.0.0:1007 any", "connected udp/127.0.0.1:2004 loopback", "raw 89/0.0.0.0:0 any"), brief(all.Sockets))
}

// By netlink and by /proc/net the same rows come out, but for what only
// netlink tells.
func TestNetlinkAndProcAgree(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001", "tcp6 [::1]:1002", "tcp6 [::]:1003 v6only", "udp4 0.0.0.0:2001", "udp6 [::1]:2002",
		"udplite4 127.0.0.1:2003", "tcp4 0.0.0.0:1004 reuseport", "tcp4 0.0.0.0:1004 reuseport", "raw4 0.0.0.0:0")
	for _, o := range []Options{{}, {All: true}, {Packet: true}} {
		a := snapshot(t, new(Reader), ns, o)
		b := snapshot(t, &Reader{noDiag: true, noBPF: true}, ns, o)
		diff(t, brief(a.Sockets), brief(b.Sockets))
		for _, row := range b.Sockets {
			// A raw socket was asked itself, whichever table listed it.
			if slices.Contains(row.Uncertain, "device") == (row.State == exposure.Raw) || row.Addr.String() == "::" != slices.Contains(row.Uncertain, "dual_stack") {
				t.Errorf("%s: uncertain %v", row.Endpoint(), row.Uncertain)
			}
		}
	}
}

// One program by fork, by inheritance or by SO_REUSEPORT is one row; two
// programs on one port are two.
func TestOneServiceOneRow(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "udp4 0.0.0.0:3001 reuseport", "#one")
	hold(t, ns, "udp4 0.0.0.0:3001 reuseport", "#one")
	hold(t, ns, "udp4 0.0.0.0:3001 reuseport", "#other")
	hold(t, ns, "udp4 0.0.0.0:3002 reuseaddr", "#one")
	hold(t, ns, "udp4 0.0.0.0:3002 reuseaddr", "#other")
	python := nettest.Need(t, "python3")
	cmd := ns.Command(python, "-c", forking)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := fmt.Fscanln(out, new(string)); err != nil {
		t.Fatal(err)
	}
	rows := map[uint16][][2]int{} // port → processes and sockets of each row
	for _, s := range snapshot(t, new(Reader), ns, Options{}).Sockets {
		rows[s.Port] = append(rows[s.Port], [2]int{len(s.Processes), s.Sockets})
		if !slices.IsSortedFunc(s.Processes, func(a, b exposure.Process) int { return a.PID - b.PID }) {
			t.Errorf("%s: processes are not sorted", s.Endpoint())
		}
	}
	for port := range rows {
		slices.SortFunc(rows[port], func(a, b [2]int) int { return b[0] - a[0] })
	}
	want := map[uint16][][2]int{
		3001: {{2, 2}, {1, 1}},
		3002: {{1, 1}, {1, 1}},
		3003: {{3, 1}}, // opened before the fork: one socket
		3004: {{3, 3}}, // opened after it, each its own
	}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
}

// forking makes two children; a child's own name must not make it another
// program.
const forking = `
import os, socket, sys, time, ctypes
def listen(port):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", port)); s.listen(); return s
before = listen(3003)
r, w = os.pipe()
parent = os.getpid()
for i in range(2):
    if os.fork() == 0: break
libc = ctypes.CDLL(None)
libc.prctl(15, b"worker %d" % os.getpid(), 0, 0, 0)
after = listen(3004)
if os.getpid() == parent:
    os.read(r, 1); os.read(r, 1); print("ready", flush=True)
else:
    libc.prctl(1, 9, 0, 0, 0)
    os.write(w, b"x")
time.sleep(1000)
`

// A client's datagram socket is no listener, whatever its port; a server's
// is, even inside the range from which the kernel chooses.
func TestClientsAreNoListeners(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "udp4 127.0.0.1:9 send", "udp6 [::1]:9 send", "udp4 0.0.0.0:0", "udp6 [::]:0",
		"udp4 0.0.0.0:40001", "udp6 [::]:40002", "udp4 127.0.0.1:40003", "udp4 0.0.0.0:1900")
	want := []string{"unconnected udp/0.0.0.0:1900 any", "unconnected udp/0.0.0.0:40001 any", "unconnected udp/127.0.0.1:40003 loopback", "unconnected udp/[::]:40002 dual any"}
	diff(t, want, brief(snapshot(t, new(Reader), ns, Options{}).Sockets))
	if n := len(snapshot(t, new(Reader), ns, Options{All: true}).Sockets); n != 8 {
		t.Errorf("--all lists %d sockets, want 8", n)
	}
	// Without the witness nothing may be lost.
	if n := len(snapshot(t, &Reader{noBPF: true}, ns, Options{}).Sockets); n != 8 {
		t.Errorf("without BPF %d sockets are listed, want all 8", n)
	}
	// Outside the range a bind is the only way; nobody needs to be asked.
	ns.Run("sysctl", "-qw", "net.ipv4.ip_local_port_range=50000 50010")
	if got := snapshot(t, &Reader{noBPF: true}, ns, Options{}); len(got.Sockets) != 8 {
		t.Errorf("%v", brief(got.Sockets))
	}
}

// Sockets of the kernel have no process and a named user.
func TestKernelUsers(t *testing.T) {
	a, b := nettest.New(t), nettest.New(t)
	a.Script("ip link add vx1 type vxlan id 7 dstport 4790; ip link set vx1 up; ip link add vx2 type vxlan id 8 dstport 4791")
	a.Run("ip", "link", "set", "vx2", "netns", b.Name)
	b.Run("ip", "link", "set", "vx2", "up")
	tests := []struct {
		reader Reader
		port   uint16
		want   exposure.KernelUser
	}{
		{Reader{noBPF: true}, 4790, exposure.KernelUser{User: "vxlan", Detail: "vx1", Source: "rtnetlink"}},
		{Reader{noBPF: true}, 4791, exposure.KernelUser{User: "vxlan", Detail: "vx2 in namespace " + b.Name, Source: "rtnetlink"}},
	}
	for _, test := range tests {
		s, err := test.reader.Snapshot(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, row := range s.Sockets {
			if row.NetNS.Name != a.Name || row.Port != test.port {
				continue
			}
			found++
			if row.Kernel == nil || *row.Kernel != test.want || len(row.Processes) != 0 || row.OwnerUnknown != "" {
				t.Errorf("%s: kernel %+v, %q", row.Endpoint(), row.Kernel, row.OwnerUnknown)
			}
		}
		if found == 0 {
			t.Errorf("no socket on %d", test.port)
		}
	}
	// The one namespace alone does not know where its device went; the socket
	// itself still says what it is.
	for _, row := range snapshot(t, new(Reader), a, Options{}).Sockets {
		if row.Port == 4791 && (row.Kernel == nil || row.Kernel.User != "vxlan") {
			t.Errorf("%+v", row.Kernel)
		}
	}
}

func TestNamespaceByNameAndInode(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001")
	for _, name := range []string{ns.Name, ns.Inode(), ""} {
		s, err := new(Reader).Snapshot(t.Context(), Options{NetNS: name})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, row := range s.Sockets {
			if row.NetNS == (exposure.NetNS{ID: ns.Inode(), Name: ns.Name}) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("NetNS %q: %d rows of %s, want 1", name, n, ns.Name)
		}
	}
	ns.Do(func() {
		s, err := new(Reader).Snapshot(t.Context(), Options{NetNS: SelfNetNS})
		if err != nil || len(s.Sockets) != 1 || s.Self.ID != ns.Inode() {
			t.Errorf("self: %d rows in %+v, %v", len(s.Sockets), s.Self, err)
		}
	})
	_, err := new(Reader).Snapshot(t.Context(), Options{NetNS: "no-such-namespace"})
	if !errors.Is(err, ErrNoNamespace) {
		t.Error(err)
	}
}

// A namespace without a name, and one that only a thread or an open file
// keeps, are found too.
func TestNamespacesWithoutAName(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001")
	inode := ns.Inode()
	nettest.Run(t, "ip", "netns", "del", ns.Name)
	s, err := new(Reader).Snapshot(t.Context(), Options{NetNS: inode})
	if err != nil || len(s.Sockets) != 1 || s.Sockets[0].NetNS != (exposure.NetNS{ID: inode}) {
		t.Errorf("%v %v", brief(s.Sockets), err)
	}
	other := nettest.New(t)
	ln := other.Listen("tcp4", "127.0.0.1:1002") // held by this process, which lives elsewhere
	defer ln.Close()
	inode = other.Inode()
	release := make(chan struct{})
	entered := make(chan struct{})
	go other.Do(func() { close(entered); <-release })
	<-entered
	nettest.Run(t, "ip", "netns", "del", other.Name)
	s, err = new(Reader).Snapshot(t.Context(), Options{NetNS: inode})
	close(release)
	if err != nil || len(s.Sockets) != 1 {
		t.Errorf("namespace of a thread: %v %v", brief(s.Sockets), err)
	}
}

// A namespace that ends while others are read is noted and costs nothing else.
func TestNamespaceVanishes(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001")
	v, err := new(Reader).survey(t.Context(), Options{NetNS: ns.Name})
	if err != nil {
		t.Fatal(err)
	}
	v.visit(place{inode: 1, name: "gone", paths: []string{"/run/netns/gone", ns.Path()}})
	n := 0
	if err := v.run(func(*exposure.Socket) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	want := []exposure.Gap{{View: "host", Why: "network namespace gone: it ended while it was being read"}}
	if d := cmp.Diff(want, v.gaps); d != "" {
		t.Error(d)
	}
}

// Without owners the same endpoints are listed, a client's datagram socket no
// more than otherwise.
func TestEndpointsWithoutOwners(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001")
	hold(t, ns, "tcp6 [::]:1002")
	hold(t, ns, "udp4 0.0.0.0:1003")
	hold(t, ns, "udp4 0.0.0.0:0") // a client's: the kernel chose the port
	endpoints := func(o Options) (out []string) {
		o.NetNS = ns.Name
		for _, row := range snapshot(t, new(Reader), ns, o).Sockets {
			if o.NoOwners && len(row.Processes) > 0 {
				t.Errorf("%s: an owner: %+v", row.Endpoint(), row.Processes)
			}
			out = append(out, row.Endpoint().String())
		}
		return out
	}
	want := []string{"tcp/127.0.0.1:1001", "tcp/[::]:1002", "udp/0.0.0.0:1003"}
	if d := cmp.Diff(want, endpoints(Options{NoOwners: true})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, endpoints(Options{})); d != "" {
		t.Error(d)
	}
}
