package host

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner"
	"github.com/portreeve/portreeve/internal/host/procfs"
)

// described is what owner tells of a process.
type described = owner.Description

// owners knows who holds which socket, for one snapshot.
type owners struct {
	table     *owner.Table
	describer *owner.Describer
	procRoot  string
	known     map[int32]*described // nil: it ended
	images    map[int32]procfs.Image
	// unseen counts the rows without a holder whose holder may have been
	// hidden from this reader.
	unseen    int
	unseenWhy string
}

func newOwners(table *owner.Table, procRoot, root string) *owners {
	return &owners{table: table, procRoot: procRoot,
		describer: owner.NewDescriber(owner.Config{ProcRoot: procRoot, Root: root}),
		known:     map[int32]*described{}, images: map[int32]procfs.Image{}}
}

// learn describes the holders of many sockets in one pass.
func (o *owners) learn(ctx context.Context, sockets []*candidate) {
	var pids []int32
	for _, c := range sockets {
		for _, h := range c.holders {
			if _, ok := o.known[h.PID]; !ok {
				o.known[h.PID] = nil
				pids = append(pids, h.PID)
			}
		}
	}
	if len(pids) == 0 {
		return
	}
	for pid, d := range o.describer.Describe(ctx, pids) {
		o.known[pid] = &d
	}
}

// describe gives a process's program; false when it ended.
func (o *owners) describe(pid int32) (*described, bool) {
	d, ok := o.known[pid]
	if !ok {
		if one, alive := o.describer.Process(pid); alive {
			d = &one
		}
		o.known[pid] = d
	}
	return d, d != nil
}

// image is the run of the program; zero when the kernel hides it.
func (o *owners) image(pid int32) procfs.Image {
	image, ok := o.images[pid]
	if !ok {
		dir := procfs.Dir{Root: filepath.Join(o.procRoot, strconv.Itoa(int(pid)))}
		if got, err := dir.Image(); err == nil && got.StartStack != 0 {
			image = got
		}
		o.images[pid] = image
	}
	return image
}

// fill names a row's processes, one entry a process with its lowest
// descriptor, and the unit, package and container of the first of them that
// is not PID 1: where systemd holds a socket beside its service, the service
// is the owner. Processes' backing array is reused.
func (o *owners) fill(row *exposure.Socket, holders []owner.Holder) {
	row.Processes = row.Processes[:0]
	var main *described
	last := int32(-1)
	ended := false
	for _, h := range holders {
		if h.PID == last {
			continue
		}
		last = h.PID
		d, ok := o.describe(h.PID)
		if !ok {
			ended = true
			continue
		}
		row.Processes = append(row.Processes, d.Process)
		row.Processes[len(row.Processes)-1].FD = int(h.FD)
		if main == nil || main.Process.PID == 1 {
			main = d
		}
	}
	if main == nil {
		if ended {
			row.OwnerUnknown = ownerEnded
		}
		return
	}
	row.Unit, row.ActivatedBy, row.Container = main.Unit, main.ActivatedBy, main.Container
	row.Package, row.PackageUnknown = main.Package, main.PackageUnknown
	o.activation(row, main)
}

// activation names the socket unit of a listener that systemd holds, and the
// service that it starts.
func (o *owners) activation(row *exposure.Socket, main *described) {
	if !row.IsListener() || row.Processes[0].PID != 1 {
		return
	}
	socketUnit, service, ok := o.describer.SocketUnit(row.Proto, row.Addr.IP, row.Port)
	if !ok {
		return
	}
	row.ActivatedBy = socketUnit
	if main.Process.PID == 1 {
		row.Unit = service
	}
}

// Reasons for which no process is named.
const (
	ownerEnded    = "the process that held it ended during the walk"
	ownerTimeWait = "time-wait: no process holds it any more"
	ownerOrphan   = "orphan: its process closed it and the kernel finishes the connection"
	ownerRequest  = "the connection is being opened; no process has it yet"
	ownerQueued   = "not accepted yet: it waits in its listener's queue"
	ownerNone     = "no process's descriptor refers to it: it may be in flight between processes, kept by io_uring, or its holder ended during the walk"
)

// whyNoOwner explains a row without processes and without a kernel user.
func (o *owners) whyNoOwner(state exposure.State, inode uint64) string {
	if inode == 0 {
		return ownerless(state)
	}
	for _, why := range []string{o.table.Why(), owner.Outside()} {
		if why != "" {
			o.unseen++
			o.unseenWhy = why
			return why
		}
	}
	return ownerNone
}

// ownerless explains a socket that has no file by its state.
func ownerless(state exposure.State) string {
	switch state {
	case exposure.TimeWait:
		return ownerTimeWait
	case exposure.SynRecv:
		return ownerRequest
	case exposure.Established, exposure.CloseWait:
		return ownerQueued
	}
	return ownerOrphan
}

// gaps says what the owner view left out of the rows that were asked for.
func (o *owners) gaps() []exposure.Gap {
	if o.unseen == 0 {
		return nil
	}
	return []exposure.Gap{{View: "host", Why: "owners of " + strconv.Itoa(o.unseen) + " socket(s) not seen: " + o.unseenWhy}}
}

// row joins one service's sockets.
func (o *owners) row(service []*candidate) exposure.Socket {
	row := service[0].Socket
	row.Sockets = len(service)
	row.Inodes = nil
	var holders []owner.Holder
	for _, c := range service {
		if c.inode != 0 {
			row.Inodes = append(row.Inodes, c.inode)
		}
		holders = append(holders, c.holders...)
	}
	slices.Sort(row.Inodes)
	slices.SortFunc(holders, func(a, b owner.Holder) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.FD, b.FD))
	})
	row.Processes = nil
	o.fill(&row, holders)
	if len(row.Processes) == 0 && row.Kernel == nil && row.OwnerUnknown == "" {
		row.OwnerUnknown = o.whyNoOwner(row.State, service[0].inode)
	}
	return row
}
