package event

import (
	"context"
	"path/filepath"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner"
	"github.com/portreeve/portreeve/internal/host/owner/accounts"
	"github.com/portreeve/portreeve/internal/host/owner/cgroup"
	"github.com/portreeve/portreeve/internal/host/owner/identity"
	"github.com/portreeve/portreeve/internal/host/owner/pkgdb"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
	"golang.org/x/sys/unix"
)

// person is a process as it was when it opened or closed a socket.
type person struct {
	process        exposure.Process
	unit           string
	activatedBy    string
	pack, packWhy  string
	container      *exposure.Container
	unknown        string // why there is no process
	socketUnit     func(*exposure.Socket) (unit, service string, ok bool)
	kernelThread   bool
	outsideOfSight bool
}

// personKey names one program of one process: it may run another one later.
type personKey struct {
	pid     uint32
	started uint64
	exe     string
}

const (
	maxPeople = 4096
	// describerFor and describerPeople bound how long one Describer is used:
	// it never forgets what it read.
	describerFor    = 30 * time.Second
	describerPeople = 2000
)

// people describes processes, those that have ended too.
type people struct {
	root   *rootfs.FS // the host's; nil when it cannot be opened
	users  accounts.Users
	groups *cgroups
	mntns  uint32
	boot   time.Time
	// known is in two halves: when the newer one is full it becomes the older
	// one, whose people are forgotten.
	known, older map[personKey]*person
	packages     map[string]pkgdb.Answer
	files        map[fileKey]bool // whether a program's file is the host's
	describer    *owner.Describer
	since        time.Time
	described    int
}

func newPeople(cgroups *cgroups) *people {
	p := &people{known: map[personKey]*person{}, boot: identity.BootTime("/proc"), packages: map[string]pkgdb.Answer{}, files: map[fileKey]bool{}}
	p.groups = cgroups
	if inode, err := inodeOf("/proc/self/ns/mnt"); err == nil {
		p.mntns = uint32(inode)
	}
	if root, err := rootfs.Open("/"); err == nil {
		p.root = root
	}
	return p
}

func (p *people) close() error {
	if p.root != nil {
		_ = p.root.Close()
	}
	return p.groups.close()
}

// describe answers for every record, nil for none. What a process's record
// does not tell is read from /proc for all of them at once.
func (p *people) describe(ctx context.Context, records []record) []*person {
	out := make([]*person, len(records))
	var ask []int32
	for i := range records {
		r := &records[i]
		if out[i] = p.recall(r); out[i] == nil && r.pid != 0 && r.flags&flagKernel == 0 {
			ask = append(ask, int32(r.pid))
		}
	}
	live := p.live(ctx, ask)
	p.lookUp(ctx, records, out, live)
	for i := range records {
		if out[i] != nil {
			continue
		}
		r := &records[i]
		if out[i] = p.recall(r); out[i] == nil { // one before it may be of the same process
			out[i] = p.meet(r, live)
			p.keep(r, out[i])
		}
	}
	return out
}

func keyOf(r *record) personKey { return personKey{r.pid, r.started, r.exe} }

func (p *people) recall(r *record) *person {
	if r.pid == 0 || r.flags&flagKernel != 0 {
		return nil
	}
	k := keyOf(r)
	if known := p.known[k]; known != nil {
		return known
	}
	if known := p.older[k]; known != nil {
		p.keep(r, known)
		return known
	}
	return nil
}

func (p *people) keep(r *record, who *person) {
	if r.pid == 0 || r.flags&flagKernel != 0 {
		return
	}
	if len(p.known) >= maxPeople {
		p.older, p.known = p.known, map[personKey]*person{}
	}
	p.known[keyOf(r)] = who
}

// live describes processes that still live.
func (p *people) live(ctx context.Context, pids []int32) map[int32]owner.Description {
	if len(pids) == 0 {
		return nil
	}
	if p.describer == nil || time.Since(p.since) > describerFor || p.described > describerPeople {
		p.fresh()
	}
	p.described += len(pids)
	return p.describer.Describe(ctx, pids)
}

func (p *people) fresh() {
	p.describer, p.since, p.described = owner.NewDescriber(owner.Config{}), time.Now(), 0
	clear(p.packages)
	clear(p.files)
	if p.root != nil {
		p.users, _ = accounts.Read(p.root)
	}
}

// sameProcess: /proc counts a start in ticks of 10 ms since the second of
// boot; the record in nanoseconds.
func (p *people) sameProcess(r *record, d *owner.Description) bool {
	return d.Process.Started.IsZero() || r.started == 0 || p.startOf(r).Equal(d.Process.Started)
}

func (p *people) startOf(r *record) time.Time {
	if r.started == 0 || p.boot.IsZero() {
		return time.Time{}
	}
	const tick = 10 * time.Millisecond
	return p.boot.Add(time.Duration(r.started).Truncate(tick))
}

// meet puts together what the record and /proc tell. The record speaks of the
// moment; what it names wins.
func (p *people) meet(r *record, live map[int32]owner.Description) *person {
	if r.flags&flagKernel != 0 || r.pid == 0 {
		return &person{unknown: outsider(r), kernelThread: r.flags&flagKernel != 0, outsideOfSight: true}
	}
	d, ok := live[int32(r.pid)]
	if !ok || !p.sameProcess(r, &d) {
		return p.ended(r)
	}
	if p.another(r, &d) {
		before := p.ended(r)
		before.unit, before.activatedBy, before.container = d.Unit, d.ActivatedBy, d.Container
		return before
	}
	who := &person{process: d.Process, unit: d.Unit, activatedBy: d.ActivatedBy, container: d.Container,
		pack: d.Package, packWhy: d.PackageUnknown}
	who.process.FD = unknownFD
	if who.process.Cmdline == "" {
		who.process.Cmdline = r.args
	}
	if d.Process.PID == 1 {
		who.socketUnit = p.socketUnit
	}
	return who
}

// another reports that /proc shows another program than the record: the
// process runs another one by now, or it is ending and has none any more.
func (p *people) another(r *record, d *owner.Description) bool {
	if r.exe == "" || r.flags&flagCut != 0 {
		return false
	}
	return d.Process.Exe == "" || r.exe != d.Process.Exe && !d.Process.Deleted && p.sees(r)
}

// unknownFD: the kernel's event does not tell the descriptor.
const unknownFD = -1

func outsider(r *record) string {
	if r.flags&flagKernel != 0 {
		return ""
	}
	return "its process lives outside of this PID namespace"
}

// ended describes a process by the record alone.
func (p *people) ended(r *record) *person {
	who := &person{process: exposure.Process{
		PID: int(r.pid), Name: r.comm, Exe: r.exe, Cmdline: r.args, UID: r.uid, User: p.users.Name(r.uid),
		Started: p.startOf(r), FD: unknownFD, Deleted: r.flags&flagDeleted != 0 && r.exe != "",
	}}
	place := cgroup.Parse("0::" + p.groups.path(r.cgroup) + "\n")
	who.unit = place.Unit.Name
	who.process.Unit = who.unit
	if place.Container.ID != "" {
		who.container = &exposure.Container{ID: place.Container.ID, Runtime: place.Container.Runtime}
	}
	p.packageOf(r, who)
	return who
}

func (p *people) packageOf(r *record, who *person) {
	answer, asked := p.packages[r.exe]
	switch {
	case r.exe == "":
		who.packWhy = "its executable was not read: it was ending"
	case !p.sees(r):
		who.packWhy = "it ended before its root directory could be looked at"
	case !asked || who.process.Deleted:
		who.packWhy = "it ended before its executable could be looked at"
	default:
		who.pack, who.packWhy = answer.Package, answer.Unknown
		who.process.Package, who.process.Unpackaged = answer.Package, answer.Asked
	}
}

// lookUp asks the package databases about the programs of processes that
// ended, of all records at once.
func (p *people) lookUp(ctx context.Context, records []record, known []*person, live map[int32]owner.Description) {
	var paths []string
	for i := range records {
		r := &records[i]
		if known[i] != nil || r.pid == 0 || r.exe == "" || r.flags&(flagDeleted|flagKernel|flagCut) != 0 || !p.sees(r) {
			continue
		}
		if d, ok := live[int32(r.pid)]; ok && d.Process.Exe == r.exe {
			continue
		}
		if _, asked := p.packages[r.exe]; !asked {
			p.packages[r.exe] = pkgdb.Answer{}
			paths = append(paths, r.exe)
		}
	}
	if len(paths) == 0 || p.root == nil {
		return
	}
	for path, answer := range pkgdb.Lookup(ctx, pkgdb.Root{Files: p.root, Host: true}, paths) {
		p.packages[path] = answer
	}
}

// fileKey is a program's file by path and by number.
type fileKey struct {
	path string
	ino  uint64
	dev  uint32
}

// sees reports that a program's path names the same file here: the process
// saw the files that the reader sees, or others with the same program.
func (p *people) sees(r *record) bool {
	if r.mntns == p.mntns {
		return true
	}
	k := fileKey{r.exe, r.exeIno, r.exeDev}
	same, known := p.files[k]
	if !known {
		var st unix.Stat_t
		// The kernel keeps a device as 12 bits and 20 bits (linux/kdev_t.h).
		same = unix.Stat(r.exe, &st) == nil && st.Ino == r.exeIno && unix.Mkdev(r.exeDev>>20, r.exeDev&0xfffff) == uint64(st.Dev)
		p.files[k] = same
	}
	return same
}

// socketUnit names the socket unit of a listener that systemd holds.
func (p *people) socketUnit(s *exposure.Socket) (unit, service string, ok bool) {
	return p.describer.SocketUnit(s.Proto, s.Addr.IP, s.Port)
}

// fill writes the owner into a socket.
func (who *person) fill(s *exposure.Socket, r *record) {
	if who.kernelThread {
		s.Kernel = &exposure.KernelUser{User: "kernel", Detail: "made by the kernel itself, in process " + filepath.Base(r.comm), Source: "sk_kern_sock"}
		return
	}
	if who.outsideOfSight {
		s.OwnerUnknown = who.unknown
		return
	}
	s.Processes = []exposure.Process{who.process}
	s.Unit, s.ActivatedBy, s.Container = who.unit, who.activatedBy, who.container
	s.Package, s.PackageUnknown = who.pack, who.packWhy
	if who.socketUnit == nil {
		return
	}
	if unit, service, ok := who.socketUnit(s); ok {
		s.ActivatedBy, s.Unit = unit, service
	}
}
