package host

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
	"golang.org/x/sys/unix"
)

// The test binary is its own holder of sockets: started with this variable it
// opens what its arguments say, prints "ready" and waits.
const holderVariable = "PORTREEVE_TEST_HOLDER"

func TestMain(m *testing.M) {
	if os.Getenv(holderVariable) == "" {
		os.Exit(m.Run())
	}
	for _, spec := range os.Args[1:] {
		if strings.HasPrefix(spec, "#") {
			continue // tells one command line from another
		}
		if err := open(spec); err != nil {
			fmt.Println(spec, err)
			os.Exit(1)
		}
	}
	fmt.Println("ready")
	select {}
}

// hold starts a holder in a namespace and waits until its sockets are open.
// Each spec is KIND ADDRESS [OPTION…]; see open.
func hold(t *testing.T, ns *nettest.NS, specs ...string) *exec.Cmd {
	t.Helper()
	cmd := ns.Command(os.Args[0], specs...)
	cmd.Env = append(os.Environ(), holderVariable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("holder: %q %v", line, err)
	}
	return cmd
}

// kinds are socket types by name: family, type, protocol.
var kinds = map[string][3]int{
	"tcp4": {unix.AF_INET, unix.SOCK_STREAM, 0}, "tcp6": {unix.AF_INET6, unix.SOCK_STREAM, 0},
	"mptcp4": {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, "mptcp6": {unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_MPTCP},
	"udp4": {unix.AF_INET, unix.SOCK_DGRAM, 0}, "udp6": {unix.AF_INET6, unix.SOCK_DGRAM, 0},
	"udplite4": {unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE}, "udplite6": {unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE},
	"raw4": {unix.AF_INET, unix.SOCK_RAW, 89}, "raw6": {unix.AF_INET6, unix.SOCK_RAW, 89},
}

// open makes one socket of the spec and leaves it open. Options: reuseport,
// reuseaddr, v6only, dev=NAME, bound (do not listen), dup (hold it twice),
// send (send a datagram to the address instead of binding), connect=ADDRESS.
func open(spec string) error {
	words := strings.Fields(spec)
	kind, ok := kinds[words[0]]
	if !ok {
		return fmt.Errorf("no kind %q", words[0])
	}
	fd, err := unix.Socket(kind[0], kind[1], kind[2])
	if err != nil {
		return err
	}
	options := words[2:]
	if err := setOptions(fd, kind, options); err != nil {
		return err
	}
	addr, err := sockaddr(words[1], kind[0])
	if err != nil {
		return err
	}
	if slices.Contains(options, "send") {
		return unix.Sendto(fd, []byte("x"), 0, addr)
	}
	if err := unix.Bind(fd, addr); err != nil {
		return err
	}
	return finishSocket(fd, kind, options)
}

func setOptions(fd int, kind [3]int, options []string) error {
	for _, o := range options {
		var err error
		switch name, value, _ := strings.Cut(o, "="); name {
		case "reuseport":
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		case "reuseaddr":
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		case "dev":
			err = unix.BindToDevice(fd, value)
		}
		if err != nil {
			return err
		}
	}
	if kind[0] != unix.AF_INET6 {
		return nil
	}
	only := 0
	if slices.Contains(options, "v6only") {
		only = 1
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
}

func finishSocket(fd int, kind [3]int, options []string) error {
	for _, o := range options {
		if peer, ok := strings.CutPrefix(o, "connect="); ok {
			to, err := sockaddr(peer, kind[0])
			if err != nil {
				return err
			}
			return unix.Connect(fd, to)
		}
	}
	if slices.Contains(options, "dup") {
		if _, err := unix.Dup(fd); err != nil {
			return err
		}
	}
	if kind[1] == unix.SOCK_STREAM && !slices.Contains(options, "bound") {
		return unix.Listen(fd, 16)
	}
	return nil
}

// sockaddr reads ADDR:PORT; a zone is an interface index.
func sockaddr(s string, family int) (unix.Sockaddr, error) {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil, err
	}
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, nil
	}
	zone, _ := strconv.ParseUint(a.Addr().Zone(), 10, 32)
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: uint32(zone)}, nil
}
