package nmapxml

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
)

// hostile is what a banner may bring: controls, markup, bytes that are no
// UTF-8, bidirectional overrides, what XML forbids.
const hostile = "a\x1b[31m\x00<b a='1'>&amp;]]>\"/,\t\r\n\u202e\u009b\xff\ufffe\U000e0041é\x7f"

func textGen() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "x", "OpenSSH", hostile, "ünï 界"}), rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }))
}

func serviceGen(t *rapid.T) *exposure.Service {
	if rapid.Bool().Draw(t, "silent") {
		return nil
	}
	text := textGen()
	return &exposure.Service{Name: text.Draw(t, "name"), Product: text.Draw(t, "product"), Version: text.Draw(t, "version"),
		Info: text.Draw(t, "info"), CPE: text.Draw(t, "cpe"), TLS: rapid.Bool().Draw(t, "tls"), Banner: text.Draw(t, "banner"),
		TLSDetail: certGen(t), Via: rapid.SampledFrom([]string{"", "table", "probe", "banner", "probed", "tls"}).Draw(t, "via")}
}

// certGen makes what the certificate script can say: names without the glue
// between names, seconds.
func certGen(t *rapid.T) *exposure.TLSDetail {
	if rapid.Bool().Draw(t, "clear") {
		return nil
	}
	d := &exposure.TLSDetail{Subject: textGen().Draw(t, "cn"), Issuer: textGen().Draw(t, "ca"), Version: "TLS 1.3", ALPN: "h2", SelfSigned: true}
	for range rapid.IntRange(0, 3).Draw(t, "names") {
		d.Names = append(d.Names, strings.ReplaceAll(textGen().Draw(t, "san"), namesGlue, ",")+rapid.SampledFrom([]string{".example", "\x00", "192.0.2.1"}).Draw(t, "tail"))
	}
	if rapid.Bool().Draw(t, "ends") {
		d.NotAfter = time.Unix(rapid.Int64Range(0, 1<<37).Draw(t, "end"), 0).UTC()
	}
	return d
}

func portGen(t *rapid.T) exposure.PortState {
	return exposure.PortState{Port: rapid.Uint16().Draw(t, "port"), TTL: rapid.Uint8().Draw(t, "ttl"),
		Proto:   rapid.SampledFrom([]exposure.Proto{"tcp", "udp", "sctp", "udplite", "a\" b"}).Draw(t, "proto"),
		State:   rapid.SampledFrom([]exposure.PortStateName{exposure.Open, exposure.Closed, exposure.OpenFiltered}).Draw(t, "state"),
		Reason:  textGen().Draw(t, "reason"),
		RTTus:   rapid.Int64Range(0, 1<<40).Draw(t, "rtt"),
		Service: serviceGen(t)}
}

func hostGen(t *rapid.T) exposure.HostScan {
	text := textGen()
	h := exposure.HostScan{Up: rapid.Bool().Draw(t, "up"), Name: text.Draw(t, "host"), Reason: text.Draw(t, "why"), MAC: text.Draw(t, "mac"),
		EverythingAnswers: rapid.Bool().Draw(t, "everything"), States: map[exposure.PortStateName]int{}, Ports: []exposure.PortState{}}
	for _, s := range []exposure.PortStateName{exposure.Open, exposure.Closed, exposure.Filtered} {
		if n := rapid.IntRange(-1, 65536).Draw(t, "count"); n%3 != 0 {
			h.States[s] = n
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "ports") {
		h.Ports = append(h.Ports, portGen(t))
	}
	for range rapid.IntRange(0, 2).Draw(t, "guesses") {
		h.OS = append(h.OS, exposure.OSGuess{Name: "Linux" + text.Draw(t, "os"), Accuracy: rapid.IntRange(0, 100).Draw(t, "acc"), Via: "nmap"})
	}
	return h
}

// addresses are distinct: entries of one address are put together.
var addresses = []string{"192.0.2.1", "2001:db8::1", "fe80::1%eth0", "::ffff:10.0.0.1", "fe80::1%<\"é>", ""}

func docGen(t *rapid.T) Doc {
	s := exposure.Scan{}
	for _, a := range addresses {
		if rapid.Bool().Draw(t, "absent") {
			continue
		}
		h := hostGen(t)
		h.Addr, _ = netip.ParseAddr(a)
		for i := range h.Ports {
			h.Ports[i].Addr = h.Addr
		}
		s.Hosts = append(s.Hosts, h)
	}
	if rapid.Bool().Draw(t, "dated") {
		s.Taken = time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, "taken"), 7)
	}
	s.Stats.Seconds = rapid.Float64Range(0, 1e7).Draw(t, "seconds")
	for range rapid.IntRange(0, 2).Draw(t, "gaps") {
		s.Gaps = append(s.Gaps, exposure.Gap{View: "network", Why: textGen().Draw(t, "gap")})
	}
	return Doc{Version: textGen().Draw(t, "v"), Args: textGen().Draw(t, "args"), Scan: &s, Asked: []Asked{
		{"tcp", "syn", rapid.SliceOf(rapid.Uint16()).Draw(t, "tcp")}, {"udp", "udp", rapid.SliceOf(rapid.Uint16()).Draw(t, "udp")}},
		Reasons: func(*exposure.HostScan, exposure.PortStateName) []Reason { return []Reason{{hostile, 7}} }}
}

// seen is text as XML 1.0 can say it, written the naive way.
func seen(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// expressible is what nmap's XML can say of a scan.
func expressible(s exposure.Scan) []exposure.HostScan {
	var out []exposure.HostScan
	for _, h := range s.Hosts {
		h.Name, h.Reason, h.MAC = seen(h.Name), seen(h.Reason), seen(h.MAC)
		ports, states := []exposure.PortState{}, map[exposure.PortStateName]int{}
		for _, p := range h.Ports {
			p.Reason, p.RTTus = seen(p.Reason), 0
			p.Service = said(p.Service)
			if p.Proto == "tcp" || p.Proto == "udp" || p.Proto == "sctp" {
				ports = append(ports, p)
			}
		}
		for state, n := range h.States {
			if n > 0 {
				states[state] = n
			}
		}
		h.OS = append([]exposure.OSGuess(nil), h.OS...)
		for i := range h.OS {
			h.OS[i].Name = seen(h.OS[i].Name)
		}
		h.Ports, h.States = ports, states
		out = append(out, h)
	}
	return out
}

func said(s *exposure.Service) *exposure.Service {
	if s == nil {
		return nil
	}
	c := *s
	for _, f := range []*string{&c.Name, &c.Product, &c.Version, &c.Info, &c.CPE, &c.Banner} {
		*f = seen(*f)
	}
	if c.Name == "" {
		c.Name = "unknown"
	}
	c.TLSDetail = certified(s.TLSDetail)
	if c.Via == "" || c.Via == "table" {
		c.Via = "table"
	} else {
		c.Via = "probed"
	}
	return &c
}

// certified is what the certificate script can say.
func certified(d *exposure.TLSDetail) *exposure.TLSDetail {
	if d == nil || d.Subject+d.Issuer == "" && len(d.Names) == 0 && d.NotAfter.IsZero() {
		return nil
	}
	c := exposure.TLSDetail{Subject: seen(d.Subject), Issuer: seen(d.Issuer), NotAfter: d.NotAfter}
	for _, n := range d.Names {
		c.Names = append(c.Names, seen(n))
	}
	return &c
}

func distinct(ports []uint16) int {
	set := map[uint16]bool{}
	for _, p := range ports {
		set[p] = true
	}
	return len(set)
}

// What nmap's XML can say is read back whole, and nothing raw that a terminal
// would obey is in it.
func TestWriteReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := docGen(t)
		var b bytes.Buffer
		if err := Write(&b, d); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && (r < ' ' || obeyed(r)) {
				t.Fatalf("%U stands raw", r)
			}
		}
		run, err := Parse(&b)
		if err != nil {
			t.Fatal(err)
		}
		want := expressible(*d.Scan)
		asked := map[exposure.Proto]int{}
		for _, a := range d.Asked {
			if n := distinct(a.Ports); n > 0 {
				asked[a.Proto] = n
			}
		}
		for i := range want {
			if len(asked) > 0 {
				want[i].Asked = asked
			}
		}
		if diff := cmp.Diff(want, run.Hosts, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Fatalf("(-want +read):\n%s", diff)
		}
		if got, want := epochOf(run.Taken), epochOf(d.Scan.Taken); got != want {
			t.Fatalf("taken %d, want %d", got, want)
		}
		if run.Seconds != d.Scan.Stats.Seconds || run.Finished != (len(d.Scan.Gaps) == 0) {
			t.Fatalf("seconds %v, finished %v", run.Seconds, run.Finished)
		}
	})
}

func writeFile(t *testing.T, name string, d Doc) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, d); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func plainDoc() Doc {
	addr := netip.MustParseAddr("192.0.2.7")
	return Doc{Version: "0.3", Args: "portreeve scan -p 22,80-81 --identify 192.0.2.7", Scan: &exposure.Scan{
		Taken: time.Unix(1700000000, 0), Stats: exposure.ScanStats{Seconds: 1.25},
		Hosts: []exposure.HostScan{{Addr: addr, Name: "web-01", Up: true, Reason: "arp-response", MAC: "00:11:22:33:44:55",
			States: map[exposure.PortStateName]int{exposure.Closed: 2}, OS: []exposure.OSGuess{{Name: "Linux 4.x-6.x", Accuracy: 85, Via: "tcp-stack"}},
			Ports: []exposure.PortState{{Addr: addr, Port: 22, Proto: "tcp", State: exposure.Open, Reason: "syn-ack", TTL: 64, RTT: 80 * time.Microsecond,
				Service: &exposure.Service{Name: "ssh", Product: "OpenSSH", Version: "9.2p1", Info: "protocol 2.0", CPE: "cpe:/a:openbsd:openssh:9.2p1", Via: "banner"}}}}}},
		Asked:   []Asked{{"tcp", "syn", []uint16{81, 22, 80}}},
		Reasons: func(*exposure.HostScan, exposure.PortStateName) []Reason { return []Reason{{"reset", 2}} }}
}

// The document as it is, so that a change is seen.
func TestWriteDocument(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, plainDoc()); err != nil {
		t.Fatal(err)
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<!-- written by portreeve; nmap.dtd knows no other scanner than nmap -->
<nmaprun scanner="nmap" args="portreeve scan -p 22,80-81 --identify 192.0.2.7" start="1700000000" startstr="Tue Nov 14 22:13:20 2023" version="portreeve 0.3" xmloutputversion="1.05">
<scaninfo type="syn" protocol="tcp" numservices="3" services="22,80-81"/>
<verbose level="0"/>
<debugging level="0"/>
<host><status state="up" reason="arp-response" reason_ttl="0"/>
<address addr="192.0.2.7" addrtype="ipv4"/>
<address addr="00:11:22:33:44:55" addrtype="mac"/>
<hostnames><hostname name="web-01" type="user"/></hostnames>
<ports><extraports state="closed" count="2"><extrareasons reason="reset" count="2"/></extraports>
<port protocol="tcp" portid="22"><state state="open" reason="syn-ack" reason_ttl="64"/><service name="ssh" product="OpenSSH" version="9.2p1" extrainfo="protocol 2.0" method="probed" conf="10"><cpe>cpe:/a:openbsd:openssh:9.2p1</cpe></service></port>
</ports>
<os><osmatch name="Linux 4.x-6.x" accuracy="85" line="0"/></os>
<times srtt="80" rttvar="40" to="240"/>
</host>
<runstats><finished time="1700000001" timestr="Tue Nov 14 22:13:21 2023" summary="portreeve done at Tue Nov 14 22:13:21 2023; 1 IP address (1 host up) scanned in 1.25 seconds" elapsed="1.25" exit="success"/><hosts up="1" down="0" total="1"/></runstats>
</nmaprun>
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A scan that was broken off is a whole document that says so.
func TestWriteUnfinished(t *testing.T) {
	d := plainDoc()
	d.Scan.Gaps = []exposure.Gap{{View: "network", Why: "interrupted after 3 s"}, {View: "network", Why: "interrupted after 3 s"}, {View: "network", Why: "eth0 went down"}}
	var b bytes.Buffer
	if err := Write(&b, d); err != nil {
		t.Fatal(err)
	}
	run, err := Parse(&b)
	if err != nil || run.Finished || run.Failure != "interrupted after 3 s; eth0 went down" || len(run.Hosts) != 1 {
		t.Errorf("%+v, %v", run, err)
	}
}

// An unknown scan type is refused before anything is written.
func TestWriteRefuses(t *testing.T) {
	for _, a := range []Asked{{"tcp", "SYN", nil}, {"icmp", "syn", nil}, {"", "udp", nil}, {"tcp", "syn ack", nil}} {
		d := plainDoc()
		d.Asked = []Asked{a}
		for _, write := range []func(io.Writer, Doc) error{Write, WriteGrepable} {
			var b bytes.Buffer
			if err := write(&b, d); !errors.Is(err, ErrInexpressible) || b.Len() > 0 {
				t.Errorf("%+v: %v, %d bytes", a, err, b.Len())
			}
		}
	}
}

type full struct{ left int }

var errFull = errors.New("disk full")

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriteTellsErrors(t *testing.T) {
	d := wideDoc(4096)
	for _, write := range []func(io.Writer, Doc) error{Write, WriteGrepable} {
		for _, room := range []int{0, 1 << 17} {
			if err := write(&full{room}, d); !errors.Is(err, errFull) {
				t.Errorf("room %d: %v", room, err)
			}
		}
	}
}

func wideDoc(hosts int) Doc {
	d := plainDoc()
	sample := d.Scan.Hosts[0]
	d.Scan.Hosts = nil
	addr := netip.MustParseAddr("10.0.0.0")
	for range hosts {
		sample.Addr, addr = addr, addr.Next()
		d.Scan.Hosts = append(d.Scan.Hosts, sample)
	}
	d.Reasons = nil
	return d
}

// Memory does not grow with the scan: what is allocated does not depend on how
// many hosts there are.
func TestWriteAllocatesNothingPerHost(t *testing.T) {
	for name, write := range map[string]func(io.Writer, Doc) error{"xml": Write, "grepable": WriteGrepable} {
		allocs := func(hosts int) float64 {
			d := wideDoc(hosts)
			return testing.AllocsPerRun(1, func() {
				if err := write(io.Discard, d); err != nil {
					t.Error(err)
				}
			})
		}
		if few, many := allocs(16), allocs(16384); many > few+16 {
			t.Errorf("%s: %.0f allocations for 16 hosts, %.0f for 16,384", name, few, many)
		}
	}
}

func TestPortList(t *testing.T) {
	for want, ports := range map[string][]uint16{"": nil, "22": {22, 22}, "1-3,5": {5, 3, 1, 2}, "0-1,65534-65535": {65535, 0, 65534, 1}} {
		got, n := portList(ports)
		if string(got) != want || n != distinct(ports) {
			t.Errorf("%v: %s (%d), want %s", ports, got, n, want)
		}
	}
}

// Values longer than the reader keeps are cut between runes.
func TestCut(t *testing.T) {
	got := cut(strings.Repeat("a", maxText-1) + "é")
	if len(got) != maxText-1 || cut(strings.Repeat("é", maxText)) != strings.Repeat("é", maxText/2) {
		t.Errorf("%d bytes", len(got))
	}
	if n := len(cut(strings.Repeat("\x80", maxText+9))); n > maxText || n < maxText-utf8.UTFMax {
		t.Errorf("%d bytes that are no UTF-8", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	d := wideDoc(65536)
	for b.Loop() {
		if err := Write(io.Discard, d); err != nil {
			b.Fatal(err)
		}
	}
}

// What was read from any file is written and read again unchanged, as far as
// the DTD goes.
func FuzzRewrite(f *testing.F) {
	f.Add(sample)
	f.Add(`<nmaprun><host><status reason="&#9;"/><address addr="fe80::1%&lt;"/><ports><port protocol="udp" portid="1"><state state="o"/><script id="banner" output="&#x9b;"/></port></ports></host></nmaprun>`)
	f.Fuzz(func(t *testing.T, doc string) {
		run, err := Parse(strings.NewReader(doc))
		if err != nil || len(doc) > maxText/2 {
			return
		}
		scan := exposure.Scan{Hosts: run.Hosts}
		var b bytes.Buffer
		if err := Write(&b, Doc{Scan: &scan}); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(&b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range scan.Hosts {
			scan.Hosts[i].Asked = nil
		}
		if diff := cmp.Diff(expressible(scan), again.Hosts, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-read +again):\n%s", diff)
		}
	})
}

// Whatever the network said, a line is one record: a comment or a host, with
// seven slashes for each port.
func TestGrepableKeepsItsShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := docGen(t)
		var b bytes.Buffer
		if err := WriteGrepable(&b, d); err != nil {
			t.Fatal(err)
		}
		var counts []int
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if !strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, "Host: ") {
				t.Fatalf("%q", line)
			}
			for _, r := range line {
				if r < ' ' && r != '\t' || obeyed(r) {
					t.Fatalf("%U stands raw in %q", r, line)
				}
			}
			if _, ports, ok := strings.Cut(line, "\tPorts: "); ok {
				counts = append(counts, strings.Count(ports, "/"))
			}
		}
		var want []int
		for _, h := range d.Scan.Hosts {
			if len(h.Ports)+len(h.States) > 0 {
				want = append(want, 7*len(h.Ports))
			}
		}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Fatalf("slashes (-want +got):\n%s\n%s", diff, b.String())
		}
	})
}

// The comments name this program and what it asked.
func TestGrepableDocument(t *testing.T) {
	d := plainDoc()
	d.Scan.Gaps = []exposure.Gap{{View: "network", Why: "interrupted"}}
	var b bytes.Buffer
	if err := WriteGrepable(&b, d); err != nil {
		t.Fatal(err)
	}
	want := `# portreeve 0.3 scan initiated Tue Nov 14 22:13:20 2023 as: portreeve scan -p 22,80-81 --identify 192.0.2.7
# Ports scanned: TCP(3;22,80-81) UDP(0;) SCTP(0;) PROTOCOLS(0;)
Host: 192.0.2.7 (web-01)	Status: Up
Host: 192.0.2.7 (web-01)	Ports: 22/open/tcp//ssh//OpenSSH 9.2p1 (protocol 2.0)/	Ignored State: closed (2)
# portreeve done at Tue Nov 14 22:13:21 2023 -- 1 IP address (1 host up) scanned in 1.25 seconds; incomplete: interrupted
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
