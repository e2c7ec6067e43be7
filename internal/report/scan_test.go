package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/nmapxml"
	"pgregory.net/rapid"
)

func openTCP(port uint16, s *exposure.Service) exposure.PortState {
	return exposure.PortState{Port: port, Proto: exposure.TCP, State: exposure.Open, Reason: "syn-ack", RTTus: 84, TTL: 64, Service: s}
}

// pageScan has one of everything that the page has to show.
func pageScan() exposure.Scan {
	taken := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	cert := &exposure.TLSDetail{Version: "TLS 1.3", ALPN: "h2", Subject: "web-01.example.net", Issuer: "Example CA",
		Names: []string{"web-01.example.net", "www.example.net", "example.net", "api.example.net", "static.example.net"}, NotAfter: taken.AddDate(0, 2, 0)}
	old := &exposure.TLSDetail{Version: "TLS 1.0", StartTLS: true, Subject: "mail\x1b[31m", SelfSigned: true, NotAfter: taken.AddDate(-1, 0, 0)}
	many := []exposure.PortState{}
	for i := range 40 {
		many = append(many, exposure.PortState{Port: uint16(8000 + i), Proto: exposure.TCP, State: exposure.Filtered, Reason: "admin-prohibited"})
	}
	echo := []exposure.PortState{openTCP(80, &exposure.Service{Name: "http", Product: "HAProxy", Via: "probe"})}
	for i := range 1000 {
		echo = append(echo, openTCP(uint16(100+i), nil))
	}
	addr := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, last}) }
	s := exposure.Scan{Taken: taken, Stats: exposure.ScanStats{Sent: 16785000, Seconds: 83.4, Loss: exposure.ScanLoss{CanarySent: 4000, CanaryLost: 100, Estimate: 0.025}},
		Gaps: []exposure.Gap{{View: "network", Why: "eth0 went down after 83 s; --resume goes on"}},
		Hosts: []exposure.HostScan{
			{Addr: addr(7), Name: "web-01.example.net", Up: true, Reason: "arp-response", MAC: "52:54:00:12:34:56",
				OS:     []exposure.OSGuess{{Name: "Linux 4.x-6.x", Accuracy: 90, Via: "tcp-stack"}, {Name: "Debian 12", Accuracy: 60, Via: "banner"}},
				States: map[exposure.PortStateName]int{exposure.Closed: 65528},
				Ports: []exposure.PortState{openTCP(22, &exposure.Service{Name: "ssh", Product: "OpenSSH", Version: "9.2p1", Info: "Debian 2+deb12u2", Via: "banner"}),
					openTCP(25, &exposure.Service{Name: "smtp", Product: "Postfix smtpd", Via: "banner", TLS: true, TLSDetail: old}),
					openTCP(443, &exposure.Service{Name: "http", Product: "nginx", Version: "1.22.1", TLS: true, TLSDetail: cert, Via: "probe"}),
					openTCP(3306, &exposure.Service{Name: "mysql", Via: "table"}),
					openTCP(6379, &exposure.Service{Name: "redis", Product: "Redis", Version: "7.0.15", Via: "probe", Auth: "none"}),
					{Port: 7000, Proto: exposure.TCP, State: exposure.Filtered, Reason: "no-response"},
					openTCP(9999, &exposure.Service{Name: "", Via: "banner", Banner: "\x1b]0;owned\x07hello \u202eworld" + strings.Repeat("A", 200)})}},
			{Addr: netip.MustParseAddr("2001:db8:0:1:aaaa:bbbb:cccc:dddd"), Up: true, Reason: "echo-reply", States: map[exposure.PortStateName]int{exposure.Closed: 65000, exposure.Open: 0},
				Ports: append([]exposure.PortState{openTCP(443, &exposure.Service{Name: "https", TLS: true, Via: "tls"}),
					{Port: 53, Proto: exposure.UDP, State: exposure.OpenFiltered, Reason: "no-response"}}, many...)},
			{Addr: addr(9), Up: true, EverythingAnswers: true, Reason: "syn-ack", States: map[exposure.PortStateName]int{exposure.Open: 64534}, Ports: echo},
		}}
	for i := range byte(12) {
		s.Hosts = append(s.Hosts, exposure.HostScan{Addr: addr(100 + i + i/6), Up: true, Reason: "arp-response", Ports: []exposure.PortState{},
			States: map[exposure.PortStateName]int{exposure.Filtered: 65535}})
	}
	for i := range s.Hosts {
		s.Hosts[i].Asked = map[exposure.Proto]int{exposure.TCP: 65535}
	}
	return s
}

// oneHost is what -p- of one host gives.
func oneHost() exposure.Scan {
	s := pageScan()
	s.Gaps, s.Hosts, s.Stats = nil, s.Hosts[:1], exposure.ScanStats{Sent: 65600, Seconds: 1.12, Loss: exposure.ScanLoss{CanarySent: 50}}
	return s
}

// crowdScan has many hosts, most of them alike.
func crowdScan() exposure.Scan {
	s := wideScan(600, 2)
	s.Hosts[300].Ports = append(s.Hosts[300].Ports, openTCP(5432, nil), openTCP(8080, &exposure.Service{Name: "http", Product: "Jetty", Version: "9.4", Via: "probe"}))
	s.Hosts[301].Name = "db-01.example.net"
	s.Hosts[302].EverythingAnswers = true
	s.Hosts[303].Ports = nil
	for i := range 50 {
		s.Hosts[400].Ports = append(s.Hosts[400].Ports, openTCP(uint16(10000+i), nil))
	}
	s.Hosts[401].Ports[0].Service = &exposure.Service{Name: "ssh", Product: "dropbear", Via: "banner"}
	return s
}

func emptyScan() exposure.Scan {
	return exposure.Scan{Stats: exposure.ScanStats{Sent: 2048, Seconds: 2.2}}
}

func quietHost() exposure.Scan {
	s := oneHost()
	s.Hosts[0].Ports = []exposure.PortState{{Port: 53, Proto: exposure.UDP, State: exposure.OpenFiltered, Reason: "no-response", Service: &exposure.Service{Name: "unknown", Via: "table"}}}
	s.Hosts[0].States = map[exposure.PortStateName]int{exposure.Closed: 65000, exposure.Filtered: 535}
	return s
}

// The pages as people see them. Update with `go test ./internal/report
// -update` and look at them.
func TestScanPages(t *testing.T) {
	reset := func(h *exposure.HostScan, s exposure.PortStateName) []nmapxml.Reason {
		n := h.States[s]
		return map[exposure.PortStateName][]nmapxml.Reason{exposure.Closed: {{Reason: "reset", Count: n}},
			exposure.Filtered: {{Reason: "no-response", Count: n - n/10}, {Reason: "host-unreach", Count: n / 10}}}[s]
	}
	for _, c := range []struct {
		file  string
		scan  exposure.Scan
		facts ScanFacts
		st    Style
	}{
		{"scan-80", pageScan(), ScanFacts{Addresses: 256, Reasons: reset}, Style{Width: 80}},
		{"scan-140", pageScan(), ScanFacts{Addresses: 256, Reasons: reset}, Style{Width: 140}},
		{"scan-one-80", oneHost(), ScanFacts{Reasons: reset}, Style{Width: 80}},
		{"scan-one-80-v", oneHost(), ScanFacts{Reasons: reset}, Style{Width: 80, Verbose: true}},
		{"scan-quiet-80", quietHost(), ScanFacts{Reasons: reset}, Style{Width: 80}},
		{"scan-crowd-80", crowdScan(), ScanFacts{Addresses: 1024, Asked: 16384}, Style{Width: 80}},
		{"scan-empty-80", emptyScan(), ScanFacts{Addresses: 256, Asked: 2048}, Style{Width: 80}},
	} {
		var b bytes.Buffer
		if err := ScanText(&b, &c.scan, c.facts, c.st); err != nil {
			t.Fatal(err)
		}
		file := "testdata/" + c.file + ".txt"
		if *update {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s differs; look at the page and update:\n%s", file, b.String())
		}
		checkPage(t, b.String(), c.st.Width)
	}
}

// Whatever the network said, the page keeps its width and nothing raw is on
// it; every open port of a few hosts is there.
func TestScanPageHoldsAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := scanGen(t)
		st := Style{Width: rapid.SampledFrom([]int{0, 80, 100, 140}).Draw(t, "width"), Verbose: rapid.Bool().Draw(t, "v")}
		var b bytes.Buffer
		if err := ScanText(&b, &s, ScanFacts{}, st); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		if !utf8.ValidString(page) {
			t.Fatal("not UTF-8")
		}
		for line := range strings.Lines(page) {
			line = strings.TrimSuffix(line, "\n")
			for _, r := range line {
				if obeyed(r) {
					t.Fatalf("%U stands raw in %q", r, line)
				}
			}
			if w := runewidth.StringWidth(line); st.Width > 0 && w > st.Width {
				t.Fatalf("%d columns on a page of %d: %q", w, st.Width, line)
			}
		}
		for i := range s.Hosts {
			for port := range openPorts(&s.Hosts[i]) {
				if !s.Hosts[i].EverythingAnswers && !strings.Contains(page, portText(port.Port, port.Proto)) {
					t.Fatalf("port %d is not on the page:\n%s", port.Port, page)
				}
			}
		}
	})
}

// Every port of a host is in its table or in its counts.
func TestScanPageLosesNoPort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := hostScanGen(t)
		p := &scanPage{scan: &exposure.Scan{}, st: Style{Verbose: rapid.Bool().Draw(t, "v")}}
		if rapid.Bool().Draw(t, "reasons") {
			why := []nmapxml.Reason{{Reason: "reset", Count: rapid.IntRange(-1, 1<<20).Draw(t, "reset")}, {Reason: "no-response", Count: rapid.IntRange(0, 1<<20).Draw(t, "none")}}
			p.facts.Reasons = func(*exposure.HostScan, exposure.PortStateName) []nmapxml.Reason { return why }
		}
		if rapid.Bool().Draw(t, "long") {
			for i := range 30 {
				h.Ports = append(h.Ports, exposure.PortState{Port: uint16(i), Proto: exposure.TCP, State: exposure.Filtered})
			}
		}
		total := len(h.Ports)
		for _, n := range h.States {
			total += n
		}
		got := len(p.shown(&h))
		for _, c := range p.uncounted(&h) {
			got += c.n
		}
		if got != total {
			t.Fatalf("%d ports on the page of %d", got, total)
		}
	})
}

// Colour only repeats words: without it the same text stands there.
func TestScanPageColour(t *testing.T) {
	s := pageScan()
	var plain, coloured bytes.Buffer
	if err := errors.Join(ScanText(&plain, &s, ScanFacts{}, Style{Width: 80}), ScanText(&coloured, &s, ScanFacts{}, Style{Width: 80, Color: true})); err != nil {
		t.Fatal(err)
	}
	bare := coloured.String()
	for _, code := range []string{red, yellow, green, cyan, bold, dim, "0"} {
		bare = strings.ReplaceAll(bare, "\x1b["+code+"m", "")
	}
	if bare != plain.String() || bare == coloured.String() {
		t.Errorf("colour changes the text:\n%s", coloured.String())
	}
}

// Neighbours are put together, whatever their number, and only them.
func TestAddressRunsAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var hosts []*exposure.HostScan
		for _, last := range rapid.SliceOfDistinct(rapid.Byte(), rapid.ID[byte]).Draw(t, "last") {
			hosts = append(hosts, &exposure.HostScan{Addr: netip.AddrFrom4([4]byte{10, 0, 0, last})})
		}
		var want, got []string
		for _, h := range hosts {
			want = append(want, h.Addr.String())
		}
		for _, run := range addressRuns(hosts) {
			first, last, ok := strings.Cut(run, "-")
			got = append(got, first)
			for a := netip.MustParseAddr(first); ok && a.String() != last; {
				a = a.Next()
				got = append(got, a.String())
			}
		}
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestScanTextTellsErrors(t *testing.T) {
	s := wideScan(4096, 1)
	if err := ScanText(&fullDisk{10}, &s, ScanFacts{}, Style{Verbose: true}); !errors.Is(err, errFullDisk) {
		t.Error(err)
	}
}

func BenchmarkScanText(b *testing.B) {
	s := wideScan(65536, 4)
	for i := range s.Hosts {
		s.Hosts[i].Ports[0].Port = uint16(i) // no two alike
	}
	for b.Loop() {
		if err := ScanText(io.Discard, &s, ScanFacts{}, Style{Width: 80}); err != nil {
			b.Fatal(err)
		}
	}
}
