package live

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Open begins to capture: Options.Rings rings for each interface, in order.
// All or none: an error (*Error, or what Options.Filter gave) leaves nothing
// open.
func Open(o Options) ([]*Ring, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	names, err := distinct(o.Interfaces)
	if err != nil {
		return nil, err
	}
	var rings []*Ring
	for _, name := range names {
		more, err := openInterface(name, o)
		if err != nil {
			for _, r := range rings {
				_ = r.Close()
			}
			return nil, err
		}
		rings = append(rings, more...)
	}
	return rings, nil
}

func distinct(names []string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	for _, n := range names {
		if !seen[n] {
			out = append(out, n)
		}
		seen[n] = true
	}
	if seen[Any] && len(out) > 1 {
		return nil, &Error{Op: "any together with other interfaces", Hint: "any has them all: name it alone"}
	}
	return out, nil
}

// target is one interface to be captured from.
type target struct {
	name  string
	index int // 0: all
	form  form
	link  wire.LinkType
	// program is the filter that stays.
	program []bpf.RawInstruction
}

// openInterface makes the rings of one interface. In a group, each hears
// nothing until all have joined: a ring that is not yet a member would get
// every packet.
func openInterface(name string, o Options) (rings []*Ring, err error) {
	defer func() {
		if err != nil {
			for _, r := range rings {
				_ = r.Close()
			}
			rings = nil
		}
	}()
	t, err := find(name, o)
	if err != nil {
		return nil, err
	}
	first := t.program
	if o.Rings > 1 {
		first = rejectAll
	}
	for i := range o.Rings {
		r, err := newRing(t, o)
		if err != nil {
			return rings, t.failed(err)
		}
		rings = append(rings, r)
		if i > 0 {
			r.closeCounters() // the interface's drops are told once
		}
		if err := r.listen(t, first, o); err != nil {
			return rings, t.failed(err)
		}
	}
	if o.Rings == 1 {
		return rings, nil
	}
	if err := join(rings); err != nil {
		return rings, t.failed(err)
	}
	for _, r := range rings {
		if err := attach(r.fd, t.program); err != nil {
			return rings, t.failed(step("set the filter", err))
		}
	}
	return rings, nil
}

// find looks the interface up and has its filter made.
func find(name string, o Options) (target, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return target{}, (&target{name: name}).failed(step("open a packet socket", err))
	}
	defer func() { _ = unix.Close(fd) }()
	t := target{name: name}
	if name == Any {
		present, err := hardwareTypes(fd)
		if err != nil {
			return t, t.failed(step("list interfaces", err))
		}
		t.program, err = o.programAny(present)
		return t, err
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil || unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr) != nil {
		return t, unknown(name)
	}
	t.index = int(ifr.Uint32())
	hardware, err := hardwareType(fd, name)
	if err != nil {
		return t, t.failed(step("ask for its hardware type", err))
	}
	t.form, t.link = formOf(hardware)
	if t.program, err = o.program(filterLink(t.form, t.link)); err == nil && hardware == unix.ARPHRD_LOOPBACK {
		t.program = incomingOnly(t.program)
	}
	return t, err
}

// hardwareType asks for ARPHRD_ of an interface (netdevice(7)).
func hardwareType(fd int, name string) (uint16, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, ifr); err != nil {
		return 0, err
	}
	return ifr.Uint16(), nil
}

// hardwareTypes lists which hardware types there are, each with one interface.
func hardwareTypes(fd int) (map[uint16]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	out := map[uint16]string{}
	for _, i := range all {
		if h, err := hardwareType(fd, i.Name); err == nil {
			out[h] = i.Name
		}
	}
	return out, nil
}

func unknown(name string) error {
	e := &Error{Interface: name, Op: "no such interface", Err: unix.ENODEV}
	if all, err := net.Interfaces(); err == nil {
		names := make([]string, len(all))
		for i := range all {
			names[i] = all[i].Name
		}
		e.Hint = "there are: " + strings.Join(append(names, Any), ", ")
	}
	return e
}

// failure is an error number and what was tried.
type failure struct {
	what string
	err  error
}

func (f *failure) Error() string { return f.what + ": " + f.err.Error() }

func step(what string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{what, err}
}

// failed makes the error of an interface, with what to do where that is known.
func (t *target) failed(err error) error {
	e := &Error{Interface: t.name, Op: "begin", Err: err}
	var f *failure
	if errors.As(err, &f) {
		e.Op, e.Err = f.what, f.err
	}
	switch {
	case errors.Is(e.Err, unix.EPERM), errors.Is(e.Err, unix.EACCES):
		e.Op = "the capability CAP_NET_RAW is missing: " + e.Op
		e.Hint = "run it as root, or give the program the capability: setcap cap_net_raw+ep " + program()
	case errors.Is(e.Err, unix.ENETDOWN):
		e.Hint = "the interface is down: ip link set " + t.name + " up"
	case errors.Is(e.Err, unix.ENOMEM), errors.Is(e.Err, unix.ENOBUFS):
		e.Hint = "too little kernel memory: fewer or smaller blocks"
	case errors.Is(e.Err, unix.EAFNOSUPPORT):
		e.Hint = "this kernel has no packet sockets (CONFIG_PACKET)"
	}
	return e
}

// program is this program's file as a shell takes it, or what stands for it.
func program() string {
	if p, err := os.Executable(); err == nil && !strings.ContainsAny(p, " '\"\\$`\t\n") {
		return p
	}
	return "FILE"
}

// join makes the rings share packets by a hash that is symmetric
// (__skb_get_hash_symmetric). The kernel chooses an identifier that no other
// group has.
func join(rings []*Ring) error {
	const unique = unix.PACKET_FANOUT_HASH | unix.PACKET_FANOUT_FLAG_UNIQUEID
	for i, r := range rings {
		how := unique << 16
		if i > 0 {
			id, err := unix.GetsockoptInt(rings[0].fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
			if err != nil {
				return step("ask for the group of rings", err)
			}
			how = id&0xffff | unix.PACKET_FANOUT_HASH<<16
		}
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, how); err != nil {
			return step("join a group of rings", err)
		}
	}
	return nil
}

// listen makes the ring's memory and lets the kernel begin to fill it. The
// filter comes before the protocol: no packet gets past it.
func (r *Ring) listen(t target, filter []bpf.RawInstruction, o Options) error {
	if len(filter) > 4096 {
		return step(fmt.Sprintf("a filter of %d instructions: the kernel takes 4096", len(filter)), unix.E2BIG)
	}
	if err := attach(r.fd, filter); err != nil {
		return step("set the filter", err)
	}
	if err := r.makeMemory(o); err != nil {
		return err
	}
	at := &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: t.index}
	if err := unix.Bind(r.fd, at); err != nil {
		return step("bind the packet socket", err)
	}
	// An interface that is down is told here, not by bind.
	if code, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
		return step("bind the packet socket", unix.Errno(code))
	}
	if o.Promiscuous && t.index != 0 {
		m := &unix.PacketMreq{Ifindex: int32(t.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, m); err != nil {
			return step("make it promiscuous", err)
		}
		r.promiscuous = true
	}
	return nil
}

func (r *Ring) makeMemory(o Options) error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return step("ask for TPACKET_V3", err)
	}
	req := unix.TpacketReq3{Block_size: uint32(o.BlockSize), Block_nr: uint32(o.Blocks), Frame_size: frameSize,
		Frame_nr: uint32(o.BlockSize / frameSize * o.Blocks), Retire_blk_tov: uint32(o.Retire.Milliseconds())}
	size := o.BlockSize * o.Blocks
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return step(fmt.Sprintf("make a receive ring of %d KiB", size>>10), err)
	}
	mem, err := unix.Mmap(r.fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return step("map the receive ring", err)
	}
	r.mem, r.size = mem, o.BlockSize
	r.blocks = make([]block, o.Blocks)
	for i := range r.blocks {
		r.blocks[i].free = func() { r.letBlockGo(i) }
	}
	return nil
}

// frameSize only has to divide blocks and to hold a header: with TPACKET_V3
// packets are as long as they are.
const frameSize = 2048

// newRing opens what a ring needs but its memory.
func newRing(t target, o Options) (*Ring, error) {
	kind := unix.SOCK_RAW
	if t.form != framed {
		kind = unix.SOCK_DGRAM // the kernel takes off what link header there may be
	}
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, step("open a packet socket", err)
	}
	// Made non-blocking, so that the runtime's poller takes it.
	file := os.NewFile(uintptr(fd), "packet socket")
	conn, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = file.Close()
		return nil, step("wait for a packet socket", err)
	}
	r := &Ring{fd: fd, file: file, conn: conn, target: t, retire: o.Retire, refs: 1}
	r.wait = r.woken
	r.faces.snap = uint32(o.SnapLen)
	if t.name == Any {
		r.faces.learnAll(fd)
	} else {
		r.faces.list = []capture.Interface{{Name: t.name, Link: t.link, SnapLen: r.faces.snap}}
	}
	r.openCounters()
	return r, nil
}
