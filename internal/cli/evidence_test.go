package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/capture/file"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// talk is a capture made by hand: IPv4 packets on a RAW link.
type talk struct {
	b bytes.Buffer
	w *file.Writer
}

const linkRaw = wire.LinkType(101) // LINKTYPE_RAW

func newTalk() *talk {
	k := &talk{}
	k.w = file.NewWriter(&k.b, file.Options{Format: file.Nanoseconds, From: rawLink{}})
	return k
}

type rawLink struct{}

func (rawLink) Interfaces() []capture.Interface { return []capture.Interface{{Link: linkRaw}} }

const (
	syn, ack, fin, rst = 2, 16, 1, 4
)

// tcp writes one segment (RFC 791, RFC 9293); checksums are left out.
func (k *talk) tcp(at time.Time, src, dst netip.AddrPort, flags byte, seq, acked uint32, data string) {
	p := make([]byte, 40, 40+len(data))
	p[0], p[3], p[8], p[9] = 0x45, byte(40+len(data)), 64, 6
	copy(p[12:], src.Addr().AsSlice())
	copy(p[16:], dst.Addr().AsSlice())
	p[20], p[21], p[22], p[23] = byte(src.Port()>>8), byte(src.Port()), byte(dst.Port()>>8), byte(dst.Port())
	for i := range 4 {
		p[24+i], p[28+i] = byte(seq>>(24-8*i)), byte(acked>>(24-8*i))
	}
	p[32], p[33], p[34] = 0x50, flags, 0x10
	p = append(p, data...)
	_ = k.w.Write(&capture.Packet{Data: p, Wire: uint32(len(p)), Time: at.UnixNano(), Link: linkRaw})
}

// visit is a whole connection.
func (k *talk) visit(at time.Time, client, server string) {
	c, s := netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)
	k.tcp(at, c, s, syn, 100, 0, "")
	k.tcp(at, s, c, syn|ack, 500, 101, "")
	k.tcp(at, c, s, ack, 101, 501, "")
	k.tcp(at, c, s, ack, 101, 501, "hi")
	k.tcp(at, s, c, ack, 501, 103, "hello")
	k.tcp(at, c, s, fin|ack, 103, 506, "")
	k.tcp(at, s, c, fin|ack, 506, 104, "")
	k.tcp(at, c, s, ack, 104, 507, "")
}

func (k *talk) bytes(t *testing.T) []byte {
	t.Helper()
	must(t, k.w.Flush())
	return k.b.Bytes()
}

func (k *talk) save(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, k.bytes(t), 0o600))
	return path
}

// hostFile is a host document with listeners on ports of every address; more
// is put before its sockets.
func hostFile(t *testing.T, more string, ports ...uint16) string {
	t.Helper()
	var socks []exposure.Socket
	for _, p := range ports {
		socks = append(socks, exposure.Socket{Proto: exposure.TCP, State: exposure.Listen, Addr: exposure.ParseAddress("0.0.0.0"), Port: p,
			Scope: exposure.ScopeAny, NetNS: exposure.NetNS{ID: "77"}, Sockets: 1})
	}
	list, err := json.Marshal(socks)
	must(t, err)
	return write(t, "host.json", fmt.Sprintf(`{"schema":"portreeve.host/1","taken":"2026-11-01T00:00:00Z","host":"web-01",%s"sockets":%s,"incomplete":[]}`, more, list))
}

const placed = `"netns":{"id":"77","name":""},"addresses":[{"addr":"127.0.0.1","interface":"lo"},{"addr":"10.0.0.1","interface":"eth0"}],`

// judge runs audit --from … --json.
func judge(t *testing.T, stdin string, args ...string) (audit.Report, string, int) {
	t.Helper()
	out, errs, code := call(t, stdin, append([]string{"audit", "--json"}, args...)...)
	var rep audit.Report
	if err := json.Unmarshal([]byte(out), &rep); err != nil {
		t.Fatalf("%v: exit %d: %v\n%s", args, code, err, errs)
	}
	return rep, errs, code
}

func rulesOf(rep audit.Report, rule string) []string {
	out := []string{}
	for _, f := range rep.Findings {
		if f.Rule == rule {
			out = append(out, f.Endpoint+" "+string(f.Severity))
		}
	}
	return out
}

var began = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// month is a capture of 31 days in which 22 was used from outside, 80 by the
// host itself, 443 by nobody, and another host's 443 by somebody.
func month() *talk {
	k := newTalk()
	k.visit(began, "10.0.0.9:40000", "10.0.0.1:22")
	k.visit(began.Add(time.Hour), "127.0.0.1:40001", "127.0.0.1:80")
	k.visit(began.Add(2*time.Hour), "10.0.0.9:40002", "10.0.0.2:443")
	k.tcp(began.Add(3*time.Hour), netip.MustParseAddrPort("10.0.0.9:40003"), netip.MustParseAddrPort("10.0.0.1:443"), syn, 1, 0, "")
	k.visit(began.Add(31*24*time.Hour), "10.0.0.9:40004", "10.0.0.1:22")
	return k
}

func TestAMonthOfPacketsShowsWhatNobodyUsed(t *testing.T) {
	listing, pcap := hostFile(t, placed, 22, 80, 443), month().save(t, "month.pcap")
	rep, _, code := judge(t, "", "--from", pcap, "--from", listing)
	if code != exitDone || rep.Host != "web-01" || len(rep.Endpoints) != 3 {
		t.Fatalf("exit %d, host %q, %d endpoints", code, rep.Host, len(rep.Endpoints))
	}
	if d := cmp.Diff([]string{"tcp/0.0.0.0:443 low"}, rulesOf(rep, "unused-listener")); d != "" {
		t.Errorf("unused: %s\n%v", d, rep.Summary.Traffic)
	}
	if d := cmp.Diff([]string{"tcp/0.0.0.0:80 low"}, rulesOf(rep, "exposed-beyond-need")); d != "" {
		t.Errorf("beyond need: %s", d)
	}
	if v := rep.Endpoints[2].Verdict; v != exposure.Unneeded {
		t.Errorf("443: verdict %s", v)
	}
	for i := range rep.Endpoints {
		if v := rep.Endpoints[i].Views; v.Host != audit.Listening || v.Firewall != exposure.UnknownPermit || v.Network != audit.Unknown {
			t.Errorf("%s: views %+v", rep.Endpoints[i].Name(), v)
		}
	}
}

// What a capture cannot show keeps listeners from being called unused.
func TestACaptureThatMissesThingsProvesNothing(t *testing.T) {
	whole := month().bytes(t)
	oneWay := newTalk()
	for i := range 20 {
		c, s := netip.MustParseAddrPort(fmt.Sprintf("10.0.0.9:%d", 40000+i)), netip.MustParseAddrPort("10.0.0.1:22")
		at := began.Add(time.Duration(i) * 48 * time.Hour)
		oneWay.tcp(at, c, s, syn, 100, 0, "")
		oneWay.tcp(at, c, s, ack, 101, 501, "")
		oneWay.tcp(at, c, s, ack, 101, 501, "hi")
	}
	loop := newTalk()
	loop.visit(began, "127.0.0.1:40001", "127.0.0.1:80")
	loop.visit(began.Add(40*24*time.Hour), "127.0.0.1:40001", "127.0.0.1:80")
	week := newTalk()
	week.visit(began, "10.0.0.9:40000", "10.0.0.1:22")
	week.visit(began.Add(7*24*time.Hour), "10.0.0.9:40000", "10.0.0.1:22")
	later := newTalk()
	later.visit(began.Add(60*24*time.Hour), "10.0.0.9:40000", "10.0.0.1:22")
	for name, c := range map[string]struct {
		more  string
		files [][]byte
		code  int
		says  string
	}{
		"cut off":            {placed, [][]byte{whole[:len(whole)-3]}, exitPartial, "cut off"},
		"one direction":      {placed, [][]byte{oneWay.bytes(t)}, exitDone, "only one direction"},
		"loopback only":      {placed, [][]byte{loop.bytes(t)}, exitDone, "loopback alone"},
		"a week":             {placed, [][]byte{week.bytes(t)}, exitDone, ""},
		"days far apart":     {placed, [][]byte{week.bytes(t), later.bytes(t)}, exitDone, ""},
		"an unknown address": {`"netns":{"id":"77","name":""},`, [][]byte{whole}, exitDone, "is not known"},
	} {
		args := []string{"--from", hostFile(t, c.more, 22, 443)}
		for i, b := range c.files {
			path := filepath.Join(t.TempDir(), fmt.Sprint(i))
			must(t, os.WriteFile(path, b, 0o600))
			args = append(args, "--from", path)
		}
		rep, errs, code := judge(t, "", args...)
		if code != c.code || len(rulesOf(rep, "unused-listener")) > 0 {
			t.Errorf("%s: exit %d, unused %v", name, code, rulesOf(rep, "unused-listener"))
		}
		if c.says != "" && !strings.Contains(strings.Join(rep.Summary.Traffic.Doubts, "\n"), c.says) {
			t.Errorf("%s: doubts %q", name, rep.Summary.Traffic.Doubts)
		}
		if code == exitPartial && (len(rep.Incomplete) == 0 || !strings.Contains(errs, "cut off")) {
			t.Errorf("%s: incomplete %v, stderr %s", name, rep.Incomplete, errs)
		}
	}
}

// Every form of input, in any order, tells the same.
func TestEvidenceIsToldApartByContent(t *testing.T) {
	listing, pcap := hostFile(t, placed, 22, 80, 443), month().bytes(t)
	raw := filepath.Join(t.TempDir(), "a.txt")
	must(t, os.WriteFile(raw, pcap, 0o600))
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	_, _ = zw.Write(pcap)
	must(t, zw.Close())
	packed := filepath.Join(t.TempDir(), "b.json")
	must(t, os.WriteFile(packed, z.Bytes(), 0o600))
	flows, errs, code := call(t, "", "traffic", "-r", raw, "--by", "flow", "--json", "--listeners", listing)
	if code != exitDone {
		t.Fatalf("flows: exit %d %s", code, errs)
	}
	want, _, _ := judge(t, "", "--from", raw, "--from", listing)
	for name, c := range map[string]struct {
		stdin string
		args  []string
	}{
		"the other order": {"", []string{"--from", listing, "--from", raw}},
		"compressed":      {"", []string{"--from", listing, "--from", packed}},
		"stdin":           {string(pcap), []string{"--from", listing, "--from", "-"}},
		"flow lines":      {flows, []string{"--from", "-", "--from", listing}},
		"addresses named": {"", []string{"--from", listing, "--from", raw, "--host", "web-01=10.0.0.1,127.0.0.1"}},
	} {
		rep, errs, code := judge(t, c.stdin, c.args...)
		if code != exitDone || rep.Host != "web-01" {
			t.Errorf("%s: exit %d %s, host %q", name, code, errs, rep.Host)
		}
		for i := range want.Endpoints {
			if d := cmp.Diff(want.Endpoints[i].Views, rep.Endpoints[i].Views); d != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, want.Endpoints[i].Name(), d)
			}
		}
	}
}

const nmapXML = `<?xml version="1.0"?><nmaprun scanner="nmap" start="1790000000"><host><status state="up"/><address addr="10.0.0.1" addrtype="ipv4"/>
<ports><port protocol="tcp" portid="22"><state state="open" reason="syn-ack"/></port><port protocol="tcp" portid="6379"><state state="open" reason="syn-ack"/></port></ports></host>
<runstats><finished time="1790000009" elapsed="9" exit="success"/></runstats></nmaprun>`

func TestEvidenceJoinsScanAndCapture(t *testing.T) {
	xml, pcap := write(t, "v.xml", nmapXML), month().save(t, "m.pcap")
	rep, _, code := judge(t, "", "--from", xml, "--from", pcap)
	got := map[string]string{}
	for _, e := range rep.Endpoints {
		clients := -1
		if e.Views.Traffic != nil {
			clients = e.Views.Traffic.Clients
		}
		got[e.Name()] = fmt.Sprint(e.Views.Host, e.Views.Network, clients, e.Verdict)
	}
	want := map[string]string{"tcp/10.0.0.1:22": "unknown open 1 review", "tcp/10.0.0.1:6379": "unknown open -1 exposed", "tcp/127.0.0.1:80": "unknown unknown 1 review"}
	for k, v := range want {
		want[k] = strings.ReplaceAll(v, " ", "")
	}
	for k, v := range got {
		got[k] = strings.ReplaceAll(v, " ", "")
	}
	if d := cmp.Diff(want, got); d != "" || code != exitDone {
		t.Errorf("exit %d (-want +got):\n%s", code, d)
	}
	// With a listing, what answers and is in no listing is what it is in a live audit.
	rep, _, _ = judge(t, "", "--from", xml, "--from", hostFile(t, placed, 22))
	if d := cmp.Diff([]string{"tcp/10.0.0.1:6379 medium"}, rulesOf(rep, "hidden-listener")); d != "" {
		t.Error(d)
	}
}

// Tables tell less than flows: of a port that they have nobody knows whose it
// was; one that they have not was not used.
func TestATableOfPortsShowsOnlyWhatWasNotUsed(t *testing.T) {
	pcap := month().save(t, "m.pcap")
	for _, by := range []string{"port", "pair", "server"} {
		table, _, _ := call(t, "", "traffic", "-r", pcap, "--json", "--by", by)
		rep, _, code := judge(t, table, "--from", "-", "--from", hostFile(t, placed, 22, 443, 8443))
		if d := cmp.Diff([]string{"tcp/0.0.0.0:8443 low"}, rulesOf(rep, "unused-listener")); d != "" || code != exitDone {
			t.Errorf("by %s: exit %d %s %v", by, code, d, rep.Summary.Traffic)
		}
		if rep.Endpoints[0].Views.Traffic != nil {
			t.Errorf("by %s: 22 has %+v", by, rep.Endpoints[0].Views.Traffic)
		}
	}
}

func TestEvidenceThatIsNoneIsRefused(t *testing.T) {
	dir := t.TempDir()
	listing := hostFile(t, placed, 22)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"text":         {[]string{"--from", write(t, "a", "tcp LISTEN 0 128 *:22\n")}, []string{"tried as a capture, as JSON and as nmap XML"}},
		"empty":        {[]string{"--from", write(t, "a", "")}, []string{"none of them"}},
		"missing":      {[]string{"--from", filepath.Join(dir, "none")}, []string{"no such file"}},
		"a folder":     {[]string{"--from", dir}, []string{"directory", "nor folders"}},
		"other JSON":   {[]string{"--from", write(t, "a", `{"schema":"portreeve.diff/1"}`)}, []string{"portreeve.diff/1"}},
		"broken JSON":  {[]string{"--from", write(t, "a", `{"schema":"portreeve.host/1","sockets":[`)}, []string{"JSON"}},
		"no table":     {[]string{"--from", write(t, "a", `{"schema":"portreeve.traffic/1"}`)}, []string{"without ports, pairs or servers"}},
		"wrong types":  {[]string{"--from", write(t, "a", `{"schema":"portreeve.host/1","sockets":7}`)}, []string{"does not keep to its schema"}},
		"other XML":    {[]string{"--from", write(t, "a", `<html></html>`)}, []string{"nmap"}},
		"a bad flow":   {[]string{"--from", write(t, "a", `{"client":"10.0.0.1","server":"10.0.0.2","first":"2026-01-01T00:00:00Z","last":"2026-01-01T00:00:00Z"}`+"\n"+`{"client":7}`)}, []string{"flow 2"}},
		"--observe":    {[]string{"--from", listing, "--observe", "3s"}, []string{"--observe watches this host"}},
		"--deep":       {[]string{"--from", listing, "--deep"}, []string{"--deep asks this host"}},
		"--host alone": {[]string{"--host", "10.0.0.1"}, []string{"--host needs --from"}},
		"--host name":  {[]string{"--from", listing, "--host", "web-01"}, []string{"no address"}},
		"stdin twice":  {[]string{"--from", "-", "--from", "-"}, []string{"read once"}},
	} {
		out, errs, code := call(t, "", append([]string{"audit"}, c.args...)...)
		if code != exitUsage || out != "" {
			t.Errorf("%s: exit %d, stdout %q; want 2 and nothing", name, code, out)
		}
		for _, w := range c.want {
			if !strings.Contains(errs, w) {
				t.Errorf("%s: stderr lacks %q:\n%s", name, w, errs)
			}
		}
	}
}

// A stream of flows that was cut is told like a capture that was.
func TestFlowLinesThatEndEarly(t *testing.T) {
	flows, _, _ := call(t, string(month().bytes(t)), "traffic", "-r", "-", "--by", "flow", "--json")
	rep, _, code := judge(t, flows[:len(flows)-20], "--from", "-", "--from", hostFile(t, placed, 22))
	if code != exitPartial || len(rep.Incomplete) != 1 || !strings.Contains(rep.Incomplete[0].Why, "ends inside flow") {
		t.Errorf("exit %d, incomplete %v", code, rep.Incomplete)
	}
}

// The text says what it rests on.
func TestEvidenceTextSaysWhatItRestsOn(t *testing.T) {
	out, _, _ := call(t, string(month().bytes(t)), "audit", "--from", "-", "--from", hostFile(t, placed, 22))
	for _, w := range []string{"web-01: ", "Evidence: standard input, packets.", "the sockets of web-01, listed 2026-11-01", "Nothing was asked of any host",
		"USED rests on packets of standard input over 744h0m0s", "USED cannot know"} {
		if !strings.Contains(out, w) {
			t.Errorf("lacks %q:\n%s", w, out)
		}
	}
	if strings.Contains(out, "self-scan") {
		t.Errorf("speaks of a scan that was not made:\n%s", out)
	}
}

// Whatever is in a file, the program ends as the contract says.
func FuzzEvidence(f *testing.F) {
	k := month()
	_ = k.w.Flush()
	f.Add(k.b.Bytes())
	f.Add([]byte(nmapXML))
	f.Add([]byte(`{"schema":"portreeve.host/1","sockets":[{"proto":"tcp","state":"listen","addr":"::","port":22,"dual_stack":true}]}`))
	f.Add([]byte(`{"proto":"udp","client":"10.0.0.1","server":"10.0.0.2","server_port":53,"packets_to_server":9,"first":"2026-01-01T00:00:00Z","last":"2026-01-02T00:00:00Z"}`))
	f.Add([]byte(`{"schema":"portreeve.traffic/1","pairs":[{"ports":["tcp/22"]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out, errs bytes.Buffer
		code := Main([]string{"audit", "--json", "--from", "-"}, bytes.NewReader(b), &out, &errs)
		if code != exitUsage && !json.Valid(out.Bytes()) || code == exitUsage && out.Len() > 0 || code != exitDone && code != exitUsage && code != exitPartial {
			t.Errorf("exit %d\n%s\n%s", code, out.String(), errs.String())
		}
	})
}

// The union of spans against counting seconds.
func TestWatchedCountsEachMomentOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []watchSpan
		at := map[int64]bool{}
		for range rapid.IntRange(0, 8).Draw(t, "spans") {
			from := rapid.Int64Range(0, 60).Draw(t, "from")
			s := watchSpan{from, from + rapid.Int64Range(0, 20).Draw(t, "long")}
			list = append(list, s)
			for i := s.from; i < s.to; i++ {
				at[i] = true
			}
		}
		before := slices.Clone(list)
		if got := watched(list); got != time.Duration(len(at)) || !slices.Equal(before, list) {
			t.Fatalf("%v: %d, want %d", list, got, len(at))
		}
	})
}
