package flow_test

import (
	"bytes"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// tsharkFields are what tshark is asked of each packet.
var tsharkFields = []string{"frame.len", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
	"tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "sctp.srcport", "sctp.dstport"}

// tsharkRows sums what tshark sees in captures, all at once, for starting it
// takes long. A field that is there twice is one of an ICMP error's quote.
func tsharkRows(t *testing.T, paths []string) map[ends]sums {
	t.Helper()
	merged := filepath.Join(t.TempDir(), "all.pcapng")
	nettest.Run(t, "mergecap", append([]string{"-a", "-F", "pcapng", "-w", merged}, paths...)...)
	args := []string{"-n", "-r", merged, "-T", "fields"}
	for _, f := range tsharkFields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, complaint.String())
	}
	rows := map[ends]sums{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.Contains(line, ",") {
			continue
		}
		src, dst := f[1]+f[3], f[2]+f[4]
		for i, proto := range []string{"tcp", "udp", "sctp"} {
			if from, to := f[5+2*i], f[6+2*i]; from != "" {
				ends{proto, src + " " + from, dst + " " + to}.add(rows, sums{1, number(t, f[0])})
			}
		}
	}
	return rows
}

// TestTshark: in all captures without tunnels, every flow has the packets and
// bytes that tshark counts. Fragments, whose ports tshark knows only when it
// has put them together, have a test of their own.
func TestTshark(t *testing.T) {
	nettest.Need(t, "tshark")
	got := map[ends]sums{}
	var paths []string
	for _, path := range allCaptures(t) {
		table := feed(t, path, wire.Decoder{}, flow.Options{})
		all := flows(table)
		if q := table.Quality(); q.Fragments > 0 || q.Undecoded > 0 ||
			slices.ContainsFunc(all, func(f flow.Flow) bool { return f.Depth > 0 }) {
			continue
		}
		paths = append(paths, path)
		for _, f := range all {
			arkimeEnds(&f).add(got, sums{f.PacketsToServer, f.BytesToServer, f.PacketsToClient, f.BytesToClient})
		}
	}
	compared := 0
	for e, want := range tsharkRows(t, paths) {
		compared++
		if got[e] != want {
			t.Errorf("%v: %v, want %v", e, got[e], want)
		}
	}
	t.Logf("%d captures, %d conversations compared", len(paths), compared)
	if compared < 200 {
		t.Errorf("only %d conversations were compared", compared)
	}
}

// allCaptures are all fixtures that are capture files.
func allCaptures(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(captures, func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err == nil && (ext == ".pcap" || ext == ".pcapng") &&
			!strings.Contains(path, "pcapng-test-generator") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
