package report

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

var update = flag.Bool("update", false, "rewrite the golden pages")

type openWall struct{}

func (openWall) Ask(_ exposure.Proto, _ netip.Addr, port uint16) exposure.Permit {
	if port == 5432 {
		return exposure.Permit{Verdict: exposure.Denied, Rules: []string{"inet filter input: tcp dport 5432 drop"}}
	}
	return exposure.Permit{Verdict: exposure.Permitted, ByDefault: true, Rules: []string{"inet filter input policy accept"}}
}

func (w openWall) AskAny(p exposure.Proto, _, _ bool, port uint16) exposure.Permit {
	return w.Ask(p, netip.Addr{}, port)
}

func sock(proto exposure.Proto, addr string, port uint16, name, unit string) exposure.Socket {
	a := exposure.ParseAddress(addr)
	st := exposure.Listen
	if proto == exposure.UDP {
		st = exposure.Unconnected
	}
	return exposure.Socket{Proto: proto, State: st, Addr: a, Port: port, Scope: exposure.ScopeOf(a.IP), DualStack: addr == "::",
		NetNS: exposure.NetNS{ID: "1"}, Unit: unit, Package: name, Sockets: 1,
		Processes: []exposure.Process{{PID: 100 + int(port), Name: name, Exe: "/usr/sbin/" + name, User: "root"}}}
}

// pageReport is a host with one of everything that the page has to show.
func pageReport() audit.Report {
	lan := netip.MustParseAddr("192.168.7.20")
	socks := []exposure.Socket{
		sock("tcp", "::", 22, "sshd", "ssh.service"), sock("tcp", "0.0.0.0", 6379, "redis-server", "redis-server.service"),
		sock("udp", "127.0.0.53", 53, "systemd-resolve", "systemd-resolved.service"), sock("tcp", "127.0.0.1", 631, "cupsd", "cups.service"),
		sock("tcp", "::1", 631, "cupsd", "cups.service"), sock("tcp", "0.0.0.0", 5432, "postgres", "postgresql@15-main.service"),
		sock("tcp", "0.0.0.0", 834, "a-program-with-a-very-long-name\x1b[31m", ""),
	}
	implant := exposure.Socket{Proto: "3", State: exposure.Packet, NetNS: exposure.NetNS{ID: "1"},
		Processes: []exposure.Process{{PID: 2231, Name: "python3", Exe: "/tmp/.x", Deleted: true, User: "www-data"}}}
	open := func(p uint16) exposure.PortState {
		return exposure.PortState{Addr: lan, Port: p, Proto: exposure.TCP, State: exposure.Open}
	}
	snap := exposure.Snapshot{Sockets: append(socks, implant)}
	in := audit.Input{Host: "web-01", Taken: time.Unix(0, 0), Self: exposure.NetNS{ID: "1"}, Before: snap, After: snap, Wall: openWall{}, Book: knowledge.Open(),
		Addrs: []exposure.OwnAddress{{IP: netip.MustParseAddr("127.0.0.1")}, {IP: lan}},
		Scan: &exposure.Scan{Stats: exposure.ScanStats{Seconds: 0.4}, Hosts: []exposure.HostScan{{Addr: lan, Asked: map[exposure.Proto]int{exposure.TCP: 65535},
			States: map[exposure.PortStateName]int{exposure.Closed: 65530}, Ports: []exposure.PortState{open(22), open(6379), open(4444), open(834)}}}},
		Rechecked: []exposure.PortState{open(4444)},
	}
	return audit.Judge(&in)
}

// The page as people see it, at the widths that matter. Update with
// `go test ./internal/report -update` and look at it.
func TestAuditPage(t *testing.T) {
	rep := pageReport()
	for _, c := range []struct {
		file string
		st   Style
	}{{"testdata/audit-80.txt", Style{Width: 80}}, {"testdata/audit-140.txt", Style{Width: 140}}, {"testdata/audit-80-v.txt", Style{Width: 80, Verbose: true}}} {
		var b bytes.Buffer
		if err := AuditText(&b, &rep, c.st); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(c.file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s differs; look at the page and update:\n%s", c.file, b.String())
		}
		checkPage(t, b.String(), c.st.Width)
	}
}

// checkPage: only commands, which are copied whole, may be wider than the
// page, and nothing raw from outside is on it.
func checkPage(t *testing.T, page string, width int) {
	t.Helper()
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		if strings.Contains(line, "\x1b") {
			t.Errorf("a raw escape: %q", line)
		}
		if runewidth.StringWidth(line) > width && !strings.Contains(line, "> ") {
			t.Errorf("%d columns on a page of %d: %s", runewidth.StringWidth(line), width, line)
		}
	}
}
