package host

import (
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/host/sockdiag"
	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/net/bpf"
)

// compile lets tcpdump make a program: as numbers and as it shows it.
func compile(t *testing.T, filter string) (program []bpf.RawInstruction, shown []string) {
	t.Helper()
	nettest.Need(t, "tcpdump")
	lines := strings.Split(strings.TrimSpace(nettest.Run(t, "tcpdump", "-y", "EN10MB", "-ddd", filter)), "\n")
	for _, line := range lines[1:] {
		var n [4]uint64
		for i, word := range strings.Fields(line) {
			n[i], _ = strconv.ParseUint(word, 10, 32)
		}
		program = append(program, bpf.RawInstruction{Op: uint16(n[0]), Jt: uint8(n[1]), Jf: uint8(n[2]), K: uint32(n[3])})
	}
	return program, strings.Split(strings.TrimSpace(nettest.Run(t, "tcpdump", "-y", "EN10MB", "-d", filter)), "\n")
}

// The text is tcpdump's own, instruction for instruction.
func TestDisassemblyIsTcpdumps(t *testing.T) {
	for _, filter := range []string{"tcp port 22", "udp and dst port 53", "ip6 and not icmp6", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
		"vlan 5 and host 10.0.0.1", "len > 100", "ip[8] < 5 and ip[2:2] > tcp[2:2]", "ether[0] & 1 = 0", "icmp or greater 60"} {
		program, want := compile(t, filter)
		got := strings.Split(disassemble(program), "\n")
		if len(got) != len(want) {
			t.Errorf("%s: %d lines, want %d", filter, len(got), len(want))
			continue
		}
		for i := range want {
			if squeeze(got[i]) != squeeze(want[i]) {
				t.Errorf("%s: line %q, tcpdump shows %q", filter, got[i], want[i])
			}
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestFilterText(t *testing.T) {
	if got := filterText(nil); got != filterHidden {
		t.Error(got)
	}
	if got := filterText(make([]byte, 7)); !strings.HasPrefix(got, "cBPF not shown: ") {
		t.Error(got)
	}
}

func FuzzFilterText(f *testing.F) {
	f.Add([]byte{0x28, 0, 0, 0, 12, 0, 0, 0, 0x15, 0, 0, 1, 0, 8, 0, 0, 6, 0, 0, 0, 0xff, 0xff, 0, 0})
	f.Add([]byte{5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		text := filterText(b)
		if _, err := sockdiag.DecodeFilter(b); err == nil && len(b) > 0 && strings.Count(text, "\n")+1 != len(b)/8 {
			t.Errorf("%d lines for %d instructions", strings.Count(text, "\n")+1, len(b)/8)
		}
	})
}
