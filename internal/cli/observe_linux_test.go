package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/nettest"
)

// usedLab is a host with servers and a stranger that is their client.
type usedLab struct {
	*lab
	stranger *nettest.NS
}

func newUsedLab(t *testing.T) *usedLab {
	l := &usedLab{lab: &lab{t: t, ns: nettest.New(t), program: buildProgram(t)}, stranger: nettest.New(t)}
	nettest.Veth(t, l.ns, l.stranger, "10.8.0.1/24", "10.8.0.2/24")
	for _, at := range []string{"0.0.0.0:7001", "0.0.0.0:7003", "0.0.0.0:7004", "10.8.0.1:7008"} {
		go greetAll(l.ns.Listen("tcp4", at), "hello")
	}
	go greetAll(l.ns.Listen("tcp", "[::]:7007"), "hello")
	go echo(l.ns.ListenPacket("udp4", "0.0.0.0:7002"))
	l.ns.ListenPacket("udp4", "0.0.0.0:7005") // never answer
	l.ns.ListenPacket("udp4", "0.0.0.0:7006")
	return l
}

func echo(c net.PacketConn) {
	b := make([]byte, 64)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(b[:n], from)
	}
}

// clients use the servers as clients do, and knock as scanners do.
func (l *usedLab) clients() {
	l.t.Helper()
	for _, at := range []string{"10.8.0.1:7001", "10.8.0.1:7007", "10.8.0.1:7008"} {
		l.ask(l.stranger, "tcp4", at)
	}
	l.ask(l.stranger, "udp4", "10.8.0.1:7002")
	l.ask(l.ns, "tcp4", "10.8.0.1:7001")
	l.ask(l.ns, "tcp4", "127.0.0.1:7003")
	l.send("10.8.0.1:7005", 5, "x")
	l.send("10.8.0.1:7006", 1, "x")
	l.send("10.8.0.1:7099", 1, "x") // refused
	nmap := nettest.Need(l.t, "nmap")
	l.stranger.Run(nmap, "-n", "-Pn", "-sS", "--max-retries", "0", "-p", "7003,7004,7050", "10.8.0.1")
}

func (l *usedLab) ask(ns *nettest.NS, network, at string) {
	l.t.Helper()
	ns.Do(func() {
		c, err := net.DialTimeout(network, at, 5*time.Second)
		if err != nil {
			l.t.Error(err)
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = c.Write([]byte("hello\r\n"))
		if err == nil {
			_, err = io.ReadAtLeast(c, make([]byte, 64), 1)
		}
		if err != nil {
			l.t.Errorf("%s: %v", at, err)
		}
	})
}

func (l *usedLab) send(at string, n int, text string) {
	l.t.Helper()
	l.stranger.Do(func() {
		c, err := net.Dial("udp4", at)
		if err != nil {
			l.t.Error(err)
			return
		}
		defer c.Close()
		for range n {
			_, _ = c.Write([]byte(text))
		}
	})
}

// packetSockets counts the packet sockets of the host's namespace that take
// every protocol: a socket takes none until it is bound.
func (l *usedLab) packetSockets() int {
	return strings.Count(l.ns.Run("cat", "/proc/net/packet"), " 0003 ")
}

// meanwhile starts something that captures and waits until it does.
func (l *usedLab) meanwhile(start func()) {
	l.t.Helper()
	before := l.packetSockets()
	start()
	for begun := time.Now(); l.packetSockets() == before; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			l.t.Fatal("nobody began to capture")
		}
	}
}

// dump starts tcpdump; the function returned ends it.
func (l *usedLab) dump(path string) func() {
	l.t.Helper()
	tcpdump := nettest.Need(l.t, "tcpdump")
	cmd := l.ns.Command(tcpdump, "-n", "-U", "-B", "8192", "-i", "any", "-Z", "root", "-w", path)
	says, err := cmd.StderrPipe()
	must(l.t, err)
	must(l.t, cmd.Start())
	for lines := bufio.NewScanner(says); lines.Scan() && !strings.Contains(lines.Text(), "listening on"); {
	}
	return func() {
		for begun := time.Now(); !holds(path, lastWords); time.Sleep(20 * time.Millisecond) {
			l.send("10.8.0.1:7099", 1, lastWords)
			if time.Since(begun) > time.Minute {
				l.t.Fatal("tcpdump does not write")
			}
		}
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
}

// lastWords are sent until tcpdump has written them: then it has all that came
// before.
const lastWords = "that was all"

func holds(path, text string) bool {
	b, err := os.ReadFile(path)
	return err == nil && bytes.Contains(b, []byte(text))
}

// uses are "proto/addr:port" → clients, packets of the lab's servers.
func uses(rep audit.Report) map[string]string {
	out := map[string]string{}
	for _, e := range rep.Endpoints {
		if t := e.Views.Traffic; t != nil && e.Port >= 7000 && e.Port < 7100 {
			out[e.Name()] = fmt.Sprint(t.Clients, t.Packets > 0, t.Last != nil, e.UsedBy)
		}
	}
	return out
}

func packetsOf(rep audit.Report) map[string]uint64 {
	out := map[string]uint64{}
	for _, e := range rep.Endpoints {
		if t := e.Views.Traffic; t != nil && e.Port >= 7000 && e.Port < 7100 {
			out[e.Name()] = t.Packets
		}
	}
	return out
}

// Who used each listener is the same from a live watch and from tcpdump's
// capture of the same time; scanners, lone probes and the audit's own
// questions are no clients.
func TestObserveAndCaptureTellWhoUsedEachListener(t *testing.T) {
	l := newUsedLab(t)
	dir := t.TempDir()
	pcap, listing := filepath.Join(dir, "x.pcap"), filepath.Join(dir, "host.json")
	end := l.dump(pcap)
	var live audit.Report
	var watch sync.WaitGroup
	l.meanwhile(func() { watch.Go(func() { live = l.audit("--observe", "3s") }) })
	l.clients()
	end()
	watch.Wait()

	want := map[string]string{
		"tcp/0.0.0.0:7001":  "2 true true [10.8.0.1 10.8.0.2]",
		"udp/0.0.0.0:7002":  "1 true true [10.8.0.2]",
		"tcp/0.0.0.0:7003":  "1 true true [127.0.0.1]",
		"tcp/0.0.0.0:7004":  "0 false false []",
		"udp/0.0.0.0:7005":  "1 true true [10.8.0.2]",
		"udp/0.0.0.0:7006":  "0 false false []",
		"tcp/[::]:7007":     "1 true true [10.8.0.2]",
		"tcp/10.8.0.1:7008": "1 true true [10.8.0.2]",
	}
	if d := cmp.Diff(want, uses(live)); d != "" {
		t.Errorf("observed (-want +got):\n%s\nincomplete: %v", d, live.Incomplete)
	}
	w := live.Summary.Traffic
	if w == nil || w.Seconds < 3 || w.Source != "packets seen and connections in the kernel's table" || len(w.Doubts) > 0 || w.Packets == 0 {
		t.Errorf("what the view rests on: %+v", w)
	}
	beyondNeed(t, live)
	for _, f := range live.Findings {
		if f.Rule == "packet-socket" {
			t.Errorf("it met its own packet socket: %v", f.Because)
		}
	}

	out, errs, code := l.run("host", "--json", "--netns", "self")
	if code != 0 {
		t.Fatalf("host: exit %d\n%s", code, errs)
	}
	must(t, os.WriteFile(listing, []byte(out), 0o600))
	here := elsewhere(t, l.program)
	filed := here.audit("--from", listing, "--from", pcap)
	if d := cmp.Diff(want, uses(filed)); d != "" {
		t.Errorf("from the capture (-want +got):\n%s\n%v", d, filed.Summary.Notes)
	}
	if d := cmp.Diff(packetsOf(live), packetsOf(filed)); d != "" {
		t.Errorf("packets (-observed +capture):\n%s", d)
	}
	beyondNeed(t, filed)
	if len(filed.Incomplete) > 0 || len(filed.Summary.Evidence) != 2 {
		t.Errorf("incomplete %v, evidence %v", filed.Incomplete, filed.Summary.Evidence)
	}

	flows, errs, code := here.run("traffic", "-r", pcap, "--by", "flow", "--json", "--listeners", listing)
	if code != 0 {
		t.Fatalf("traffic: exit %d\n%s", code, errs)
	}
	lines := filepath.Join(dir, "flows.jsonl")
	must(t, os.WriteFile(lines, []byte(flows), 0o600))
	if d := cmp.Diff(packetsOf(live), packetsOf(here.audit("--from", lines, "--from", listing))); d != "" {
		t.Errorf("from flow lines (-observed +lines):\n%s", d)
	}

	alone := here.audit("--from", pcap, "--host", "box=10.8.0.1")
	if alone.Host != "box" || slices.ContainsFunc(alone.Endpoints, func(e audit.Endpoint) bool { return e.Views.Host != audit.Unknown }) {
		t.Errorf("without a listing: host %q, %+v", alone.Host, alone.Endpoints)
	}
	wantAlone := map[string]string{"tcp/10.8.0.1:7001": want["tcp/0.0.0.0:7001"], "udp/10.8.0.1:7002": want["udp/0.0.0.0:7002"],
		"tcp/127.0.0.1:7003": want["tcp/0.0.0.0:7003"], "tcp/10.8.0.1:7007": want["tcp/[::]:7007"], "tcp/10.8.0.1:7008": want["tcp/10.8.0.1:7008"]}
	if d := cmp.Diff(wantAlone, uses(alone)); d != "" {
		t.Errorf("without a listing (-want +got):\n%s", d)
	}
}

// beyondNeed wants the one service that only the host itself used, and not the
// others.
func beyondNeed(t *testing.T, rep audit.Report) {
	t.Helper()
	var at []string
	for _, f := range rep.Findings {
		if f.Rule == "exposed-beyond-need" {
			at = append(at, f.Endpoint)
		}
	}
	if !slices.Equal(at, []string{"tcp/0.0.0.0:7003"}) {
		t.Errorf("bound wider than their clients: %v", at)
	}
}

// elsewhere runs the program in a namespace that has nothing to do with the
// evidence.
func elsewhere(t *testing.T, program string) *lab {
	return &lab{t: t, ns: nettest.New(t), program: program}
}

// Without the right to capture the table alone is used, and that is said.
func TestObserveWithoutTheRightToCapture(t *testing.T) {
	ns := nettest.New(t)
	g := newGatherer(&streams{})
	g.in = &audit.Input{}
	ns.Do(func() { // on a thread of its own, whose capabilities are its own
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var had, less [2]unix.CapUserData
		must(t, unix.Capget(&head, &had[0]))
		less = had
		less[0].Effective &^= 1 << unix.CAP_NET_RAW
		must(t, unix.Capset(&head, &less[0]))
		w := g.watchPackets(t.Context())
		must(t, unix.Capset(&head, &had[0]))
		if w != nil {
			t.Error("it captures without CAP_NET_RAW")
		}
	})
	if len(g.in.Gaps) != 1 || g.in.Gaps[0].View != "traffic" || !strings.Contains(g.in.Gaps[0].Why, "CAP_NET_RAW") || !strings.Contains(g.in.Gaps[0].Why, "table alone") {
		t.Errorf("gaps: %v", g.in.Gaps)
	}
}
