package route

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/discover/rounds"
	"github.com/portreeve/portreeve/internal/scan/route/packet"
)

// Resolve finds the hardware addresses of next hops on a path's link: what
// the kernel's neighbour table knows, and for the rest by asking. Those that
// do not answer are missing from the result; it is there with an error as
// well. Without CAP_NET_RAW only the kernel's table is read, and the error is
// os.ErrPermission if that left anyone out.
func Resolve(ctx context.Context, p Path, nextHops []netip.Addr, o ResolveOptions) (map[netip.Addr]net.HardwareAddr, error) {
	found := make(map[netip.Addr]net.HardwareAddr, min(len(nextHops), 1024))
	if p.Link != Ethernet {
		return found, nil
	}
	c, err := dial()
	if err != nil {
		return found, err
	}
	known, err := c.neighbours(p.Index)
	c.close()
	if err != nil {
		return found, err
	}
	var unknown []netip.Addr
	for _, hop := range nextHops {
		if n, ok := known[hop.Unmap().WithZone("")]; ok {
			found[hop] = n.hw
		} else if p.NoARP {
			found[hop] = p.HW
		} else {
			unknown = append(unknown, hop)
		}
	}
	if len(unknown) == 0 {
		return found, nil
	}
	_, err = Ask(ctx, p, unknown, o, func(i int, n Neighbour) { found[unknown[i]] = n.HW })
	return found, err
}

// Ask asks an Ethernet link who has each of the addresses, and tells each
// first answer by its place in hops, in the calling goroutine. Of an address
// that is there twice, one place is told.
func Ask(ctx context.Context, p Path, hops []netip.Addr, o ResolveOptions, tell func(i int, n Neighbour)) (rounds.Stats, error) {
	a := &asker{path: p, hops: hops, tell: tell, index: make(map[netip.Addr]int32, len(hops))}
	for i, hop := range hops {
		a.index[hop.Unmap().WithZone("")] = int32(i)
	}
	if err := a.open(); err != nil {
		return rounds.Stats{}, &Error{"ask neighbours on", p.Iface, err}
	}
	defer a.close()
	a.run = rounds.New(rounds.Plan{
		Targets: len(hops), Kinds: 1, Tries: o.Tries, Rate: cmp.Or(o.Rate, defaultRate),
		Gap: askGap, Last: askLast, Ask: o.Check, Told: o.Told,
	}, a)
	err := a.run.Run(ctx)
	if err != nil {
		err = &Error{"ask neighbours on", p.Iface, err}
	}
	return a.run.Stats(), err
}

// asker is the Line of neighbours.
type asker struct {
	path  Path
	hops  []netip.Addr
	index map[netip.Addr]int32 // without zones
	tell  func(i int, n Neighbour)
	run   *rounds.Run

	arp, nd *packet.Socket // nil where nobody of the family is asked
	polls   []unix.PollFd
	out, in [2048]byte
}

func (a *asker) open() (err error) {
	is4 := func(hop netip.Addr) bool { return hop.Unmap().Is4() }
	if slices.ContainsFunc(a.hops, is4) {
		if a.arp, err = packet.Open(unix.ETH_P_ARP, a.path.Index, repliesFilter()); err != nil {
			return err
		}
		a.polls = append(a.polls, a.arp.Poll())
	}
	if slices.ContainsFunc(a.hops, func(hop netip.Addr) bool { return !is4(hop) }) {
		if a.nd, err = packet.Open(unix.ETH_P_IPV6, a.path.Index, advertisementsFilter()); err != nil {
			a.close()
			return err
		}
		a.polls = append(a.polls, a.nd.Poll())
	}
	return nil
}

func (a *asker) close() {
	for _, s := range []*packet.Socket{a.arp, a.nd} {
		if s != nil {
			s.Close()
		}
	}
}

// repliesFilter accepts ARP replies.
func repliesFilter() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arpReply, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.RetConstant{Val: 128},
	}
}

// advertisementsFilter accepts neighbour advertisements from the link itself.
func advertisementsFilter() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 2}, // next header, hop limit
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoICMP6<<8 | 255, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.LoadAbsolute{Off: ip6Len, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: advertising, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.RetConstant{Val: 2048},
	}
}

// Send asks for hop i.
func (a *asker) Send(i, _ int) error {
	busy, err := a.send(a.hops[i].Unmap())
	if busy {
		return rounds.ErrBusy
	}
	return err
}

func (a *asker) send(hop netip.Addr) (busy bool, err error) {
	if hop.Is4() {
		var src [4]byte
		if a.path.Src.Is4() {
			src = a.path.Src.As4()
		}
		b := putARP(a.out[:], a.path.HW, src, hop.As4())
		return a.arp.Send(b, unix.ETH_P_ARP, a.path.Index, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	}
	src := a.path.Src
	if !src.Is6() {
		if src, err = linkLocal(a.path.Index); err != nil {
			return false, err
		}
		a.path.Src = src // an IPv6 gateway of IPv4 destinations is asked from there
	}
	b, to := putSolicitation(a.out[:], a.path.HW, src.As16(), hop.As16())
	return a.nd.Send(b, unix.ETH_P_IPV6, a.path.Index, to[:])
}

// linkLocal is an interface's own link-local IPv6 address.
func linkLocal(index int) (netip.Addr, error) {
	c, err := dial()
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.close()
	t := &Table{ask: c}
	a, err := t.getroute(netip.MustParseAddr("fe80::1"), netip.Addr{}, index)
	if err == nil && !a.src.IsLinkLocalUnicast() {
		err = errors.New("the interface has no link-local address to ask from")
	}
	return a.src, err
}

// Hear reads what the link answers.
func (a *asker) Hear(d time.Duration) error {
	if d > 0 {
		packet.Wait(a.polls, d)
	}
	if err := a.drain(a.arp, readARP); err != nil {
		return err
	}
	return a.drain(a.nd, readAdvertisement)
}

// drainMost bounds what is read before the asking goes on: a flood of answers
// must not hold it up.
const drainMost = 4096

func (a *asker) drain(s *packet.Socket, read func([]byte) (netip.Addr, [6]byte, bool)) error {
	if s == nil {
		return nil
	}
	var sender [8]byte
	for range drainMost {
		n, hwLen, ok, err := s.Receive(a.in[:], &sender)
		if err != nil || !ok {
			return err
		}
		addr, hw, ok := read(a.in[:n])
		if ok && hw == [6]byte{} && hwLen == 6 {
			hw = [6]byte(sender[:6])
		}
		if ok && isStation(hw) {
			a.heard(addr, hw)
		}
	}
	return nil
}

func (a *asker) heard(addr netip.Addr, hw [6]byte) {
	i, ok := a.index[addr]
	if !ok {
		return
	}
	if rtt, first := a.run.Answer(int(i), -1); first {
		a.tell(int(i), Neighbour{HW: net.HardwareAddr(hw[:]), RTT: rtt})
	}
}
