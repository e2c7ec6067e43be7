package meter

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Meter counts the conversations of some interfaces. Close it.
type Meter struct {
	idle   time.Duration
	clock  int64 // Unix time at CLOCK_BOOTTIME 0, ns
	stats  *ebpf.Map
	flows4 *ebpf.Map
	flows6 *ebpf.Map
	pieces *ebpf.Map
	closer io.Closer // of the promiscuous mode
	hooks  []hook

	mu     sync.Mutex // guards what follows, and Close against the others
	closed bool
	batch  batch
	gone   []string
}

// hook is where a program is attached.
type hook struct {
	name string // of the interface
	link link.Link
}

// Open attaches the program to the interfaces and starts to count. Errors are
// an *UnsupportedError, a *PermissionError, or what the kernel said of an
// interface.
func Open(o Options) (*Meter, error) {
	runtime.LockOSThread() // one network namespace throughout
	defer runtime.UnlockOSThread()
	ifaces, err := resolve(o.Interfaces)
	if err != nil {
		return nil, err
	}
	m := &Meter{idle: o.Idle, clock: bootTime()}
	if err := m.start(o, ifaces); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Meter) start(o Options, ifaces []iface) error {
	programs, err := m.load(o)
	if err != nil {
		return err
	}
	defer programs.close()
	for _, i := range ifaces {
		if err := m.attach(programs, i); err != nil {
			return err
		}
	}
	if o.Promiscuous {
		m.closer, err = promiscuous(ifaces)
	}
	return err
}

// load makes the maps.
func (m *Meter) load(o Options) (*programs, error) {
	spec, err := loadProgram()
	if err != nil {
		return nil, fmt.Errorf("read the BPF object: %w", err)
	}
	most, err := entries(o.MaxFlows)
	if err != nil {
		return nil, err
	}
	spec.Maps["flows4"].MaxEntries, spec.Maps["flows6"].MaxEntries = most, most
	maps := map[string]*ebpf.Map{}
	for name, to := range map[string]**ebpf.Map{"flows4": &m.flows4, "flows6": &m.flows6, "pieces": &m.pieces, "stats": &m.stats} {
		if *to, err = ebpf.NewMap(spec.Maps[name]); err != nil {
			return nil, refused("make the map of "+name, "CAP_BPF", "BPF hash maps", err)
		}
		maps[name] = *to
	}
	return &programs{spec: spec, maps: maps, loaded: map[variant]*ebpf.Program{}}, nil
}

func entries(maxFlows int) (uint32, error) {
	if maxFlows == 0 {
		return DefaultMaxFlows, nil
	}
	if maxFlows < 0 || maxFlows > math.MaxInt32 {
		return 0, fmt.Errorf("a meter for %d conversations: between 1 and %d are possible", maxFlows, math.MaxInt32)
	}
	return uint32(maxFlows), nil
}

// attach counts what an interface receives, and unless it is loopback, where
// that would be the same again, what it sends. The meter comes before all
// other programs: a verdict of theirs would end the chain.
func (m *Meter) attach(p *programs, i iface) error {
	ways := []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress}
	if i.loopback {
		ways = ways[:1]
	}
	for _, way := range ways {
		prog, err := p.get(i.variant(way))
		if err != nil {
			return err
		}
		l, err := link.AttachTCX(link.TCXOptions{Interface: i.index, Program: prog, Attach: way, Anchor: link.Head()})
		if err != nil {
			return refused("attach to "+i.name, "CAP_NET_ADMIN", "TCX (Linux 6.6 with CONFIG_NET_XGRESS)", err)
		}
		m.hooks = append(m.hooks, hook{i.name, l})
	}
	return nil
}

// refused names what an operation lacked.
func refused(op, capability, feature string, err error) error {
	if errors.Is(err, unix.EPERM) {
		return &PermissionError{op, capability, err}
	}
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) && !mayReadFreely() {
		return &PermissionError{op, "CAP_PERFMON", err}
	}
	if verifier != nil || errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return &UnsupportedError{feature, err}
	}
	return fmt.Errorf("%s: %w", op, err)
}

// mayReadFreely tells whether the verifier lets this thread's programs read
// packets at computed places.
func mayReadFreely() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return true
	}
	return data[1].Effective&(1<<(unix.CAP_PERFMON-32)) != 0 || data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// Stop ends the counting; what was counted can still be read.
func (m *Meter) Stop() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stop()
}

func (m *Meter) stop() error {
	var errs []error
	m.noteGone()
	for _, h := range m.hooks {
		errs = append(errs, h.link.Close())
	}
	if m.closer != nil {
		errs = append(errs, m.closer.Close())
	}
	m.hooks, m.closer = nil, nil
	return errors.Join(errs...)
}

// Close ends the counting and forgets what was counted.
func (m *Meter) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	errs := []error{m.stop()}
	for _, each := range []*ebpf.Map{m.flows4, m.flows6, m.pieces, m.stats} {
		errs = append(errs, each.Close())
	}
	return errors.Join(errs...)
}

// bootTime is the wall clock's time when CLOCK_BOOTTIME was 0.
func bootTime() int64 {
	var ts unix.Timespec
	before := time.Now().UnixNano()
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // cannot fail
	after := time.Now().UnixNano()
	return before + (after-before)/2 - ts.Nano()
}
