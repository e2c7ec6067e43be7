package host

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// ssStates are ss's names of our states.
var ssStates = map[string]exposure.State{
	"LISTEN": exposure.Listen, "ESTAB": exposure.Established, "TIME-WAIT": exposure.TimeWait, "CLOSE-WAIT": exposure.CloseWait,
	"FIN-WAIT-2": exposure.FinWait2, "SYN-SENT": exposure.SynSent, "UNCONN": exposure.Unconnected,
}

var ssUser = regexp.MustCompile(`pid=(\d+),fd=(\d+)`)

// ssRows reads `ss -Hnape`: one line for each of our rows that is one socket.
func ssRows(t *testing.T, ns *nettest.NS, flags string) []string {
	t.Helper()
	nettest.Need(t, "ss")
	out := []string{}
	for line := range strings.Lines(ns.Run("ss", "-Hnape"+flags)) {
		f := strings.Fields(line)
		state, ok := ssStates[f[0]]
		if !ok {
			continue // ss complains about a missing cgroup mount
		}
		proto := map[string]string{"t": "tcp", "u": "udp"}[flags]
		if proto == "udp" && f[0] == "ESTAB" {
			state = exposure.Connected
		}
		holders := []string{}
		for _, m := range ssUser.FindAllStringSubmatch(line, -1) {
			holders = append(holders, m[1]+"/"+m[2])
		}
		slices.Sort(holders)
		only := ""
		if strings.HasPrefix(ssAddr(f[3]), "[::]:") { // elsewhere it decides nothing
			only = ssField(line, "v6only:")
		}
		out = append(out, fmt.Sprintf("%s %s %s %s ino=%s v6only=%s %s", proto, state, ssAddr(f[3]), ssAddr(f[4]),
			ssField(line, "ino:"), only, strings.Join(holders, " ")))
	}
	slices.Sort(out)
	return out
}

func ssField(line, name string) string {
	_, rest, ok := strings.Cut(line, name)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	return strings.TrimSpace(value)
}

// ssAddr makes "*:80" and "0.0.0.0:*" canonical.
func ssAddr(s string) string {
	if host, port, _ := cutLast(s, ":"); port == "*" {
		s = host + ":0"
	}
	return strings.Replace(s, "*:", "[::]:", 1)
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func ourRows(rows []exposure.Socket, proto exposure.Proto) []string {
	out := []string{}
	for _, s := range rows {
		if s.Proto != proto || s.State == exposure.Bound || s.State == exposure.Raw || s.State == exposure.Packet {
			continue
		}
		holders := []string{}
		for _, p := range s.Processes {
			holders = append(holders, fmt.Sprintf("%d/%d", p.PID, p.FD))
		}
		slices.Sort(holders)
		inode, only := "0", ""
		if len(s.Inodes) > 0 {
			inode = strconv.FormatUint(s.Inodes[0], 10)
		}
		if s.IsListener() && s.Addr.String() == "::" {
			only = map[bool]string{true: "0", false: "1"}[s.DualStack]
		}
		out = append(out, fmt.Sprintf("%s %s %s %s ino=%s v6only=%s %s", s.Proto, s.State, exposure.HostPort(s.Addr, s.Port),
			exposure.HostPort(s.PeerAddr, s.PeerPort), inode, only, strings.Join(holders, " ")))
	}
	slices.Sort(out)
	return out
}

// Every field that ss shows of TCP and UDP sockets, in every state that a
// test can hold still, is ours too.
func TestAgreesWithSS(t *testing.T) {
	ns := nettest.New(t)
	hold(t, ns, "tcp4 127.0.0.1:1001", "tcp6 [::]:1002", "tcp6 [::]:1003 v6only", "tcp6 [::1]:1004", "udp4 127.0.0.1:1005",
		"udp6 [::]:1006", "udp4 127.0.0.1:1007 connect=127.0.0.1:1005", "udp4 127.0.0.1:1005 send")
	connections(t, ns)
	s := snapshot(t, new(Reader), ns, Options{All: true})
	if d := cmp.Diff(ssRows(t, ns, "t"), ourRows(s.Sockets, exposure.TCP)); d != "" {
		t.Errorf("TCP, -ss +ours:\n%s", d)
	}
	if d := cmp.Diff(ssRows(t, ns, "u"), ourRows(s.Sockets, exposure.UDP)); d != "" {
		t.Errorf("UDP, -ss +ours:\n%s", d)
	}
	for _, row := range s.Sockets {
		if want := map[exposure.State]string{exposure.TimeWait: ownerTimeWait, exposure.FinWait2: ownerOrphan}[row.State]; want != row.OwnerUnknown && want != "" {
			t.Errorf("%s: %q, want %q", row.State, row.OwnerUnknown, want)
		}
	}
}

// connections leaves behind one connection accepted by this process, one in
// its listener's queue, one half closed and one in TIME-WAIT.
func connections(t *testing.T, ns *nettest.NS) {
	t.Helper()
	ln := ns.Listen("tcp4", "127.0.0.1:1010")
	dial := func() net.Conn {
		var c net.Conn
		var err error
		ns.Do(func() { c, err = net.Dial("tcp4", "127.0.0.1:1010") })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	accept := func() net.Conn {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial()
	accept()
	half := dial()
	accept()
	_ = half.Close() // FIN-WAIT-2 without an owner, CLOSE-WAIT on our side
	c, s := dial(), accept()
	_ = s.Close() // closes first: TIME-WAIT
	_, _ = c.Read(make([]byte, 1))
	_ = c.Close()
	dial() // stays in the queue
}

// The addresses are those of ip(8), with zone, interface and index.
func TestAddresses(t *testing.T) {
	a, b := nettest.New(t), nettest.New(t)
	nettest.Veth(t, a, b, "eth7=10.1.2.3/24", "10.1.2.4/24")
	a.Run("ip", "addr", "add", "fe80::7/64", "dev", "eth7", "nodad")
	var got []string
	a.Do(func() {
		list, err := Addresses(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, addr := range list {
			got = append(got, fmt.Sprint(addr.Own().IP, "/", addr.PrefixLen, " ", addr.Interface, " up=", addr.Up, " lo=", addr.Loopback))
		}
	})
	for _, want := range []string{"127.0.0.1/8 lo up=true lo=true", "::1/128 lo up=true lo=true", "10.1.2.3/24 eth7 up=true lo=false"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing from %q", want, got)
		}
	}
	if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "fe80::7%eth7/64 eth7 ") }) {
		t.Errorf("no link-local address with zone in %q", got)
	}
}
