package filter

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// FuzzCompile: whatever the expression, it is compiled or refused with a
// sound position; a program is one that a kernel takes, and the machine and
// its plain twin agree on it.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{"", "tcp port 80", "host 192.0.2.1 and not (port 22 or 80)", "ip[ip[0]&15:2] = 3", "vlan 5 and mpls 16 and ip",
		"geneve and tcp", "proto TCP port 80", "net 2001:db8::/32", "ether host 0:0:5e:0:53:1", "1<<ip[0]%3^2=len", "type mgt subtype beacon",
		"ip6 protochain 6", "\\tcp $a5 'x'", "pppoes 5 and ip host 1.2", "portrange 1-2", "llc xid", "on em0 and action pass"} {
		f.Add(s, uint16(1), []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 8, 0, 0x45, 0, 0, 40}, true)
		f.Add(s, uint16(127), []byte{0, 0, 8, 0, 0, 0, 0, 0, 8, 0}, false)
	}
	f.Fuzz(func(t *testing.T, expr string, link uint16, data []byte, meta bool) {
		p, err := Compile(expr, Options{Link: wire.LinkType(link), VLANMeta: meta, PacketInfo: meta, Service: testService})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T", err)
			}
			checkPrintable(t, e)
			return
		}
		kernelTakes(t, p.Instructions())
		m := Meta{HasVLAN: meta, VLANTCI: link, PacketType: 4}
		if a, b := p.Match(data, uint32(len(data)), m), slow(p.raw, data, uint32(len(data)), m) != 0; a != b {
			t.Fatalf("%q on % x: the machine says %v, its twin %v", expr, data, a, b)
		}
	})
}

// kernelTakes checks what the kernel checks (bpf_check_classic and
// check_load_and_stores of net/core/filter.c).
func kernelTakes(t testing.TB, prog []bpf.RawInstruction) {
	t.Helper()
	if len(prog) == 0 || len(prog) > MaxInstructions {
		t.Fatalf("%d instructions", len(prog))
	}
	reached := make([]uint32, len(prog)) // scratch memory written on all ways
	for i := range reached {
		reached[i] = 0xffffffff
	}
	reached[0] = 0
	for i, in := range prog {
		have := reached[i]
		to := func(far uint32) {
			at := i + 1 + int(far)
			if far > uint32(len(prog)) || at >= len(prog) {
				t.Fatalf("instruction %d jumps out of the program", i)
			}
			reached[at] &= have
		}
		switch {
		case plainCode(in) == oBad:
			t.Fatalf("instruction %d, %#x, is none", i, in.Op)
		case in.Op == 0x02 || in.Op == 0x03:
			have |= 1 << in.K
		case in.Op == 0x60 || in.Op == 0x61:
			if in.K >= 16 || have&(1<<in.K) == 0 {
				t.Fatalf("instruction %d reads scratch memory %d before it is written", i, in.K)
			}
		case in.Op&0x0f == 0x04 && (in.Op&0xf0 == 0x30 || in.Op&0xf0 == 0x90) && in.K == 0:
			t.Fatalf("instruction %d divides by zero", i)
		case in.Op&0x0f == 0x04 && (in.Op&0xf0 == 0x60 || in.Op&0xf0 == 0x70) && in.K > 31:
			t.Fatalf("instruction %d shifts by %d", i, in.K)
		}
		switch {
		case in.Op == 0x05:
			to(in.K)
		case in.Op&7 == 5:
			to(uint32(in.Jt))
			to(uint32(in.Jf))
		case in.Op&7 == 6:
		default:
			to(0)
		}
	}
}

// FuzzMachine: any instructions on any bytes end, do not panic, and give what
// the twin and the machine of golang.org/x/net/bpf give.
func FuzzMachine(f *testing.F) {
	for _, expr := range []string{"tcp port 80", "ip[ip[0]&15] / ip[8] = 3", "ether host 0:0:5e:0:53:1", "geneve and tcp", "vlan and len > 5"} {
		p := mustCompile(f, expr, Options{Link: linkEthernet})
		var prog []byte
		for _, in := range p.raw {
			prog = append(prog, byte(in.Op), in.Jt, in.Jf)
			prog = binary.BigEndian.AppendUint32(prog, in.K)
		}
		f.Add(prog, packets(linkEthernet, 3, 1)[0].data)
	}
	f.Fuzz(func(t *testing.T, code, data []byte) {
		var raw []bpf.RawInstruction
		for ; len(code) >= 7; code = code[7:] {
			raw = append(raw, bpf.RawInstruction{Op: uint16(code[0]), Jt: code[1], Jf: code[2], K: binary.BigEndian.Uint32(code[3:])})
		}
		got := run(decode(raw), data, uint32(len(data)), &Meta{})
		sound := true
		for _, in := range raw {
			sound = sound && plainCode(in) != oBad && in.Op != 0x81
		}
		vm, ok := reference(raw)
		if !sound || !ok {
			return
		}
		want, err := vm.Run(data)
		if err != nil || readsWords(raw) {
			return
		}
		if uint32(want) != got {
			t.Fatalf("%v on % x: %d, x/net/bpf %d", raw, data, got, want)
		}
		if twin := slow(raw, data, uint32(len(data)), Meta{}); twin != got {
			t.Fatalf("%v on % x: %d, the twin %d", raw, data, got, twin)
		}
	})
}

// reference is the machine of golang.org/x/net/bpf, for programs it takes.
func reference(raw []bpf.RawInstruction) (*bpf.VM, bool) {
	insts, all := bpf.Disassemble(raw)
	if !all {
		return nil, false
	}
	vm, err := bpf.NewVM(insts)
	return vm, err == nil
}

// readsWords reports loads at places that wrap around, which the reference
// counts with the machine's int.
func readsWords(raw []bpf.RawInstruction) bool {
	for _, in := range raw {
		if in.K > 1<<30 && (strings.Contains("\x20\x28\x30\x40\x48\x50\xb1", string(rune(in.Op)))) {
			return true
		}
	}
	return false
}
