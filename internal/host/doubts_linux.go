package host

import (
	"errors"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner"
	"github.com/portreeve/portreeve/internal/host/procfs"
	"github.com/portreeve/portreeve/internal/host/sockiter"
	"golang.org/x/sys/unix"
)

// again looks a second time for holders of sockets that have none: a socket
// opened after the holders were read is not in the table. It is done once,
// and only where every holder could be seen.
func (v *survey) again() {
	var without []*candidate
	for _, c := range v.sockets {
		if c.inode != 0 && len(c.holders) == 0 && c.Kernel == nil && !c.early {
			without = append(without, c)
		}
	}
	if len(without) == 0 || v.owners.table.Why() != "" {
		return
	}
	answer := <-v.find()
	if answer.err != nil {
		return
	}
	for _, c := range without {
		c.holders = answer.table.Holders(c.inode)
	}
}

// filters asks the sockets themselves for what no table shows: the filter of
// raw sockets, and of packet sockets without a classic one, which may have an
// eBPF program; and a raw socket's device, where /proc was the source. The
// holder's descriptor is copied for the questions.
func (v *survey) filters() {
	for _, c := range v.sockets {
		if !c.hasFilter && (c.State == exposure.Raw || c.State == exposure.Packet) {
			c.Filter = c.ask()
		}
	}
}

// ask puts the questions to the first holder that lets itself be asked, and
// gives the filter's text.
func (c *candidate) ask() string {
	for _, h := range c.holders {
		fd, err := copyDescriptor(h, c.inode)
		if err != nil {
			continue
		}
		defer unix.Close(fd)
		if device, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE); err == nil && c.State == exposure.Raw {
			c.Device = device
			c.Uncertain = slices.DeleteFunc(c.Uncertain, func(name string) bool { return name == "device" })
		}
		program, err := getFilter(fd)
		switch {
		case errors.Is(err, errEBPF):
			return filterEBPF
		case err != nil:
			return filterUnasked
		}
		return disassemble(program)
	}
	return filterUnasked
}

var errEBPF = errors.New("the filter is an eBPF program")

// copyDescriptor copies the holder's descriptor (pidfd_getfd, Linux 5.6; it
// needs the right to trace the holder).
func copyDescriptor(h owner.Holder, inode uint64) (int, error) {
	pidfd, err := unix.PidfdOpen(int(h.PID), 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, int(h.FD), 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != inode {
		_ = unix.Close(fd)
		return -1, errVanished // the descriptor was reused
	}
	return fd, nil
}

// clients leaves the datagram sockets of clients out of the default listing;
// see the package comment for how they are told.
func (v *survey) clients() {
	if v.o.All {
		return
	}
	for i, ns := range v.spaces {
		if ns == nil || ns.outside {
			continue
		}
		if doubtful := v.doubtful(v.places[i], ns); len(doubtful) > 0 {
			v.settle(v.places[i], doubtful)
		}
	}
}

// doubtful are the unconnected datagram sockets of processes on a port that
// the kernel may have chosen.
func (v *survey) doubtful(p place, ns *space) []*candidate {
	var out []*candidate
	for _, c := range v.sockets {
		if c.ns == ns && c.State == exposure.Unconnected {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil
	}
	var first, last uint16
	err := inside(p, func() (err error) {
		first, last, err = procfs.Dir{Root: v.r.proc()}.PortRange()
		return err
	})
	if err != nil {
		return nil
	}
	return inRange(out, first, last)
}

func inRange(sockets []*candidate, first, last uint16) []*candidate {
	var out []*candidate
	for _, c := range sockets {
		if c.Port >= first && c.Port <= last {
			out = append(out, c)
		}
	}
	return out
}

// settle drops the sockets whose port and address the kernel chose. Sockets
// without a holder stay, where holders were looked for: they are the kernel's
// own or hidden.
func (v *survey) settle(p place, doubtful []*candidate) {
	seen := v.witness(p, sockiter.Datagrams)
	for _, c := range doubtful {
		s, ok := seen[c.inode]
		c.drop = ok && !s.BoundByProgram() && !s.Kernel && (len(c.holders) > 0 || v.o.NoOwners) && !v.registered(c)
	}
}
