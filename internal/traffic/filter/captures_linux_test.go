package filter

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

const captures = "../../../../shared/fixtures/captures"

// TestCountsAsTcpdump: on other people's captures as many packets match as
// tcpdump counts when it reads them.
func TestCountsAsTcpdump(t *testing.T) {
	tcpdump := nettest.Need(t, "tcpdump")
	files, err := filepath.Glob(captures + "/*/*.pcap")
	if err != nil || len(files) == 0 {
		nettest.Missing(t, captures)
	}
	more, _ := filepath.Glob(captures + "/*/*/*.pcap")
	exprs := []string{"tcp", "udp port 53", "ip6", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", "vlan", "port 80 or port 443", "not ip",
		"greater 200", "mpls", "icmp or arp", "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420", "net 10 or net 192.168.0.0/16", "portrange 1-1023", "pppoes and ip", "ip proto 47"}
	compared, matched := 0, 0
	for i, file := range append(files, more...) {
		link, ps := readCapture(t, file)
		if len(ps) == 0 {
			continue
		}
		for j := range 3 {
			expr := exprs[(3*i+j)%len(exprs)]
			want, ok := count(t, tcpdump, file, expr)
			p, err := Compile(expr, Options{Link: link, File: true})
			if !ok || err != nil {
				if ok != (err == nil) && !isNever(err) {
					t.Errorf("%s: %q: tcpdump takes it: %v; we: %v", file, expr, ok, err)
				}
				continue
			}
			got := 0
			for _, q := range ps {
				if p.Match(q.data, q.wire, Meta{}) {
					got++
				}
			}
			if compared++; got != want {
				t.Errorf("%s: %q: %d packets match, tcpdump counts %d", file, expr, got, want)
			}
			matched += got
		}
	}
	if compared < 100 || matched < 1000 {
		t.Errorf("only %d counts compared, %d packets matched", compared, matched)
	}
}

func readCapture(t *testing.T, file string) (wire.LinkType, []packet) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(data))
	if err != nil {
		return 0, nil
	}
	var ps []packet
	for {
		b, ci, err := r.ReadPacketData()
		if err != nil {
			return wire.LinkType(r.LinkType()), ps
		}
		ps = append(ps, packet{data: b, wire: uint32(ci.Length)})
	}
}

func count(t *testing.T, tcpdump, file, expr string) (int, bool) {
	t.Helper()
	out, err := exec.Command(tcpdump, "-nr", file, "--count", "--", expr).CombinedOutput()
	m := regexp.MustCompile(`(?m)^(\d+) packets?$`).FindSubmatch(out)
	if err != nil && m == nil || m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(m[1]))
	return n, err == nil
}
