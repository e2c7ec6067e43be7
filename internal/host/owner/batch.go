package owner

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner/cgroup"
	"github.com/portreeve/portreeve/internal/host/owner/identity"
	"github.com/portreeve/portreeve/internal/host/owner/pkgdb"
)

// Describe describes many processes in one pass; processes that ended are not
// in the answer. Call it once with all holders: the package database is read
// once for all their executables. When the context ends, what it was asked
// last may lack names and packages, with the reason.
func (d *Describer) Describe(ctx context.Context, pids []int32) map[int32]Description {
	d.mu.Lock()
	defer d.mu.Unlock()
	var unknown []int32
	for _, pid := range pids {
		if _, known := d.seen[pid]; !known {
			d.seen[pid] = nil
			unknown = append(unknown, pid)
		}
	}
	d.learn(ctx, unknown)
	out := make(map[int32]Description, len(pids))
	for _, pid := range pids {
		if desc := d.seen[pid]; desc != nil {
			out[pid] = *desc
		}
	}
	return out
}

func (d *Describer) learn(ctx context.Context, pids []int32) {
	people := d.identities(ctx, pids)
	ws := &worlds{procRoot: d.cfg.ProcRoot, host: d.host(), byNS: map[string]*world{}}
	defer ws.close()
	executables := map[*world][]string{}
	for i := range people {
		if w := ws.of(&people[i]); w != nil && people[i].Exe.InRoot != "" {
			executables[w] = append(executables[w], people[i].Exe.InRoot)
		}
	}
	for w, paths := range executables {
		w.lookUp(ctx, paths)
	}
	for i := range people {
		desc := d.describe(ctx, &people[i], ws.of(&people[i]))
		d.seen[people[i].PID] = &desc
	}
}

// identities reads processes in parallel and leaves out those that ended.
func (d *Describer) identities(ctx context.Context, pids []int32) []identity.Identity {
	read := make([]identity.Identity, len(pids))
	boot := d.boot()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8, len(pids)/4+1) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(pids)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				read[i], _ = identity.Read(d.cfg.ProcRoot, pids[i], boot) // ended: PID stays 0
			}
		})
	}
	wg.Wait()
	alive := read[:0]
	for _, id := range read {
		if id.PID != 0 {
			alive = append(alive, id)
		}
	}
	return alive
}

// describe puts together what is known of one process; w is nil when its root
// may not be read.
func (d *Describer) describe(ctx context.Context, id *identity.Identity, w *world) Description {
	place := cgroup.Parse(id.Cgroup)
	desc := Description{
		Process: exposure.Process{
			PID: int(id.PID), Name: id.Name, Exe: id.Exe.Path, Cmdline: id.Cmdline, UID: id.UID, Started: id.Started,
			Deleted: id.Exe.Deleted, Replaced: id.Exe.Replaced, Unit: place.Unit.Name,
		},
		Unit: place.Unit.Name, UnitUser: place.Unit.User, InnerUnit: place.Unit.Inner, Pod: place.Container.Pod,
	}
	if place.Container.ID != "" {
		desc.Container = d.container(ctx, place.Container)
	}
	desc.Process.User = d.user(id, w, desc.Container != nil)
	desc.ActivatedBy = d.activator(place.Unit)
	if w != nil && id.Exe.InRoot != "" && !id.Exe.Deleted {
		t := w.writable(id)
		desc.Process.Writable, desc.Process.WritableWhy, desc.Process.WritablePath = t.why != "", t.why, t.at
	}
	answer := packageOf(id, w)
	desc.Package, desc.PackageUnknown = answer.Package, answer.Unknown
	desc.Process.Package, desc.Process.Unpackaged = answer.Package, answer.Asked
	return desc
}

func (d *Describer) container(ctx context.Context, c cgroup.Container) *exposure.Container {
	if namer := d.namer(); namer != nil {
		return namer.Name(ctx, c)
	}
	return &exposure.Container{ID: c.ID, Runtime: c.Runtime}
}

// user names the process's user: by the files of its own root, or by the
// host's for a process of the host whose root may not be looked at.
func (d *Describer) user(id *identity.Identity, w *world, contained bool) string {
	if w == nil && !contained {
		w = d.host()
	}
	if w == nil {
		return number(id.UID)
	}
	return w.user(id)
}

func (d *Describer) activator(unit cgroup.Unit) string {
	if unit.User != "" || !strings.HasSuffix(unit.Name, ".service") {
		return ""
	}
	for _, socket := range d.sockets().Starting(unit.Name) {
		if len(socket.Listen) > 0 {
			return socket.Name
		}
	}
	return ""
}

// packageOf looks the executable up in what was asked before, or says why
// that could not be.
func packageOf(id *identity.Identity, w *world) pkgdb.Answer {
	switch {
	case errors.Is(id.Exe.Err, fs.ErrPermission):
		return pkgdb.Answer{Unknown: "its executable may not be read: needs CAP_SYS_PTRACE"}
	case id.Exe.Err != nil:
		return pkgdb.Answer{Unknown: "it has no executable (a kernel thread, or it is ending)"}
	case id.Exe.Memory:
		return pkgdb.Answer{Unknown: "it runs from memory (memfd_create) and from no file"}
	case w == nil:
		return pkgdb.Answer{Unknown: "its root directory may not be read: needs CAP_SYS_PTRACE"}
	case id.Exe.InRoot == "":
		return pkgdb.Answer{Unknown: "its executable is not in the root directory that it sees"}
	}
	return w.packages[id.Exe.InRoot]
}
