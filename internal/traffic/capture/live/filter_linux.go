package live

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Ancillary data that a filter can load (linux/filter.h, SKF_AD_).
const (
	adOff      = 0xfffff000
	adPacket   = adOff + 4  // sll_pkttype
	adHardware = adOff + 28 // sll_hatype
)

// Operations used here (linux/bpf_common.h).
const (
	opLoad   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opLoadK  = unix.BPF_LD | unix.BPF_IMM
	opEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opJump   = unix.BPF_JMP | unix.BPF_JA
	opReturn = unix.BPF_RET | unix.BPF_K
)

// everything is what an accepting program returns where nothing is cut.
const everything = 0x40000

var rejectAll = []bpf.RawInstruction{{Op: opReturn, K: 0}}

// program is the filter of one interface: the caller's, cut to the snap
// length. No instructions: no filter is needed.
func (o Options) program(link wire.LinkType) ([]bpf.RawInstruction, error) {
	var p []bpf.RawInstruction
	if o.Filter != nil {
		given, err := o.Filter(link)
		if err != nil {
			return nil, err
		}
		p = append(p, given...)
	}
	if len(p) == 0 {
		if o.SnapLen == 0 {
			return nil, nil
		}
		return []bpf.RawInstruction{{Op: opReturn, K: uint32(o.SnapLen)}}, nil
	}
	if o.SnapLen > 0 {
		for i := range p {
			if p[i].Op == opReturn {
				p[i].K = min(p[i].K, uint32(o.SnapLen))
			}
		}
	}
	return p, nil
}

// incomingOnly puts before a program what drops outgoing packets of a
// loopback interface: each comes in again.
func incomingOnly(p []bpf.RawInstruction) []bpf.RawInstruction {
	if len(p) == 0 {
		p = []bpf.RawInstruction{{Op: opReturn, K: everything}}
	}
	return append([]bpf.RawInstruction{
		{Op: opLoad, K: adPacket},
		{Op: opEqual, K: unix.PACKET_OUTGOING, Jf: 3},
		{Op: opLoad, K: adHardware},
		{Op: opEqual, K: unix.ARPHRD_LOOPBACK, Jf: 1},
		{Op: opReturn, K: 0},
		{Op: opLoadK, K: 0}, // a program may trust that it begins with zeroes
	}, p...)
}

// hardwares are the hardware types whose frames a filter for all interfaces
// can tell apart.
var hardwares = [...]uint16{
	unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK, unix.ARPHRD_IEEE80211, unix.ARPHRD_IEEE80211_PRISM,
	unix.ARPHRD_IEEE80211_RADIOTAP, unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_PPP, unix.ARPHRD_TUNNEL,
	unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT, unix.ARPHRD_IPGRE, unix.ARPHRD_IP6GRE, unix.ARPHRD_SLIP, unix.ARPHRD_CSLIP,
}

// programAny is the filter for all interfaces: by hardware type to the program
// of that link type. present are the hardware types there are, by interface; a
// link type for which there is no such filter is an error where one of them
// has it. Packets of other hardware types do not match a filter.
func (o Options) programAny(present map[uint16]string) ([]bpf.RawInstruction, error) {
	if o.Filter == nil {
		p, err := o.program(wire.LinkEthernet)
		return incomingOnly(p), err
	}
	programs := map[wire.LinkType][]bpf.RawInstruction{}
	var links []wire.LinkType
	refused := map[wire.LinkType]error{}
	for _, h := range hardwares {
		_, link := formOf(h)
		if _, done := programs[link]; !done && refused[link] == nil {
			p, err := o.program(link)
			if len(p) == 0 {
				p = []bpf.RawInstruction{{Op: opReturn, K: everything}}
			}
			if refused[link] = err; err == nil {
				programs[link], links = p, append(links, link)
			}
		}
		if name, is := present[h]; is && refused[link] != nil {
			return nil, fmt.Errorf("for packets of interface %s: %w", name, refused[link])
		}
	}
	if err := refused[wire.LinkEthernet]; err != nil {
		return nil, err
	}
	return incomingOnly(dispatch(links, programs)), nil
}

// dispatch joins programs: a table of hardware types, a refusal, and the
// programs in order.
func dispatch(links []wire.LinkType, programs map[wire.LinkType][]bpf.RawInstruction) []bpf.RawInstruction {
	var known []uint16
	for _, h := range hardwares {
		if _, link := formOf(h); programs[link] != nil {
			known = append(known, h)
		}
	}
	head := 1 + 2*len(known) + 1 // load, a test and a jump each, refusal
	begins, at := map[wire.LinkType]int{}, head
	for _, link := range links {
		begins[link] = at
		at += 1 + len(programs[link])
	}
	p := []bpf.RawInstruction{{Op: opLoad, K: adHardware}}
	for _, h := range known {
		_, link := formOf(h)
		p = append(p, bpf.RawInstruction{Op: opEqual, K: uint32(h), Jf: 1})
		p = append(p, bpf.RawInstruction{Op: opJump, K: uint32(begins[link] - len(p) - 1)})
	}
	p = append(p, bpf.RawInstruction{Op: opReturn, K: 0})
	for _, link := range links {
		p = append(p, bpf.RawInstruction{Op: opLoadK, K: 0})
		p = append(p, programs[link]...)
	}
	return p
}

// attach sets the filter of a socket; an empty one is none.
func attach(fd int, program []bpf.RawInstruction) error {
	if len(program) == 0 {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		if err == unix.ENOENT {
			return nil
		}
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, r := range program {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}
