package sockdiag

import (
	"errors"
	"net"
	"os"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

// The kernel's own answer in a namespace that holds known sockets.
func TestKernelAnswers(t *testing.T) {
	ns := nettest.New(t)
	ln := ns.Listen("tcp4", "127.0.0.1:8001")
	ns.ListenPacket("udp6", "[::1]:8002")
	client, err := dialIn(ns, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ns.Do(func() {
		c, err := Dial()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		check := func(r Request, port uint16, want int) {
			n := 0
			err := c.Inet(t.Context(), r, func(s *Socket) error {
				if s.SrcPort == port {
					n++
				}
				return nil
			})
			if err != nil || n != want {
				t.Errorf("%v: %d sockets on %d, error %v; want %d", r, n, port, err, want)
			}
		}
		check(Request{Family: INET, Protocol: TCP, States: StateListen.Mask()}, 8001, 1)
		check(Request{Family: INET6, Protocol: TCP, States: StateListen.Mask()}, 8001, 0)
		check(Request{Family: INET, Protocol: TCP, States: AllStates, Info: true}, 8001, 2)
		check(Request{Family: INET6, Protocol: UDP, States: StateClose.Mask()}, 8002, 1)
		check(Request{Family: INET6, Protocol: UDP, States: StateEstablished.Mask()}, 8002, 0)
	})
}

func dialIn(ns *nettest.NS, addr string) (c net.Conn, err error) {
	ns.Do(func() { c, err = net.Dial("tcp", addr) })
	return c, err
}

// What the kernel does not have is a typed answer, not a failure.
func TestMissingProtocolIsUnsupported(t *testing.T) {
	if _, err := os.Stat("/proc/net/sctp"); err == nil {
		t.Skip("this kernel has SCTP")
	}
	c, err := Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// 254 is no protocol; unlike SCTP's number it loads no module.
	err = c.Inet(t.Context(), Request{Family: INET, Protocol: 254}, func(*Socket) error { return nil })
	if !errors.Is(err, ErrUnsupported) || !errors.Is(err, unix.ENOENT) {
		t.Errorf("error %v", err)
	}
}

// A packet socket shows its filter, its device and what it lost.
func TestPacketSocket(t *testing.T) {
	ns := nettest.New(t)
	var fd int
	ns.Do(func() { fd = packetSocket(t) })
	defer unix.Close(fd)
	ns.Run("ip", "link", "set", "lo", "up")
	flood(t, ns)
	ns.Do(func() {
		c, err := Dial()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		found := false
		err = c.Packet(t.Context(), func(s *PacketSocket) error {
			found = true
			program, err := DecodeFilter(s.Filter)
			if err != nil || len(program) != 1 || program[0].K != 0xffff || !s.HasFilter {
				t.Errorf("filter %v %v", program, err)
			}
			if s.EtherType != unix.ETH_P_IP || s.Interface != 1 || s.Type != unix.SOCK_RAW {
				t.Errorf("socket %+v", s)
			}
			if !s.HasMem || s.Mem.RmemAlloc == 0 || s.Mem.Drops == 0 {
				t.Errorf("memory %+v: want packets queued and lost", s.Mem)
			}
			return nil
		})
		if err != nil || !found {
			t.Errorf("found %v, error %v", found, err)
		}
	})
}

// packetSocket opens one on lo with the smallest buffer and a filter that
// takes everything.
func packetSocket(t *testing.T) int {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return -1
	}
	program := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff}}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1),
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &program[0]}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: 1}))
	if err != nil {
		t.Error(err)
	}
	return fd
}

// flood sends more over lo than the smallest buffer holds.
func flood(t *testing.T, ns *nettest.NS) {
	pc := ns.ListenPacket("udp4", "127.0.0.1:9")
	for range 50 {
		if _, err := pc.WriteTo(make([]byte, 1000), pc.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
}
