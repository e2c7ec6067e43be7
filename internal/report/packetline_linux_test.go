package report

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/capture/file"
)

var (
	dumped = regexp.MustCompile(`^(\S+) IP6? (\S+) > (\S+?): `)
	ours   = regexp.MustCompile(`^(\S+) \S+ (\S+) > (\S+?):(?: |$)`)
)

// tcpdumpEnd writes one of our ends as tcpdump -n does.
func tcpdumpEnd(end string) string {
	if ap, err := netip.ParseAddrPort(end); err == nil {
		return fmt.Sprintf("%s.%d", ap.Addr(), ap.Port())
	}
	return end
}

// Beside tcpdump -nq: the same packets in the same order, at the same times,
// with the same addresses and ports.
func TestPacketLinesBesideTcpdump(t *testing.T) {
	tcpdump := nettest.Need(t, "tcpdump")
	files, err := filepath.Glob("../../../shared/fixtures/captures/arkime/*.pcap")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	compared := 0
	for _, name := range files {
		if filepath.Base(name) == "y2038-bgp.pcap" {
			continue // tcpdump has no time of day for one of its packets
		}
		cmd := exec.Command(tcpdump, "-nq", "-r", name)
		cmd.Env = append(os.Environ(), "TZ=UTC")
		out, err := cmd.Output()
		if err != nil {
			continue // a capture that tcpdump cannot read to its end
		}
		compared += besideTcpdump(t, filepath.Base(name), string(out), linesOf(t, name))
	}
	if compared < 1500 {
		t.Errorf("only %d lines were compared", compared)
	}
}

func linesOf(t *testing.T, name string) []string {
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	src, err := file.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	l, out := PacketLines{Zone: time.UTC}, []byte(nil)
	err = traffic.Run(context.Background(), []capture.Source{src}, traffic.Options{Outer: true}, sinkOf(func(it traffic.Items) {
		for i := range it.Captured {
			out = l.Append(out, &it.Captured[i], &it.Decoded[i])
		}
	}))
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

type sinkOf func(traffic.Items)

func (f sinkOf) Take(it traffic.Items) error { f(it); return nil }

func besideTcpdump(t *testing.T, name, dump string, lines []string) (compared int) {
	var theirs []string
	for line := range strings.Lines(dump) {
		if line[0] != '\t' && line[0] != ' ' && len(line) > 15 && line[2] == ':' {
			theirs = append(theirs, line)
		}
	}
	if len(theirs) != len(lines) {
		t.Errorf("%s: tcpdump has %d packets, we %d", name, len(theirs), len(lines))
		return 0
	}
	for i := range lines {
		if lines[i][:15] != theirs[i][:15] {
			t.Errorf("%s packet %d: %s\ntcpdump: %s", name, i+1, lines[i], theirs[i])
		}
		a, b := dumped.FindStringSubmatch(theirs[i]), ours.FindStringSubmatch(lines[i])
		if a == nil || b == nil {
			continue
		}
		compared++
		if a[2] != tcpdumpEnd(b[2]) || a[3] != tcpdumpEnd(b[3]) {
			t.Errorf("%s packet %d: %s\ntcpdump: %s", name, i+1, lines[i], theirs[i])
		}
	}
	return compared
}
