package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// savedPlace is what tests read of a saved scan.
type savedPlace struct {
	TCP    struct{ Top uint64 }         `json:"tcp_at"`
	UDP    struct{ Top uint64 }         `json:"udp_at"`
	Looked struct{ Parts, Done uint64 } `json:"looked"`
}

// startScan starts a scan that saves its state, and ends it with a signal once
// the state says what is waited for.
func (d *duo) startScan(state string, sig syscall.Signal, when func(savedPlace) bool, args ...string) string {
	d.t.Helper()
	cmd := d.ns.Command(d.program, append([]string{"scan", "--json", "--resume", state}, args...)...)
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.After(60 * time.Second); ; {
		var at savedPlace
		b, err := os.ReadFile(state)
		if err == nil && json.Unmarshal(b, &at) == nil && when(at) {
			_ = cmd.Process.Signal(sig)
			<-ended
			return out.String()
		}
		select {
		case err := <-ended:
			d.t.Fatalf("the scan ended before it was to be: %v", err)
		case <-deadline:
			_ = cmd.Process.Kill()
			d.t.Fatal("the state never said what was waited for")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A slow scan is saved by the clock: not every so many probes.
func TestScanSlowlyResumes(t *testing.T) {
	for name, args := range map[string][]string{"connect": {"--method", "connect"}, "udp": {"--udp"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDuo(t)
			d.target.Run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
			state := filepath.Join(t.TempDir(), "scan.state")
			args = append(args, "-Pn", "-p", "3001-3060", "--rate", "10", duoTarget)
			d.startScan(state, syscall.SIGKILL, func(at savedPlace) bool { return max(at.TCP.Top, at.UDP.Top) >= 20 }, args...)
			doc, errs, code := d.scan("--resume", state, "--rate", "1000")
			if code != exitDone || doc.Hosts[0].States[exposure.Closed] != 60 {
				t.Errorf("exit %d, %v\n%s", code, doc.Hosts, errs)
			}
		})
	}
}

// Ctrl-C amid this host's own addresses leaves none of their ports out when
// the scan goes on.
func TestScanResumesOwnAddresses(t *testing.T) {
	d := newDuo(t)
	state := filepath.Join(t.TempDir(), "scan.state")
	cmd := d.ns.Command(d.program, "scan", "--json", "--resume", state, "127.0.0.1", "10.8.0.1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(600 * time.Millisecond)
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	doc, errs, code := d.scan("--resume", state)
	for _, h := range doc.Hosts {
		if h.States[exposure.Closed]+len(h.Ports) != 65535 {
			t.Errorf("%s: %d ports, %v", h.Addr, len(h.Ports), h.States)
		}
	}
	if code != exitDone || len(doc.Hosts) != 2 {
		t.Errorf("exit %d, %d hosts\n%s", code, len(doc.Hosts), errs)
	}
}

// The search for hosts goes on too, and Ctrl-C in it says what was not asked.
func TestScanResumesLooking(t *testing.T) {
	d := newDuo(t)
	state := filepath.Join(t.TempDir(), "scan.state")
	out := d.startScan(state, syscall.SIGINT, func(at savedPlace) bool { return at.Looked.Done >= 2 }, "-p", "80", "--rate", "20", "10.8.0.0/24")
	if doc := d.read(out, ""); len(doc.Gaps) == 0 {
		t.Error("the interrupted search says nothing of it")
	}
	doc, errs, code := d.scan("--resume", state, "--rate", "1000")
	up := 0
	for _, h := range doc.Hosts {
		if h.Up {
			up++
		}
	}
	if code != exitDone || up != 2 || len(doc.Hosts) != 256 {
		t.Errorf("exit %d, %d of %d hosts up\n%s", code, up, len(doc.Hosts), errs)
	}
	if most := int64(2*256 + 2*64); doc.Stats.Sent > most {
		t.Errorf("%d probes were sent in all, at most %d are right", doc.Stats.Sent, most)
	}
}

// A target that dies while it is scanned by raw SYN has not filtered its
// ports: the result says so.
func TestScanTargetDies(t *testing.T) {
	d := newDuo(t)
	state := filepath.Join(t.TempDir(), "scan.state")
	cmd := d.ns.Command(d.program, "scan", "--json", "--resume", state, "-p", "1-12000", "--rate", "5000", duoTarget)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	d.target.Run("ip", "link", "set", "eth0", "down")
	_ = cmd.Wait()
	doc := d.read(out.String(), errs.String())
	if code := cmd.ProcessState.ExitCode(); code != exitPartial || len(doc.Gaps) == 0 || doc.Hosts[0].States[exposure.Closed] == 0 {
		t.Errorf("exit %d, %v, %v\n%s", code, doc.Gaps, doc.Hosts[0].States, errs.String())
	}
	// A firewall that drops is no such thing.
	d.target.Run("ip", "link", "set", "eth0", "up")
	d.target.Script("nft add table inet f\nnft add chain inet f in '{ type filter hook input priority 0; }'\nnft add rule inet f in tcp dport 1000-2000 drop")
	doc, text, code := d.scan("-Pn", "-p", "900-2000", duoTarget)
	if code != exitDone || doc.Hosts[0].States[exposure.Filtered] != 1001 {
		t.Errorf("exit %d, %v\n%s", code, doc.Hosts[0].States, text)
	}
}

// A neighbour that does not answer is down by every method, and nothing is
// missing for it.
func TestScanSilentNeighbour(t *testing.T) {
	d := newDuo(t)
	for _, method := range []string{"syn", "connect"} {
		doc, errs, code := d.scan("-Pn", "-p", "1-20", "--method", method, "10.8.0.77", duoTarget)
		if code != exitDone || doc.Hosts[1].Up || doc.Hosts[1].States[exposure.Filtered] != 20 || doc.Hosts[0].States[exposure.Closed] != 20 {
			t.Errorf("%s: exit %d, %+v\n%s", method, code, doc.Hosts, errs)
		}
	}
}

// A file that cannot be written does not cost the result.
func TestScanUnwritableFile(t *testing.T) {
	d := newDuo(t)
	doc, errs, code := d.scan("-p", "1-20", "--xml", "/nonexistent/scan.xml", duoTarget)
	if code != exitPartial || len(doc.Hosts) != 1 || !strings.Contains(errs, "/nonexistent/scan.xml") {
		t.Errorf("exit %d, %d hosts\n%s", code, len(doc.Hosts), errs)
	}
}
