package host

import (
	"errors"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner"
	"github.com/portreeve/portreeve/internal/host/procfs"
	"github.com/portreeve/portreeve/internal/host/sockiter"
	"golang.org/x/net/bpf"
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

// filters asks the sockets themselves for the filter that no table shows: of
// raw sockets, and of packet sockets without a classic one, which may have an
// eBPF program. The holder's descriptor is copied for one question.
func (v *survey) filters() {
	for _, c := range v.sockets {
		if c.hasFilter || c.State != exposure.Raw && c.State != exposure.Packet {
			continue
		}
		c.Filter = v.askFilter(c)
	}
}

func (v *survey) askFilter(c *candidate) string {
	text := ""
	for _, h := range c.holders {
		program, err := socketFilter(h, c.inode)
		switch {
		case err == nil && len(program) == 0:
			return ""
		case err == nil:
			return disassemble(program)
		case errors.Is(err, errEBPF):
			return filterEBPF
		}
		text = filterUnasked
	}
	if text == "" && len(c.holders) == 0 {
		text = filterUnasked
	}
	return text
}

var errEBPF = errors.New("the filter is an eBPF program")

// socketFilter copies the holder's descriptor (pidfd_getfd, Linux 5.6) and
// asks it for its classic filter (SO_GET_FILTER, Linux 3.8).
func socketFilter(h owner.Holder, inode uint64) ([]bpf.RawInstruction, error) {
	pidfd, err := unix.PidfdOpen(int(h.PID), 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, int(h.FD), 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != inode {
		return nil, errVanished // the descriptor was reused
	}
	return getFilter(fd)
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
// without a holder stay: they are the kernel's own or hidden.
func (v *survey) settle(p place, doubtful []*candidate) {
	seen := v.witness(p, sockiter.Datagrams)
	for _, c := range doubtful {
		s, ok := seen[c.inode]
		c.drop = ok && !s.BoundByProgram() && !s.Kernel && len(c.holders) > 0 && !v.registered(c)
	}
}
