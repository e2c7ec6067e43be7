package event

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/portreeve/portreeve/internal/exposure"
	"golang.org/x/sys/unix"
)

// tracing knows by BPF programs that write into a ring.
type tracing struct {
	loaded *ebpf.Collection
	links  []link.Link
	reader *ringbuf.Reader
	drops  *ebpf.Variable
	// told is how many lost events were told as Lost events.
	told    uint64
	losses  counter
	follow  *follower
	busy    bool // events came since the programs were last asked for misses
	checked time.Time
}

// programs are those at the tracepoint and those at the root of the cgroup
// tree, with where they belong; 0 is the tracepoint.
func programs() map[string]ebpf.AttachType {
	return map[string]ebpf.AttachType{
		listenersProgStateChanged: 0,
		listenersProgListens:      ebpf.AttachCGroupSockOps,
		listenersProgAsked4:       ebpf.AttachCGroupInet4Bind,
		listenersProgAsked6:       ebpf.AttachCGroupInet6Bind,
		listenersProgGranted4:     ebpf.AttachCGroupInet4PostBind,
		listenersProgGranted6:     ebpf.AttachCGroupInet6PostBind,
		listenersProgConnecting4:  ebpf.AttachCGroupInet4Connect,
		listenersProgConnecting6:  ebpf.AttachCGroupInet6Connect,
		listenersProgReleased:     ebpf.AttachCgroupInetSockRelease,
	}
}

func openTracing(ctx context.Context, o Options) (source, []exposure.Gap, error) {
	root, err := openCgroupRoot(o.Cgroup)
	if err != nil {
		return nil, nil, unavailable("find the cgroup tree", err)
	}
	follow, err := newFollower(ctx, o, newCgroups(root))
	if err != nil {
		return nil, nil, errors.Join(err, root.Close())
	}
	t := &tracing{follow: follow}
	err = t.start(o, fdPath(int(root.Fd())), true)
	if err != nil { // before Linux 5.12 tracing programs are given no cookie
		t.release()
		if t.start(o, fdPath(int(root.Fd())), false) == nil {
			err = nil
		}
	}
	if err != nil {
		t.release()
		return nil, nil, errors.Join(err, follow.close())
	}
	return t, sightOf(), nil
}

// initCgroupNS is the inode of the first cgroup namespace
// (PROC_CGROUP_INIT_INO, linux/proc_ns.h).
const initCgroupNS = 0xeffffffb

func sightOf() []exposure.Gap {
	gaps := []exposure.Gap{gap("the end of a datagram socket that the kernel itself opened (WireGuard, VXLAN) is not told as it happens")}
	if inode, err := inodeOf("/proc/self/ns/cgroup"); err != nil || inode != initCgroupNS {
		gaps = append(gaps, gap("datagram sockets of processes outside of this cgroup namespace are not followed"))
	}
	return gaps
}

func (t *tracing) start(o Options, root string, cookie bool) error {
	spec, err := t.spec(o, cookie)
	if err != nil {
		return err
	}
	t.loaded, err = load(spec)
	if err != nil {
		return unavailable("load BPF programs", why(err))
	}
	t.drops = t.loaded.Variables[listenersVarLost]
	if t.reader, err = ringbuf.NewReader(t.loaded.Maps[listenersMapRing]); err != nil {
		return unavailable("read the BPF ring", err)
	}
	for name, at := range programs() {
		l, err := attach(root, at, t.loaded.Programs[name])
		if err != nil {
			return unavailable("attach BPF program "+name, err)
		}
		t.links = append(t.links, l)
	}
	return nil
}

var errPrivilege = errors.New("needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (run as root)")

// why says what the kernel's refusal means, without the verifier's log.
func why(err error) error {
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &verifier):
		return fmt.Errorf("%w (%v)", verifier.Cause, verifier)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w", errPrivilege, unix.EPERM)
	}
	return err
}

func (t *tracing) spec(o Options, cookie bool) (*ebpf.CollectionSpec, error) {
	spec, err := loadListeners()
	if err != nil {
		return nil, fmt.Errorf("read the BPF object: %w", err)
	}
	if o.Ring > 0 {
		spec.Maps[listenersMapRing].MaxEntries = uint32(o.Ring)
	}
	pidns, err := pidNamespace()
	if err != nil {
		return nil, unavailable("find the own PID namespace (is /proc mounted?)", err)
	}
	return spec, errors.Join(
		spec.Variables[listenersVarOwnPidns].Set(uint32(pidns)),
		spec.Variables[listenersVarOnlyNetns].Set(t.follow.only),
		spec.Variables[listenersVarHasCookie].Set(flag(cookie)),
	)
}

// pidNamespace is the one by which /proc numbers processes: that of its process
// 1, which need not be the own one.
func pidNamespace() (uint64, error) {
	inode, err := inodeOf("/proc/1/ns/pid")
	if err != nil {
		return inodeOf("/proc/self/ns/pid")
	}
	return inode, nil
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func inodeOf(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return st.Ino, nil
}

// load loads the programs. Kernels before 5.11 count BPF memory against
// RLIMIT_MEMLOCK, which is raised only there.
func load(spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
	loaded, err := ebpf.NewCollection(spec)
	if !errors.Is(err, unix.EPERM) {
		return loaded, err
	}
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unlimited) != nil {
		return nil, err
	}
	return ebpf.NewCollection(spec)
}

func attach(root string, at ebpf.AttachType, p *ebpf.Program) (link.Link, error) {
	if at == 0 {
		return link.AttachTracing(link.TracingOptions{Program: p})
	}
	return link.AttachCgroup(link.CgroupOptions{Path: root, Attach: at, Program: p})
}

func (t *tracing) release() {
	for _, l := range t.links {
		_ = l.Close()
	}
	if t.reader != nil {
		_ = t.reader.Close()
	}
	if t.loaded != nil {
		t.loaded.Close()
	}
	t.links, t.reader, t.loaded = nil, nil, nil
}

func (t *tracing) close() error {
	t.release()
	return t.follow.close()
}

func (t *tracing) name() string           { return SourceBPF }
func (t *tracing) lost() uint64           { return t.losses.load() }
func (t *tracing) capabilities() []string { return []string{"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"} }

const (
	// batch bounds how many records are described in one pass.
	batch = 512
	// checkEvery is how often losses are looked for while events come.
	checkEvery = time.Second
	// idleCheck is how often they are looked for while none come.
	idleCheck = 15 * time.Second
)

func (t *tracing) run(ctx context.Context, fn func(Event) error) error {
	stop := context.AfterFunc(ctx, func() { _ = t.reader.Flush() })
	defer stop()
	var raw ringbuf.Record
	records := make([]record, 0, batch)
	for {
		var err error
		records, err = t.gather(records[:0], &raw)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.follow.tell(ctx, records, fn); err != nil {
			return err
		}
		if err := t.follow.settle(t.connected, fn); err != nil {
			return err
		}
		if err := t.check(fn); err != nil {
			return err
		}
	}
}

// gather waits for one record and takes those that are there behind it.
func (t *tracing) gather(out []record, raw *ringbuf.Record) ([]record, error) {
	wait := idleCheck
	if t.busy {
		wait = checkEvery
	}
	if len(t.follow.asking) > 0 {
		wait = grace
	}
	t.reader.SetDeadline(time.Now().Add(wait))
	for len(out) < batch && (len(out) == 0 || t.reader.AvailableBytes() > 0) {
		err := t.reader.ReadInto(raw)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ringbuf.ErrFlushed):
			return out, nil
		case err != nil:
			return out, fmt.Errorf("read listener events: %w", err)
		}
		t.busy = true
		r, err := decode(raw.RawSample)
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// check tells of events that were lost: the ring was full, or a program was
// preempted by itself and left out by the kernel.
func (t *tracing) check(fn func(Event) error) error {
	var n uint64
	if err := t.drops.Get(&n); err != nil {
		return fmt.Errorf("read the count of lost events: %w", err)
	}
	if t.busy && time.Since(t.checked) > checkEvery {
		t.checked, t.busy = time.Now(), false
		t.losses.missed.Store(t.misses())
	}
	t.losses.n.Store(n)
	missed := t.lost() - t.told
	if missed == 0 {
		return nil
	}
	t.told += missed
	t.follow.forget()
	return fn(Event{Kind: Lost, At: time.Now().UTC(), Source: SourceBPF, Missed: missed})
}

const stateEstablished = 1 // net/tcp_states.h

// connected asks the kernel for the state of a socket that may have ended. A
// process that gave up its privileges may ask since Linux 5.19; before, the
// socket is told as closed when it ends.
func (t *tracing) connected(address, cookie uint64) bool {
	state, err := t.loaded.Programs[listenersProgInspect].Run(&ebpf.RunOptions{Context: [2]uint64{address, cookie}})
	return err == nil && state == stateEstablished
}

// misses adds up how often the kernel left a program out. Kernels before 5.12
// do not tell, nor does any once the process has given up its privileges
// before 5.19; then the last count stands.
func (t *tracing) misses() uint64 {
	var sum uint64
	for _, p := range t.loaded.Programs {
		stats, err := p.Stats()
		if err != nil {
			return t.losses.missed.Load()
		}
		sum += stats.RecursionMisses
	}
	return sum
}
