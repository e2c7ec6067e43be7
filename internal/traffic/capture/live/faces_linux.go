package live

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// faces are the interfaces of a ring: one, or for Any all that there were at
// the beginning and those seen since.
type faces struct {
	snap uint32

	mu   sync.Mutex
	list []capture.Interface
	at   map[int32]uint32 // by interface index

	// last is what a packet before had; only Next uses it.
	last, lastAt int64
}

// learnAll lists the interfaces there are.
func (f *faces) learnAll(fd int) {
	f.at = map[int32]uint32{}
	all, err := net.Interfaces()
	if err != nil {
		return // they are learnt as they are seen
	}
	for _, i := range all {
		hardware, err := hardwareType(fd, i.Name)
		if err != nil {
			continue
		}
		_, link := formOf(hardware)
		f.add(int32(i.Index), i.Name, link)
	}
}

func (f *faces) add(index int32, name string, link wire.LinkType) uint32 {
	n := uint32(len(f.list))
	f.list = append(f.list, capture.Interface{Name: name, Link: link, SnapLen: f.snap})
	f.at[index] = n
	return n
}

// index gives the number of the interface that a packet came from.
func (f *faces) index(fd int, from *unix.RawSockaddrLinklayer, link wire.LinkType) uint32 {
	if f.last == int64(from.Ifindex) && f.last != 0 {
		return uint32(f.lastAt)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, known := f.at[from.Ifindex]
	if !known {
		name, err := nameOf(fd, int(from.Ifindex))
		if err != nil {
			name = "if" + strconv.Itoa(int(from.Ifindex)) // gone already
		}
		n = f.add(from.Ifindex, name, link)
	}
	f.last, f.lastAt = int64(from.Ifindex), int64(n)
	return n
}

// Interfaces are those of the packets' Interface field. For Any it grows
// while packets come.
func (r *Ring) Interfaces() []capture.Interface {
	r.faces.mu.Lock()
	defer r.faces.mu.Unlock()
	return slices.Clone(r.faces.list)
}

// nameOf asks for an interface's name in the socket's network namespace
// (netdevice(7), SIOCGIFNAME). ENODEV: there is none of this index.
func nameOf(fd, index int) (string, error) {
	ifr, err := unix.NewIfreq("x")
	if err != nil {
		return "", err
	}
	ifr.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFNAME, ifr); err != nil {
		if errors.Is(err, unix.ENXIO) {
			err = unix.ENODEV
		}
		return "", err
	}
	return ifr.Name(), nil
}
