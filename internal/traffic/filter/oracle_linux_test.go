package filter

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// tcpdumpNames are tcpdump's names of the link types tested (pcap-linktype(7)).
func tcpdumpNames() map[wire.LinkType]string {
	return map[wire.LinkType]string{
		linkNull: "NULL", linkEthernet: "EN10MB", linkTokenRing: "IEEE802", linkPPP: "PPP", linkFDDI: "FDDI",
		linkPPPHDLC: "PPP_SERIAL", linkPPPEther: "PPP_ETHER", linkRaw: "RAW", linkCHDLC: "C_HDLC", link80211: "IEEE802_11",
		linkFrelay: "FRELAY", linkLoop: "LOOP", linkSLL: "LINUX_SLL", linkSLL2: "LINUX_SLL2", linkPFLOG: "PFLOG",
		linkPrism: "PRISM_HEADER", linkIPFC: "IP_OVER_FC", linkRadiotap: "IEEE802_11_RADIO", linkAVS: "IEEE802_11_RADIO_AVS",
		linkPPI: "PPI", linkIPv4: "IPV4", linkIPv6: "IPV6", linkATM: "ATM_RFC1483", linkSLIP: "SLIP",
	}
}

// oracle is tcpdump's answer to an expression: a program or a refusal.
type oracle struct {
	prog    []bpf.RawInstruction
	refusal string
}

// ask has tcpdump compile an expression.
func ask(t testing.TB, link wire.LinkType, expr string, flags ...string) oracle {
	t.Helper()
	args := append([]string{"-ddd", "-y", tcpdumpNames()[link]}, flags...)
	out, err := exec.Command(nettest.Need(t, "tcpdump"), append(args, "--", expr)...).CombinedOutput()
	if err != nil {
		return oracle{refusal: strings.TrimSpace(string(out))}
	}
	return oracle{prog: program(t, string(out))}
}

// program reads tcpdump's -ddd.
func program(t testing.TB, out string) []bpf.RawInstruction {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for len(lines) > 0 && strings.Contains(lines[0], "tcpdump:") {
		lines = lines[1:]
	}
	if len(lines) < 2 {
		t.Errorf("tcpdump -ddd gave %q", out)
		return nil
	}
	var prog []bpf.RawInstruction
	for _, line := range lines[1:] {
		var f [4]uint64
		for i, s := range strings.Fields(line) {
			f[i], _ = strconv.ParseUint(s, 10, 32)
		}
		prog = append(prog, bpf.RawInstruction{Op: uint16(f[0]), Jt: uint8(f[1]), Jf: uint8(f[2]), K: uint32(f[3])})
	}
	if n, _ := strconv.Atoi(lines[0]); n != len(prog) {
		t.Errorf("tcpdump -ddd gave %q", out)
	}
	return prog
}

// findsZero reports tcpdump's refusal of an operation on what its optimiser
// computes to be 0 or too far; "x * 0" as a divisor is such, and no refusal of
// ours: it matches nothing.
func (o oracle) findsZero() bool {
	return strings.Contains(o.refusal, "by zero") || strings.Contains(o.refusal, "shift by more")
}

// rejectsAll reports tcpdump's refusal of what its optimiser proves to match
// nothing.
func (o oracle) rejectsAll() bool { return strings.Contains(o.refusal, "rejects all packets") }
