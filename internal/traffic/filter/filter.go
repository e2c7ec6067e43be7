package filter

import (
	"net/netip"

	"golang.org/x/net/bpf"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Options say what packets the program will see and how names are resolved.
type Options struct {
	Link wire.LinkType
	// SnapLen is what the program returns for a packet that matches: how many
	// bytes the kernel keeps. 0 means DefaultSnapLen.
	SnapLen uint32
	// VLANMeta: the outermost VLAN tag may have been taken out of the frame
	// (packet sockets of Linux). The program looks in the metadata and in the
	// frame.
	VLANMeta bool
	// PacketInfo: direction and interface are known besides the bytes, as on
	// a packet socket of Linux. Without it inbound, outbound and ifindex are
	// refused where the link header does not hold them.
	PacketInfo bool
	// File: the program is for Match only, and may be longer than a kernel
	// takes.
	File bool
	// Netmask is the network's IPv4 mask, for "ip broadcast". The zero value
	// means that it is not known.
	Netmask netip.Addr
	// Host gives a name's addresses, Service a service's port for "tcp" or
	// "udp" (false: there is none), Ether a name's hardware address. Names
	// are refused where the function is nil.
	Host    func(name string) ([]netip.Addr, error)
	Service func(name, proto string) (uint16, bool)
	Ether   func(name string) ([6]byte, error)
}

const (
	// DefaultSnapLen is tcpdump's.
	DefaultSnapLen = 262144
	// MaxInstructions is what a kernel takes (BPF_MAXINSNS, linux/bpf_common.h).
	MaxInstructions = 4096
	// maxFile is how long a program for Match may be: opcodes have positions
	// of 16 bits.
	maxFile = 60_000
	// MaxExpression is how long an expression may be, in bytes.
	MaxExpression = 64 << 10
)

// Program is a compiled expression. It does not change and may be used by
// several goroutines at once.
type Program struct {
	raw []bpf.RawInstruction
	ops []op
}

// Instructions are for SO_ATTACH_FILTER: at most MaxInstructions (unless
// Options.File was set), jumping forward only, ending in a return. The caller
// must not change them.
func (p *Program) Instructions() []bpf.RawInstruction { return p.raw }

// Compile translates an expression in the syntax of pcap-filter(7); the empty
// one matches every packet. The error is an *Error.
func Compile(expr string, o Options) (prog *Program, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			r.Expr = expr
			prog, err = nil, r
		default:
			panic(r)
		}
	}()
	if len(expr) > MaxExpression {
		refuse(span{MaxExpression, len(expr)}, "", "the expression is longer than %d bytes", MaxExpression)
	}
	if o.SnapLen == 0 {
		o.SnapLen = DefaultSnapLen
	}
	w := loadWords()
	raw := assemble(expr, parse(expr, w), o, w)
	return &Program{raw: raw, ops: decode(raw)}, nil
}

// assemble lowers the tree to a flow graph and that to instructions.
func assemble(expr string, tree node, o Options, w *words) []bpf.RawInstruction {
	whole := span{0, len(expr)}
	g := &graph{limit: MaxInstructions, accept: &block{leaf: true, ret: o.SnapLen}, reject: &block{leaf: true}, whole: whole}
	if o.File {
		g.limit = maxFile
	}
	g.root = g.accept
	if tree != nil {
		g.root = g.build(programs(tree, o, w))
	}
	g.optimise()
	if g.root == g.reject {
		panic(&Error{Pos: 0, End: len(expr), Never: true, What: "no packet can match this expression",
			Hint: "and and or have equal precedence, from left to right: parentheses may be missing"})
	}
	raw := g.emit()
	if len(raw) > g.limit {
		g.tooLong(len(raw))
	}
	return raw
}

func (g *graph) tooLong(n int) {
	refuse(g.whole, "give networks instead of single addresses, port ranges instead of single ports",
		"the expression needs about %d instructions, %d is the limit", n, g.limit)
}

// programs is the expression as a condition. Where the VLAN tag may be in
// metadata, whether it is there is asked once, at the beginning, and each
// answer has the expression for itself: so all offsets stay fixed.
func programs(tree node, o Options, w *words) *cond {
	plain := newLower(o, tagInFrame, w)
	c := plain.program(tree)
	if !plain.metaVLAN {
		return c
	}
	tagged := newLower(o, tagInMetadata, w).program(tree)
	present := cmp(&value{op: vExt, k: extVLANPresent, size: 1}, jEQ, 1)
	return or(and(present, tagged), and(not(present), c))
}
