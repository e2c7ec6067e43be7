package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The two ends of the wire of a lab.
const (
	scannerAddr = "10.88.0.1"
	targetAddr  = "10.88.0.2"
	targetMAC   = "02:00:00:00:00:02"
)

// wire joins the scanner's namespace, where it runs, to that of a thread. The
// hardware addresses are fixed: masscan has to be told one.
const wire = `
ip link add s0 address 02:00:00:00:00:01 type veth peer name t0 address ` + targetMAC + ` netns %d
ip link set s0 addrgenmode none
ip addr add ` + scannerAddr + `/24 dev s0
ip link set s0 up`

const targetEnd = `
ip link set t0 addrgenmode none
ip addr add ` + targetAddr + `/24 dev t0
ip link set t0 up`

// lab is a scanner and a target, each in a network namespace of its own,
// joined by a veth and by nothing else: no packet leaves the two. Who holds a
// lab stands in the scanner's.
type lab struct{ target chan func() }

// inLab runs fn on a thread in the scanner's namespace of a new lab.
func inLab(fn func(lab) error) error {
	return inNamespace(func() error {
		l := lab{target: make(chan func())}
		tid, ended := unix.Gettid(), make(chan error, 1)
		go func() {
			ended <- inNamespace(func() error { return l.use(tid, fn) })
			close(l.target)
		}()
		for work := range l.target {
			work()
		}
		return <-ended
	})
}

func (l lab) use(target int, fn func(lab) error) error {
	err := sh(fmt.Sprintf(wire, target))
	if err != nil {
		return err
	}
	if err := l.atTarget(func() error { return sh(targetEnd) }); err != nil {
		return err
	}
	stop, err := l.chatter()
	if err != nil {
		return err
	}
	return errors.Join(fn(l), stop())
}

// chatter lets the target broadcast ten datagrams a second, as hosts on a real
// link do: masscan's receiver looks at its clock only when a packet arrives,
// and never ends on a link that is quiet.
func (l lab) chatter() (stop func() error, err error) {
	var conn net.PacketConn
	err = l.atTarget(func() error {
		conn, err = net.ListenPacket("udp4", targetAddr+":9")
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		everybody := &net.UDPAddr{IP: net.IPv4bcast, Port: 9}
		for ; ; time.Sleep(100 * time.Millisecond) {
			if _, err := conn.WriteTo([]byte("tick"), everybody); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}()
	return conn.Close, nil
}

// atTarget runs fn on the thread of the target's namespace.
func (l lab) atTarget(fn func() error) error {
	done := make(chan error, 1)
	l.target <- func() { done <- fn() }
	return <-done
}

// holding starts holders in the target's namespace, runs fn and ends them.
func (l lab) holding(ctx context.Context, list []holding, fn func() error) error {
	var h *holders
	err := l.atTarget(func() error {
		var err error
		h, err = startHolders(ctx, list)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(fn(), h.release())
}

// openPorts are this many ports, spread at random over all 65,535.
func openPorts(n int) []int {
	ports := rand.Perm(65535)[:n]
	for i := range ports {
		ports[i]++
	}
	slices.Sort(ports)
	return ports
}

// endpoints are the keys of a target's ports.
func endpoints(proto, addr string, ports []int) answer {
	a := answer{}
	for _, p := range ports {
		a[endpointKey(proto, addr, strconv.Itoa(p))] = true
	}
	return a
}

// commas is a port list as scanners take it.
func commas(ports []int) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = strconv.Itoa(p)
	}
	return strings.Join(words, ",")
}
