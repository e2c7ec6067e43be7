package filter

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

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
