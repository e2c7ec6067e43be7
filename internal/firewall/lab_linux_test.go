package firewall

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/nettest"
)

// lab is a host with a firewall, a network outside of it on two interfaces,
// and a machine behind it: the kernel as the oracle of what Ask says.
type lab struct {
	t                     *testing.T
	host, outside, behind *nettest.NS

	mu      sync.Mutex
	arrived map[uint32]bool
	next    uint32
}

// labPorts are the ports at which both the host and the machine behind it
// listen, with TCP and UDP.
var labPorts = []uint16{22, 53, 80, 443, 1000, 1001, 8080}

// sender is one place that packets come from.
type sender struct {
	addr  string
	dev   string // in the outside namespace
	iface string // of the host
}

var (
	senders4 = []sender{{"10.9.0.2", "outa", "eth0"}, {"10.9.0.3", "outa", "eth0"}, {"10.9.1.2", "outb", "eth1"}}
	senders6 = []sender{{"fd00:9::2", "outa", "eth0"}, {"fd00:91::2", "outb", "eth1"}}
)

const (
	labAddr4 = "10.9.0.1"
	labAddr6 = "fd00:9::1"
)

func newLab(t *testing.T) *lab {
	l := &lab{t: t, host: nettest.New(t), outside: nettest.New(t), behind: nettest.New(t), arrived: map[uint32]bool{}}
	nettest.Veth(t, l.host, l.outside, "eth0=10.9.0.1/24", "outa=10.9.0.2/24")
	nettest.Veth(t, l.host, l.outside, "eth1=10.9.1.1/24", "outb=10.9.1.2/24")
	nettest.Veth(t, l.host, l.behind, "eth2=10.9.2.1/24", "top=10.9.2.2/24")
	l.outside.Script(`
ip addr add 10.9.0.3/24 dev outa
ip addr add fd00:9::2/64 dev outa nodad
ip addr add fd00:91::2/64 dev outb nodad
ip route add 10.9.0.1/32 via 10.9.1.1 dev outb metric 50
ip route add fd00:9::1/128 via fd00:91::1 dev outb metric 50
`)
	l.host.Script(`
ip addr add fd00:9::1/64 dev eth0 nodad
ip addr add fd00:91::1/64 dev eth1 nodad
ip addr add fd00:92::1/64 dev eth2 nodad
for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
`)
	l.behind.Script("ip addr add fd00:92::2/64 dev top nodad\nip route add default via 10.9.2.1\nip route add default via fd00:92::1")
	l.listen(l.host)
	l.listen(l.behind)
	return l
}

// listen opens every lab port; what arrives is noted by the number it carries
// (UDP) or is seen by the sender (TCP).
func (l *lab) listen(ns *nettest.NS) {
	for _, port := range labPorts {
		ln := ns.Listen("tcp", fmt.Sprintf("[::]:%d", port))
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_ = c.(*net.TCPConn).SetLinger(0) // leave nothing behind for the next rule set
				_ = c.Close()
			}
		}()
		pc := ns.ListenPacket("udp", fmt.Sprintf("[::]:%d", port))
		go l.receive(pc)
	}
}

func (l *lab) receive(pc net.PacketConn) {
	b := make([]byte, 64)
	for {
		n, _, err := pc.ReadFrom(b)
		if err != nil {
			return
		}
		if n == 4 {
			l.mu.Lock()
			l.arrived[binary.BigEndian.Uint32(b)] = true
			l.mu.Unlock()
		}
	}
}

// probe is one packet to send.
type probe struct {
	proto exposure.Proto
	from  sender
	sport uint16
	to    netip.AddrPort
	n     uint32
	got   bool
	last  string // how the last try went, for the failure message
}

func (p *probe) String() string {
	return fmt.Sprintf("%s %s:%d (%s) to %s %s", p.proto, p.from.addr, p.sport, p.from.iface, p.to, p.last)
}

// send sends all probes at once and notes what arrived. Probes that should
// have arrived and did not are sent once more with more patience.
func (l *lab) send(probes []*probe, patience time.Duration) {
	var wg sync.WaitGroup
	for _, p := range probes {
		l.mu.Lock()
		l.next++
		p.n = l.next
		l.mu.Unlock()
		conn := l.socket(p)
		wg.Add(1)
		go func() {
			defer wg.Done()
			if conn != nil {
				p.got = p.deliver(conn, patience)
			}
		}()
	}
	wg.Wait()
	l.awaitDatagrams(probes, patience)
}

// socket opens a socket in the outside namespace, bound as the probe says.
func (l *lab) socket(p *probe) (fd *int) {
	l.outside.Do(func() {
		family, kind := unix.AF_INET6, unix.SOCK_DGRAM
		if p.to.Addr().Is4() {
			family = unix.AF_INET
		}
		if p.proto == exposure.TCP {
			kind = unix.SOCK_STREAM
		}
		s, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, step := range []error{
			unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.SetsockoptLinger(s, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
			unix.BindToDevice(s, p.from.dev),
			unix.Bind(s, sockaddr(netip.AddrPortFrom(netip.MustParseAddr(p.from.addr), p.sport))),
		} {
			if step != nil {
				l.t.Fatalf("%s: %v", p, step)
			}
		}
		fd = &s
	})
	return fd
}

func sockaddr(ap netip.AddrPort) unix.Sockaddr {
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

// deliver connects (TCP) or sends the probe's number (UDP).
func (p *probe) deliver(fd *int, patience time.Duration) bool {
	defer unix.Close(*fd)
	err := unix.Connect(*fd, sockaddr(p.to))
	if p.proto != exposure.TCP {
		_, _ = unix.Write(*fd, binary.BigEndian.AppendUint32(nil, p.n))
		time.Sleep(5 * time.Millisecond) // an ICMP error may close a socket that is closed too soon
		return false
	}
	name, _ := unix.Getsockname(*fd)
	if err != nil && err != syscall.EINPROGRESS {
		p.last = fmt.Sprintf("[connect: %v, from %+v]", err, name)
		return false
	}
	fds := []unix.PollFd{{Fd: int32(*fd), Events: unix.POLLOUT}}
	for end := time.Now().Add(patience); ; {
		n, err := unix.Poll(fds, max(1, int(time.Until(end).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		if n == 0 {
			p.last = fmt.Sprintf("[no answer, from %+v]", name)
			return false
		}
		break
	}
	soerr, err := unix.GetsockoptInt(*fd, unix.SOL_SOCKET, unix.SO_ERROR)
	p.last = fmt.Sprintf("[%v, from %+v]", syscall.Errno(soerr), name)
	// A refused SYN gives ECONNREFUSED (tcp(7)); a reset comes of an accepted
	// connection that the server closed already.
	return err == nil && (soerr == 0 || syscall.Errno(soerr) == syscall.ECONNRESET)
}

func (l *lab) awaitDatagrams(probes []*probe, patience time.Duration) {
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		missing := 0
		l.mu.Lock()
		for _, p := range probes {
			if p.proto == exposure.UDP {
				p.got = l.arrived[p.n]
				if !p.got {
					missing++
				}
			}
		}
		l.mu.Unlock()
		if missing == 0 || time.Now().After(end) {
			return
		}
	}
}

// forget empties the host's connection table, so that every packet is new.
func (l *lab) forget() {
	l.t.Helper()
	const deleteAll = 1<<8 | 2 // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
	l.host.Do(func() {
		c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			l.t.Fatal(err)
		}
		defer c.Close()
		_, err = c.Execute(netlink.Message{Header: netlink.Header{Type: deleteAll, Flags: netlink.Request | netlink.Acknowledge}, Data: make([]byte, 4)})
		if err != nil {
			l.t.Fatalf("empty the connection table: %v", err)
		}
	})
}

// load replaces the host's rules with a rule set in nft's syntax.
func (l *lab) load(rules string) error {
	cmd := l.host.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader("flush ruleset\n" + rules)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("nft: %w\n%s\n%s", err, out, rules)
	}
	return nil
}

// restore replaces the host's rules with a saved rule set, by the legacy or
// the nft variant of a program.
func (l *lab) restore(program, rules string) error {
	cmd := l.host.Command(program)
	cmd.Stdin = strings.NewReader(rules)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s\n%s", program, err, out, rules)
	}
	return nil
}

// read reads the host's rules as the program under test does.
func (l *lab) read() (*Wall, []exposure.Gap) {
	var w *Wall
	var gaps []exposure.Gap
	l.host.Do(func() { w, gaps = Read(context.Background(), Options{}) })
	return w, gaps
}

// askFrom asks for one sender.
func (w *Wall) askFrom(p *probe) exposure.Permit {
	n, _ := protocol(p.proto)
	sport := p.sport
	if sport == 0 {
		sport = 40000 // a port that the kernel chooses
	}
	return permit(w.rules.Ask(w.host, ruleset.Query{Proto: n, Addr: p.to.Addr(), Port: p.to.Port(),
		From: ruleset.Sender{Addr: netip.MustParseAddr(p.from.addr), Port: sport, Interface: p.from.iface, Ordinary: true}}))
}

// allProbes are the packets of every sender to every lab port, from a port
// that the kernel chooses and from a privileged one. TCP takes another
// privileged port each round: a half-open connection of an earlier rule set
// would answer for the new one.
func allProbes(v6 bool, round int) (out []*probe) {
	froms, addr := senders4, labAddr4
	if v6 {
		froms, addr = senders6, labAddr6
	}
	for _, proto := range []exposure.Proto{exposure.TCP, exposure.UDP} {
		low := uint16(53)
		if proto == exposure.TCP {
			low = uint16(100 + round%500)
		}
		for _, from := range froms {
			for _, sport := range []uint16{0, low} {
				for _, port := range labPorts {
					out = append(out, &probe{proto: proto, from: from, sport: sport, to: netip.AddrPortFrom(netip.MustParseAddr(addr), port)})
				}
			}
		}
	}
	return out
}

// compare sends the probes and compares what the kernel did with what the
// rules are said to do, for each packet and for strangers as a whole.
func (l *lab) compare(rules string, probes []*probe) {
	l.t.Helper()
	w, gaps := l.read()
	for _, g := range gaps {
		l.t.Errorf("gap: %s\n%s", g.Why, rules)
	}
	l.forget()
	l.send(probes, 150*time.Millisecond)
	for range 3 { // a busy machine may be late; a firewall never changes its mind
		l.again(w, probes)
	}
	for _, p := range probes {
		l.check(w, p, rules)
	}
}

// again sends what should have arrived and did not, with more patience. A TCP
// probe takes another privileged port, clear of the first try's connection.
func (l *lab) again(w *Wall, probes []*probe) {
	var late []*probe
	for _, p := range probes {
		if !p.got && w.askFrom(p).Verdict == exposure.Permitted {
			if p.proto == exposure.TCP && p.sport != 0 {
				p.sport = l.fresh()
			}
			late = append(late, p)
		}
	}
	if len(late) > 0 {
		l.forget()
		l.send(late, 1200*time.Millisecond)
	}
}

// fresh gives a privileged port that no probe used before, while there are any.
func (l *lab) fresh() uint16 {
	l.next++
	return uint16(600 + l.next%400)
}

func (l *lab) check(w *Wall, p *probe, rules string) {
	l.t.Helper()
	one := w.askFrom(p)
	want := exposure.Denied
	if p.got {
		want = exposure.Permitted
	}
	opaque := strings.Contains(rules, "u32") && one.Verdict == exposure.UnknownPermit
	if one.Verdict != want && !opaque {
		l.t.Errorf("%s: the kernel says %s, we say %+v\n%s", p, want, one, rules)
	}
	all := w.Ask(p.proto, p.to.Addr(), p.to.Port())
	if all.Verdict == exposure.Denied && p.got || all.Verdict == exposure.Permitted && !p.got && p.sport >= 1024 {
		l.t.Errorf("%s: arrived %v, for strangers we say %+v\n%s", p, p.got, all, rules)
	}
}
