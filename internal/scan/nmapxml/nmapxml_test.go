package nmapxml

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/exposure"
)

const fixtures = "../../../../shared/fixtures/scans"

func fixtureFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(fixtures, func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".xml") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Skipf("missing: the shared fixtures: %v", err)
	}
	return files
}

var (
	comments   = regexp.MustCompile(`(?s)<!--.*?-->`)
	portTag    = regexp.MustCompile(`(?s)<port [^>]*>.*?</port>`)
	stateAttr  = regexp.MustCompile(`<state [^>]*?state=["']([^"']*)["']`)
	extraports = regexp.MustCompile(`<extraports [^>]*>`)
	countAttr  = regexp.MustCompile(`count=["'](\d+)["']`)
	stateOnly  = regexp.MustCompile(`state=["']([^"']*)["']`)
)

// countByText counts port states without an XML parser.
func countByText(doc string) map[exposure.PortStateName]int {
	doc = comments.ReplaceAllString(doc, "")
	count := map[exposure.PortStateName]int{}
	for _, port := range portTag.FindAllString(doc, -1) {
		if m := stateAttr.FindStringSubmatch(port); m != nil {
			count[exposure.PortStateName(m[1])]++
		}
	}
	for _, extra := range extraports.FindAllString(doc, -1) {
		n, _ := strconv.Atoi(countAttr.FindStringSubmatch(extra)[1])
		if n > 0 {
			count[exposure.PortStateName(stateOnly.FindStringSubmatch(extra)[1])] += n
		}
	}
	return count
}

func countRead(hosts []exposure.HostScan) map[exposure.PortStateName]int {
	count := map[exposure.PortStateName]int{}
	for _, h := range hosts {
		for _, p := range h.Ports {
			count[p.State]++
		}
		for state, n := range h.States {
			count[state] += n
		}
	}
	return count
}

// Every fixture gives the port states that a count over its text gives.
func TestFixturesAgainstTextCount(t *testing.T) {
	ports := 0
	for _, file := range fixtureFiles(t) {
		doc, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		hosts, err := Read(strings.NewReader(string(doc)))
		if !strings.Contains(string(doc), "<nmaprun") {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("%s: error %v, want ErrFormat", file, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if diff := cmp.Diff(countByText(string(doc)), countRead(hosts)); diff != "" {
			t.Errorf("%s: states (-text +read):\n%s", file, diff)
		}
		for _, h := range hosts {
			ports += len(h.Ports)
		}
	}
	if ports < 100 {
		t.Errorf("only %d ports in all fixtures", ports)
	}
}

const sample = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<nmaprun scanner="nmap" args="nmap -p- -oX v.xml web-01" start="1700000000" version="7.93">
<scaninfo type="syn" protocol="tcp" numservices="65535" services="1-65535"/>
<host starttime="1" endtime="2"><status state="up" reason="echo-reply"/>
<address addr="192.0.2.7" addrtype="ipv4"/><address addr="00:11:22:33:44:55" addrtype="mac"/>
<hostnames><hostname name="web-01.example.net" type="PTR"/><hostname name="web-01" type="user"/></hostnames>
<ports><extraports state="closed" count="65533"><extrareasons reason="reset" count="65533"/></extraports>
<port protocol="tcp" portid="22"><state state="open" reason="syn-ack" reason_ttl="64"/><service name="ssh" product="OpenSSH" version="9.2p1" extrainfo="protocol 2.0" method="probed" conf="10"><cpe>cpe:/a:openbsd:openssh:9.2p1</cpe><cpe>cpe:/o:linux:linux_kernel</cpe></service><script id="x" output="&lt;b&gt;"/><script id="banner" output="SSH-2.0-OpenSSH_9.2p1"/></port>
<port protocol="tcp" portid="443"><state state="filtered" reason="no-response" reason_ttl="999"/><service name="http" tunnel="ssl" method="table"/></port>
</ports><os><portused state="open" proto="tcp" portid="22"/><osmatch name="Linux 4.15 - 5.8" accuracy="97" line="1"><osclass vendor="Linux" osfamily="Linux" accuracy="97"/></osmatch><osmatch name="x" accuracy="101" line="2"/></os></host>
<runstats><finished time="1700000005" elapsed="5.25" exit="success"/><hosts up="1" down="0" total="1"/></runstats>
</nmaprun>`

func TestParse(t *testing.T) {
	run, err := Parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	if !run.Finished || run.Taken.Unix() != 1700000000 || run.Seconds != 5.25 || len(run.Hosts) != 1 {
		t.Fatalf("run: %+v", run)
	}
	h := run.Hosts[0]
	if h.Addr.String() != "192.0.2.7" || h.Name != "web-01" || !h.Up || h.Asked[exposure.TCP] != 65535 || h.States[exposure.Closed] != 65533 {
		t.Errorf("host: %+v", h)
	}
	want := exposure.PortState{Addr: h.Addr, Port: 22, Proto: exposure.TCP, State: exposure.Open, Reason: "syn-ack",
		Service: &exposure.Service{Name: "ssh", Product: "OpenSSH", Version: "9.2p1", Info: "protocol 2.0",
			CPE: "cpe:/a:openbsd:openssh:9.2p1", Via: "probed", Banner: "SSH-2.0-OpenSSH_9.2p1"}}
	want.TTL = 64
	if h.Ports[0].Endpoint() != want.Endpoint() || *h.Ports[0].Service != *want.Service || h.Ports[0].State != want.State || h.Ports[0].TTL != want.TTL {
		t.Errorf("port: %+v, want %+v", h.Ports[0], want)
	}
	os := []exposure.OSGuess{{Name: "Linux 4.15 - 5.8", Accuracy: 97, Via: "nmap"}}
	if h.Reason != "echo-reply" || h.MAC != "00:11:22:33:44:55" || !cmp.Equal(h.OS, os) || h.Ports[1].TTL != 0 {
		t.Errorf("host: %+v", h)
	}
	if s := h.Ports[1].Service; s == nil || !s.TLS || s.Name != "http" {
		t.Errorf("TLS service: %+v", s)
	}
}

// A file that was cut gives the hosts before the cut and says so.
func TestCutFile(t *testing.T) {
	for _, at := range []int{0, 1, 60, 200, len(sample) / 2, len(sample) - 60, len(sample) - 3} {
		run, err := Parse(strings.NewReader(sample[:at]))
		if err == nil || run.Finished {
			t.Errorf("cut at %d: error %v, finished %v", at, err, run.Finished)
		}
		if at == len(sample)-60 && len(run.Hosts) != 1 {
			t.Errorf("cut at %d: %d hosts, want 1", at, len(run.Hosts))
		}
	}
}

// masscan writes a host element per port: one host comes out.
func TestMasscan(t *testing.T) {
	doc := `<?xml version="1.0"?><nmaprun scanner="masscan" start="1700000000" version="1.0-BETA">
<scaninfo type="syn" protocol="tcp" />
<host endtime="1"><address addr="10.0.0.1" addrtype="ipv4"/><ports><port protocol="tcp" portid="80"><state state="open" reason="syn-ack" reason_ttl="64"/></port></ports></host>
<host endtime="1"><address addr="10.0.0.1" addrtype="ipv4"/><ports><port protocol="tcp" portid="443"><state state="open" reason="syn-ack" reason_ttl="64"/></port></ports></host>
<runstats><finished time="1" elapsed="1" /></runstats></nmaprun>`
	hosts, err := Read(strings.NewReader(doc))
	if err != nil || len(hosts) != 1 || len(hosts[0].Ports) != 2 || !hosts[0].Up {
		t.Errorf("%+v, %v", hosts, err)
	}
}

// Hostile files end with a named error and bounded memory.
func TestHostileFiles(t *testing.T) {
	long := io.MultiReader(strings.NewReader(`<nmaprun args="`), io.LimitReader(endless('a'), 64<<20))
	deep := strings.NewReader("<nmaprun>" + strings.Repeat("<a>", 1000))
	for name, r := range map[string]io.Reader{"token": long, "depth": deep} {
		if _, err := Parse(r); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", name, err)
		}
	}
	for _, doc := range []string{"", "{}", "<html></html>", "<nmaprun>&ee;</nmaprun>", "<nmaprun></host></nmaprun>", `<?xml version="1.0" encoding="ebcdic"?><nmaprun/>`} {
		if _, err := Parse(strings.NewReader(doc)); err == nil {
			t.Errorf("%q was read", doc)
		}
	}
}

type endless byte

func (e endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(e)
	}
	return len(b), nil
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(sample[:len(sample)/2]))
	f.Add([]byte(`<nmaprun><host><address addr="fe80::1%eth0"/><ports><port portid="99999"><state/></port></ports></host></nmaprun>`))
	f.Add([]byte("\xef\xbb\xbf<nmaprun scanner='masscan'><host><ports><extraports count='-1' state='x'/></ports></host></nmaprun>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		run, _ := Parse(strings.NewReader(string(doc)))
		for _, h := range run.Hosts {
			for _, p := range h.Ports {
				if p.State == "" || p.Addr != h.Addr {
					t.Errorf("port %+v", p)
				}
			}
		}
	})
}
