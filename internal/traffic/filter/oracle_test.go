package filter

import (
	"encoding/binary"
	"net/netip"
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
		t.Fatalf("tcpdump -ddd gave %q", out)
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
		t.Fatalf("tcpdump -ddd gave %q", out)
	}
	return prog
}

// rejectsAll reports tcpdump's refusal of what its optimiser proves to match
// nothing.
func (o oracle) rejectsAll() bool { return strings.Contains(o.refusal, "rejects all packets") }

// testOptions resolve the names that the tables use, as a system with the
// usual files would.
func testOptions(link wire.LinkType) Options {
	return Options{Link: link, PacketInfo: true, Netmask: netip.MustParseAddr("0.0.0.0"), Service: testService}
}

func testService(name, proto string) (uint16, bool) {
	ports := map[string]uint16{
		"http/tcp": 80, "https/tcp": 443, "https/udp": 443, "domain/tcp": 53, "domain/udp": 53, "ssh/tcp": 22,
		"ftp/tcp": 21, "ftp-data/tcp": 20, "ntp/udp": 123, "snmp/tcp": 161, "snmp/udp": 161, "smtp/tcp": 25,
		"tftp/udp": 69, "bootps/udp": 67,
	}
	p, ok := ports[name+"/"+proto]
	return p, ok
}

// slow runs a program the plainest way, as bpf(4) and linux/filter.h tell. It
// is the twin of run, and knows jumps backward, which protochain has in
// libpcap.
func slow(prog []bpf.RawInstruction, data []byte, wireLen uint32, m Meta) uint32 {
	var a, x uint32
	var mem [16]uint32
	for pc, steps := 0, 0; pc < len(prog) && steps < 100000; pc, steps = pc+1, steps+1 {
		in := prog[pc]
		operand := in.K
		if in.Op&8 != 0 {
			operand = x
		}
		switch in.Op & 7 {
		case 0, 1: // ld, ldx
			v, ok := slowLoad(in, x, data, wireLen, mem, m)
			if !ok {
				return 0
			}
			if in.Op&7 == 0 {
				a = v
			} else {
				x = v
			}
		case 2:
			mem[in.K&15] = a
		case 3:
			mem[in.K&15] = x
		case 4:
			v, ok := slowALU(in.Op, a, operand)
			if !ok {
				return 0
			}
			a = v
		case 5:
			yes := false
			switch in.Op & 0xf0 {
			case 0x00:
				pc += int(int32(in.K))
				continue
			case 0x10:
				yes = a == operand
			case 0x20:
				yes = a > operand
			case 0x30:
				yes = a >= operand
			case 0x40:
				yes = a&operand != 0
			}
			if yes {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		case 6:
			if in.Op&0x18 == 0x10 {
				return a
			}
			return in.K
		case 7:
			if in.Op&0x80 != 0 {
				a = x
			} else {
				x = a
			}
		}
	}
	return 0
}

func slowALU(op uint16, a, b uint32) (uint32, bool) {
	switch op & 0xf0 {
	case 0x00:
		return a + b, true
	case 0x10:
		return a - b, true
	case 0x20:
		return a * b, true
	case 0x30:
		if b == 0 {
			return 0, false
		}
		return a / b, true
	case 0x40:
		return a | b, true
	case 0x50:
		return a & b, true
	case 0x60:
		return uint32(uint64(a) << min(b, 32)), true
	case 0x70:
		return uint32(uint64(a) >> min(b, 32)), true
	case 0x80:
		return -a, true
	case 0x90:
		if b == 0 {
			return 0, false
		}
		return a % b, true
	}
	return a ^ b, true
}

func slowLoad(in bpf.RawInstruction, x uint32, data []byte, wireLen uint32, mem [16]uint32, m Meta) (uint32, bool) {
	n := map[uint16]uint64{0x00: 4, 0x08: 2, 0x10: 1}[in.Op&0x18]
	at := uint64(in.K)
	switch in.Op & 0xe0 {
	case 0x00:
		return in.K, true
	case 0x60:
		return mem[in.K&15], true
	case 0x80:
		return wireLen, true
	case 0x20:
		if in.K >= 0xfffff000 {
			return slowExtension(in.K-0xfffff000, m), true
		}
	case 0x40:
		at += uint64(x)
	}
	if at+n > uint64(len(data)) {
		return 0, false
	}
	if in.Op&0xe0 == 0xa0 {
		return uint32(data[at]&15) * 4, true
	}
	var buf [4]byte
	copy(buf[4-n:], data[at:at+n])
	return binary.BigEndian.Uint32(buf[:]), true
}

func slowExtension(k uint32, m Meta) uint32 {
	switch {
	case k == 4:
		return uint32(m.PacketType)
	case k == 8:
		return m.Interface
	case k == 44:
		return uint32(m.VLANTCI)
	case k == 48 && m.HasVLAN:
		return 1
	}
	return 0
}
