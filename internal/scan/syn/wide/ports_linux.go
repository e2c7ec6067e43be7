package wide

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// reservedPorts are maxTries neighbouring local ports that nobody else can
// use while the sweep lasts: bound, never listening, so that the kernel
// answers a SYN-ACK with RST.
type reservedPorts struct {
	first uint16
	fds   []int
}

func reservePorts() (*reservedPorts, error) {
	var last error
	for range 64 {
		// Above the usual well-known services, below 65,528.
		first := uint16(rand.IntN((65528-20000)/maxTries)*maxTries + 20000)
		p := &reservedPorts{first: first}
		if last = p.bind(); last == nil {
			return p, nil
		}
		p.close()
		if !errors.Is(last, unix.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("reserve %d neighbouring local ports: %w", maxTries, last)
}

func (p *reservedPorts) bind() error {
	for i := range uint16(maxTries) {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		var at unix.Sockaddr = &unix.SockaddrInet6{Port: int(p.first + i)}
		if errors.Is(err, unix.EAFNOSUPPORT) {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			at = &unix.SockaddrInet4{Port: int(p.first + i)}
		}
		if err != nil {
			return err
		}
		p.fds = append(p.fds, fd)
		if v6, ok := at.(*unix.SockaddrInet6); ok {
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
			at = v6
		}
		if err := unix.Bind(fd, at); err != nil {
			return err
		}
	}
	return nil
}

func (p *reservedPorts) close() {
	for _, fd := range p.fds {
		_ = unix.Close(fd)
	}
}
