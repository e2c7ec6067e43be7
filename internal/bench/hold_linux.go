package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// holdMode is the first argument that makes this program a holder of sockets:
// one of the processes of a situation. It opens what it is told, says "ready"
// on stdout and stays until its stdin ends.
const holdMode = "hold"

// holding is what one process holds.
type holding struct {
	addr      string // IPv4, IPv6 or "" for all
	port      int    // of the first listener; the others follow
	listeners int
	pairs     int // established connections to the first listener, both ends here
	udp       int // unconnected datagram sockets
	greeting  string
	ports     string // listeners at these ports as well, with commas between
	services  bool   // the UDP services of the table, each answering its own protocol
}

func (h holding) args() []string {
	return []string{
		holdMode, "-addr", h.addr, "-port", fmt.Sprint(h.port), "-listeners", fmt.Sprint(h.listeners),
		"-pairs", fmt.Sprint(h.pairs), "-udp", fmt.Sprint(h.udp), "-greeting", h.greeting,
		"-ports", h.ports, "-services=" + fmt.Sprint(h.services),
	}
}

func hold(args []string) error {
	var h holding
	flags := flag.NewFlagSet(holdMode, flag.ContinueOnError)
	flags.StringVar(&h.addr, "addr", "", "")
	flags.IntVar(&h.port, "port", 0, "")
	flags.IntVar(&h.listeners, "listeners", 0, "")
	flags.IntVar(&h.pairs, "pairs", 0, "")
	flags.IntVar(&h.udp, "udp", 0, "")
	flags.StringVar(&h.greeting, "greeting", "", "")
	flags.StringVar(&h.ports, "ports", "", "")
	flags.BoolVar(&h.services, "services", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := h.open(); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// open opens everything. Nothing is closed: the end of the process does that.
func (h holding) open() error {
	if err := h.openPairs(); err != nil {
		return err
	}
	for i := min(1, h.pairs); i < h.listeners; i++ {
		if err := h.listen(h.at(i)); err != nil {
			return err
		}
	}
	for port := range strings.FieldsFuncSeq(h.ports, func(r rune) bool { return r == ',' }) {
		if err := h.listen(net.JoinHostPort(h.addr, port)); err != nil {
			return err
		}
	}
	for i := range h.udp {
		if _, err := net.ListenPacket("udp", h.at(i)); err != nil {
			return err
		}
	}
	if h.services {
		return serveDatagrams(h.addr)
	}
	return nil
}

func (h holding) listen(at string) error {
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // as most daemons listen; Go's own default is MPTCP
	ln, err := plain.Listen(context.Background(), "tcp", at)
	if err != nil {
		return err
	}
	go greet(ln, h.greeting)
	return nil
}

func (h holding) at(i int) string { return net.JoinHostPort(h.addr, fmt.Sprint(h.port+i)) }

// greet speaks first, as SSH and SMTP servers do, or waits like a web server.
func greet(ln net.Listener, greeting string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.WriteString(c, greeting)
			_, _ = io.Copy(io.Discard, io.LimitReader(c, 1<<20))
			_ = c.Close()
		}()
	}
}

// openPairs makes the first listener and connections to it by plain system
// calls: fewer threads and less memory than the net package's poller needs.
func (h holding) openPairs() error {
	if h.pairs == 0 {
		return nil
	}
	ip, err := netip.ParseAddr(h.addr)
	if err != nil {
		return err
	}
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	at := &unix.SockaddrInet4{Addr: ip.As4(), Port: h.port}
	if err := unix.Bind(listener, at); err != nil {
		return fmt.Errorf("bind %s: %w", h.at(0), err)
	}
	if err := unix.Listen(listener, 128); err != nil {
		return err
	}
	for range h.pairs {
		if err := onePair(listener, at); err != nil {
			return fmt.Errorf("connect to %s: %w", h.at(0), err)
		}
	}
	return nil
}

// onePair connects from the listener's own address; the port is chosen at
// connect (IP_BIND_ADDRESS_NO_PORT, ip(7)), so that ports repeat across
// destinations.
func onePair(listener int, at *unix.SockaddrInet4) error {
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(client, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	if err := unix.Bind(client, &unix.SockaddrInet4{Addr: at.Addr}); err != nil {
		return err
	}
	if err := unix.Connect(client, at); err != nil {
		return err
	}
	_, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	return err
}
