package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// duo is a scanner and a target joined by a veth; the program runs in the
// scanner.
type duo struct {
	lab
	target *nettest.NS
}

const (
	duoTarget  = "10.8.0.2"
	duoTarget6 = "fd08::2"
)

func newDuo(t *testing.T) *duo {
	d := &duo{lab: lab{t: t, ns: nettest.New(t), program: buildProgram(t)}, target: nettest.New(t)}
	nettest.Veth(t, d.ns, d.target, "10.8.0.1/24", duoTarget+"/24")
	d.ns.Run("ip", "addr", "add", "fd08::1/64", "dev", "eth0", "nodad")
	d.target.Run("ip", "addr", "add", duoTarget6+"/64", "dev", "eth0", "nodad")
	return d
}

// scanDocument is what a scan's JSON holds.
type scanDocument struct {
	exposure.Scan
	Schema string `json:"schema"`
	Host   string `json:"host"`
}

func (d *duo) scan(args ...string) (scanDocument, string, int) {
	d.t.Helper()
	out, errs, code := d.run(append([]string{"scan", "--json"}, args...)...)
	return d.read(out, errs), errs, code
}

func (d *duo) read(out, errs string) scanDocument {
	d.t.Helper()
	var doc scanDocument
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.Schema != "portreeve.scan/1" {
		d.t.Fatalf("%v\n%s\n%s", err, errs, out)
	}
	return doc
}

// ports are those of a host in a state, as "tcp/22".
func ports(doc scanDocument, addr string, state exposure.PortStateName) []string {
	out := []string{}
	for _, h := range doc.Hosts {
		if h.Addr.String() != addr {
			continue
		}
		for _, p := range h.Ports {
			if p.State == state {
				out = append(out, fmt.Sprintf("%s/%d", p.Proto, p.Port))
			}
		}
	}
	slices.Sort(out)
	return out
}

// Every method and both families find the open ports and count the rest;
// without root the scan connects and misses nothing.
func TestScanByEveryMethod(t *testing.T) {
	d := newDuo(t)
	want := []string{"tcp/22", "tcp/443", "tcp/50000", "tcp/65535", "tcp/8"}
	for _, p := range want {
		d.target.Listen("tcp", net.JoinHostPort("::", strings.TrimPrefix(p, "tcp/")))
	}
	setpriv := nettest.Need(t, "setpriv")
	if err := os.Chmod(filepath.Dir(d.program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(d.program)), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{duoTarget, duoTarget6} {
		for _, method := range []string{"auto", "syn", "connect"} {
			doc, errs, code := d.scan("--method", method, "-p", "all", addr)
			if got := ports(doc, addr, exposure.Open); code != 0 || !slices.Equal(got, want) || doc.Hosts[0].States[exposure.Closed] != 65535-len(want) {
				t.Errorf("%s %s: exit %d, open %v, %v\n%s", method, addr, code, got, doc.Hosts[0].States, errs)
			}
		}
		out, err := d.ns.Command(setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", d.program, "scan", "--json", "-p", "1-1000,50000,65535", addr).Output()
		doc := d.read(string(out), fmt.Sprint(err))
		if got := ports(doc, addr, exposure.Open); err != nil || !slices.Equal(got, want) || len(doc.Gaps) > 0 {
			t.Errorf("without root, %s: %v, open %v, %v", addr, err, got, doc.Gaps)
		}
	}
	if _, errs, code := d.run("scan", "--method", "warp", duoTarget); code != exitUsage || !strings.Contains(errs, "auto, syn or connect") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// Shards, made as if by several machines and merged, say what one scan says.
func TestScanShardsMerge(t *testing.T) {
	d := newDuo(t)
	for _, p := range []string{"22", "80", "777"} {
		d.target.Listen("tcp", duoTarget+":"+p)
	}
	whole, _, _ := d.scan("-p", "1-2000", "10.8.0.0/30")
	var files []string
	sent := int64(0)
	for k := 1; k <= 3; k++ {
		out, errs, code := d.run("scan", "--json", "-p", "1-2000", "--shard", fmt.Sprintf("%d/3", k), "10.8.0.0/30")
		part := d.read(out, errs)
		if len(ports(part, duoTarget, exposure.Open)) == 3 || code != 0 {
			t.Errorf("shard %d: exit %d, open %v", k, code, ports(part, duoTarget, exposure.Open))
		}
		sent += part.Stats.Sent
		files = append(files, "--from", filepath.Join(t.TempDir(), "part.json"))
		if err := os.WriteFile(files[len(files)-1], []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	merged, errs, _ := d.scan(files...)
	for _, addr := range []string{"10.8.0.1", duoTarget} {
		if got, want := ports(merged, addr, exposure.Open), ports(whole, addr, exposure.Open); !slices.Equal(got, want) {
			t.Errorf("%s: open %v, want %v\n%s", addr, got, want, errs)
		}
	}
	for i, h := range whole.Hosts {
		if h.Up && !maps.Equal(merged.Hosts[i].States, h.States) {
			t.Errorf("%s: %v, want %v", h.Addr, merged.Hosts[i].States, h.States)
		}
	}
	if sent > whole.Stats.Sent*3/2 {
		t.Errorf("the shards sent %d probes, the whole %d", sent, whole.Stats.Sent)
	}
}

// A scan that is killed goes on where it was, without asking again more than
// the last seconds' worth.
func TestScanResumesAfterKill(t *testing.T) {
	d := newDuo(t)
	d.target.Listen("tcp", duoTarget+":4711")
	state := filepath.Join(t.TempDir(), "scan.state")
	const rate = 4000
	cmd := d.ns.Command(d.program, "scan", "-Pn", "-p", "all", "--rate", fmt.Sprint(rate), "--resume", state, duoTarget)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for saved := 0; saved < 3 && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if info, err := os.Stat(state); err == nil && time.Since(info.ModTime()) < 200*time.Millisecond {
			saved++
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	begun, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	var at struct {
		TCP struct{ Top uint64 } `json:"tcp_at"`
	}
	if err := json.Unmarshal(begun, &at); err != nil || at.TCP.Top < rate/2 {
		t.Fatalf("%v, saved up to probe %d", err, at.TCP.Top)
	}
	out, errs, code := d.run("scan", "--json", "--resume", state) // alone: the file says what
	doc := d.read(out, errs)
	if got := ports(doc, duoTarget, exposure.Open); code != 0 || !slices.Equal(got, []string{"tcp/4711"}) || doc.Hosts[0].States[exposure.Closed] != 65534 {
		t.Errorf("exit %d, open %v, %v\n%s", code, got, doc.Hosts, errs)
	}
	if most := int64(65535*21/20 + 4*rate); doc.Stats.Sent > most {
		t.Errorf("%d probes were sent in all, at most %d are right", doc.Stats.Sent, most)
	}
	if _, errs, code := d.run("scan", "-p", "1-10", "--resume", state, duoTarget); code != exitUsage || !strings.Contains(errs, "other targets") {
		t.Errorf("another scan with the same state: exit %d, %s", code, errs)
	}
	if err := os.WriteFile(state, begun[:len(begun)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, code := d.run("scan", "--resume", state); code != exitUsage {
		t.Errorf("a damaged state: exit %d", code)
	}
}

// Ctrl-C prints what is known.
func TestScanInterrupted(t *testing.T) {
	d := newDuo(t)
	cmd := d.ns.Command(d.program, "scan", "--json", "-Pn", "-p", "all", "--rate", "2000", duoTarget)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	doc := d.read(out.String(), errs.String())
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || len(doc.Gaps) == 0 || doc.Hosts[0].States[exposure.Closed] == 0 {
		t.Errorf("exit %d, %v, %v\n%s", code, doc.Gaps, doc.Hosts, errs.String())
	}
}

// The interface going down ends a scan in part: nothing is called filtered
// that nobody could hear.
func TestScanInterfaceDown(t *testing.T) {
	d := newDuo(t)
	cmd := d.ns.Command(d.program, "scan", "--json", "-Pn", "-p", "all", "--rate", "3000", duoTarget)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	d.ns.Run("ip", "link", "set", "eth0", "down")
	_ = cmd.Wait()
	doc := d.read(out.String(), errs.String())
	if code := cmd.ProcessState.ExitCode(); code != exitPartial || len(doc.Gaps) == 0 || doc.Hosts[0].States[exposure.Filtered] > 0 {
		t.Errorf("exit %d, %v, %v\n%s", code, doc.Gaps, doc.Hosts, errs.String())
	}
}

// What is excluded, or the policy says never, gets no packet; large public
// ranges are refused until they are confirmed or owned.
func TestScanScope(t *testing.T) {
	nettest.Need(t, "nft")
	d := newDuo(t)
	d.target.Run("ip", "route", "add", "local", "10.66.0.0/24", "dev", "lo")
	d.ns.Run("ip", "route", "add", "10.66.0.0/24", "via", duoTarget)
	d.target.Script("nft 'add table inet f; add chain inet f i { type filter hook prerouting priority 0; }; add rule inet f i ip daddr { 10.66.0.7, 10.66.0.16/28 } counter'")
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("version: 1\nnever-scan: [10.66.0.16/28]\nowned: [198.18.0.0/15, 203.0.113.0/24, 9.0.0.0/8]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, errs, code := d.scan("-p", "80", "--policy", policy, "--exclude", "10.66.0.7", "10.66.0.0/24")
	if code != 0 || len(doc.Hosts) != 256-17 {
		t.Errorf("exit %d, %d hosts\n%s", code, len(doc.Hosts), errs)
	}
	if rules := d.target.Run("nft", "list", "ruleset"); !strings.Contains(rules, "packets 0 ") {
		t.Errorf("packets went where none may:\n%s", rules)
	}
	if _, errs, code := d.run("scan", "-p", "80", "9.0.0.0/16"); code != exitRefused || !strings.Contains(errs, "--confirm-scope") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if _, errs, code := d.run("scan", "-p", "80", "--policy", policy, "--max-rate", "100000", "9.9.0.0/20"); code == exitRefused {
		t.Errorf("an owned range: exit %d: %s", code, errs)
	}
}

// A host where everything answers is said to be one.
func TestScanEverythingAnswers(t *testing.T) {
	nettest.Need(t, "nft")
	d := newDuo(t)
	d.target.Listen("tcp", duoTarget+":9999")
	d.target.Script("nft 'add table ip n; add chain ip n p { type nat hook prerouting priority -100; }; add rule ip n p tcp dport 1-65535 redirect to :9999'")
	for _, method := range []string{"syn", "connect"} {
		doc, errs, code := d.scan("--method", method, "-p", "20-25,80", "--identify", duoTarget)
		if code != 0 || !doc.Hosts[0].EverythingAnswers {
			t.Errorf("%s: exit %d, %+v\n%s", method, code, doc.Hosts, errs)
		}
	}
}

// Services are named, with product and version, and the result is written in
// nmap's formats too.
func TestScanIdentifyAndFormats(t *testing.T) {
	d := newDuo(t)
	ln := d.target.Listen("tcp", duoTarget+":2222")
	go greetAll(ln, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
	dir := t.TempDir()
	xml, lines := filepath.Join(dir, "o.xml"), filepath.Join(dir, "o.gnmap")
	doc, errs, code := d.scan("-p", "2222,2223", "--identify", "--os", "--xml", xml, "--grepable", lines, duoTarget)
	if code != 0 || len(doc.Hosts) != 1 || len(doc.Hosts[0].Ports) != 1 {
		t.Fatalf("exit %d, %+v\n%s", code, doc.Hosts, errs)
	}
	service := doc.Hosts[0].Ports[0].Service
	if service == nil || service.Name != "ssh" || service.Product != "OpenSSH" || service.Version != "9.2p1" {
		t.Errorf("%+v", service)
	}
	if len(doc.Hosts[0].OS) == 0 || !strings.Contains(doc.Hosts[0].OS[0].Name, "Linux") {
		t.Errorf("system: %+v", doc.Hosts[0].OS)
	}
	if b, _ := os.ReadFile(lines); !strings.Contains(string(b), "2222/open/tcp//ssh//OpenSSH 9.2p1") {
		t.Errorf("grepable: %s", b)
	}
	again, _, code := d.scan("--from", xml)
	if code != 0 || len(again.Hosts) != 1 || again.Hosts[0].Ports[0].Service.Version != "9.2p1" {
		t.Errorf("read back: exit %d, %+v", code, again.Hosts)
	}
	if out, err := exec.Command(nettest.Need(t, "xmllint"), "--noout", "--dtdvalid", "/usr/share/nmap/nmap.dtd", xml).CombinedOutput(); err != nil {
		t.Errorf("nmap's DTD: %v\n%s", err, out)
	}
}
