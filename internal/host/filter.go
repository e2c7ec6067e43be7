package host

import (
	"fmt"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/host/sockdiag"
	"golang.org/x/net/bpf"
)

const (
	filterHidden  = "cBPF not shown: needs CAP_NET_ADMIN"
	filterEBPF    = "eBPF"
	filterUnasked = "not known: the kernel shows it for no such socket, and its holder's descriptor could not be copied (needs CAP_SYS_PTRACE)"
)

// filterText shows a classic BPF program. The kernel sends an empty one to
// readers without CAP_NET_ADMIN (sock_diag_put_filterinfo).
func filterText(program []byte) string {
	if len(program) == 0 {
		return filterHidden
	}
	raw, err := sockdiag.DecodeFilter(program)
	if err != nil {
		return "cBPF not shown: " + err.Error()
	}
	return disassemble(raw)
}

// disassemble writes one instruction a line, numbered as `tcpdump -d` does. An
// instruction that x/net/bpf has no name for is shown in numbers.
func disassemble(program []bpf.RawInstruction) string {
	var b strings.Builder
	for i, raw := range program {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "(%03d) %s", i, instruction(i, raw))
	}
	return b.String()
}

func instruction(at int, raw bpf.RawInstruction) string {
	switch ins := raw.Disassemble().(type) {
	case bpf.RawInstruction:
		return fmt.Sprintf("op 0x%04x jt %d jf %d k 0x%08x", raw.Op, raw.Jt, raw.Jf, raw.K)
	case bpf.JumpIf, bpf.JumpIfX:
		return conditional(at, raw)
	case bpf.Jump:
		return fmt.Sprintf("%-8s %d", "ja", uint64(at)+1+uint64(ins.Skip))
	case bpf.LoadMemShift:
		return fmt.Sprintf("%-8s 4*([%d]&0xf)", "ldxb", ins.Off)
	case bpf.LoadExtension:
		if ins.Num == bpf.ExtLen {
			return fmt.Sprintf("%-8s #pktlen", "ld")
		}
		return columns(ins.String())
	case bpf.ALUOpConstant:
		return columns(bits(ins))
	case fmt.Stringer:
		return columns(ins.String())
	}
	return fmt.Sprintf("op 0x%04x", raw.Op)
}

// bits writes the operand of a bitwise operation in hexadecimal.
func bits(ins bpf.ALUOpConstant) string {
	switch ins.Op {
	case bpf.ALUOpAnd, bpf.ALUOpOr, bpf.ALUOpXor:
		name, _, _ := strings.Cut(ins.String(), " ")
		return fmt.Sprintf("%s #0x%x", name, ins.Val)
	}
	return ins.String()
}

// columns sets the operand apart from the operation's name.
func columns(s string) string {
	name, operand, _ := strings.Cut(s, " ")
	return strings.TrimSpace(fmt.Sprintf("%-8s %s", name, operand))
}

// conditional writes a test as `tcpdump -d` does, with the numbers of the
// lines it goes to.
func conditional(at int, raw bpf.RawInstruction) string {
	operand := fmt.Sprintf("#0x%x", raw.K)
	if raw.Op&0x08 != 0 { // BPF_X
		operand = "x"
	}
	return fmt.Sprintf("%-8s %-16s jt %d\tjf %d", jumpName(raw.Op), operand, at+1+int(raw.Jt), at+1+int(raw.Jf))
}

func jumpName(op uint16) string {
	switch op & 0xf0 {
	case 0x10:
		return "jeq"
	case 0x20:
		return "jgt"
	case 0x30:
		return "jge"
	}
	return "jset"
}

func milliseconds(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
