package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"runtime"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/procfs"
	"github.com/portreeve/portreeve/internal/host/sockdiag"
	"github.com/portreeve/portreeve/internal/host/sockiter"
)

// rounds is how often a doubt must come out the same, pause the time between.
const (
	rounds = 3
	pause  = 40 * time.Millisecond
)

func (r *Reader) crossCheck(ctx context.Context) ([]Disagreement, []exposure.Gap, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	v, err := r.survey(ctx, Options{NetNS: SelfNetNS})
	if err != nil {
		return nil, nil, err
	}
	defer v.closeIterators()
	x := &crosscheck{v: v, dir: procfs.Dir{Root: v.threadDir()}}
	var out []Disagreement
	err = inside(v.places[0], func() error {
		defer x.close()
		if err := x.open(); err != nil {
			return err
		}
		if err := x.compareSources(&out); err != nil {
			return err
		}
		return x.probeBinds(&out)
	})
	return sorted(out), v.gaps, err
}

// crosscheck holds the sources of one namespace.
type crosscheck struct {
	v    *survey
	dir  procfs.Dir
	conn *sockdiag.Conn
	bpf  map[sockiter.Kind]*sockiter.Iterator
}

func (x *crosscheck) open() error {
	x.conn = x.v.dial(&space{})
	if x.conn == nil {
		x.v.gap("cross-check without sock_diag: netlink is refused to this process")
	}
	x.bpf = map[sockiter.Kind]*sockiter.Iterator{}
	if x.v.r.noBPF {
		return nil
	}
	for _, kind := range []sockiter.Kind{sockiter.Datagrams, sockiter.Listeners} {
		it, err := x.v.iterator(kind)
		if err != nil {
			x.v.gap("cross-check without the BPF iterators (CAP_BPF and CAP_PERFMON, Linux 5.13): %v", err)
			x.bpf = nil
			return nil
		}
		x.bpf[kind] = it
	}
	return nil
}

func (x *crosscheck) close() {
	if x.conn != nil {
		_ = x.conn.Close()
	}
}

func (x *crosscheck) compareSources(out *[]Disagreement) error {
	var doubts map[doubt]bool
	for round := range rounds {
		if round > 0 {
			if err := sleep(x.v.ctx, pause); err != nil {
				return err
			}
		}
		readings, err := x.readings()
		if err != nil {
			return err
		}
		now := contradictions(readings)
		if round > 0 {
			now = both(doubts, now)
		}
		if doubts = now; len(doubts) == 0 {
			return nil
		}
	}
	*out = append(*out, disagreements(doubts)...)
	return nil
}

// readings asks every source twice, in turn, so that each stands between two
// answers of each other.
func (x *crosscheck) readings() ([]reading, error) {
	var out []reading
	for range 2 {
		for _, read := range []func() (reading, bool, error){x.readProc, x.readBPF, x.readDiag} {
			got, ok, err := read()
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, got)
			}
		}
	}
	return out, nil
}

func (x *crosscheck) readDiag() (reading, bool, error) {
	g := newReading(SourceDiag)
	if x.conn == nil {
		return g, false, nil
	}
	err := x.dumpAll(func(proto exposure.Proto, s *sockdiag.Socket) {
		g.add(proto, s.Src, s.SrcPort, s.Inode, listens(proto, uint8(s.State)))
	})
	return g, err == nil, err
}

// dumpAll dumps TCP and UDP sockets of every state; absent families and
// protocols have none.
func (x *crosscheck) dumpAll(fn func(exposure.Proto, *sockdiag.Socket)) error {
	for _, family := range []sockdiag.Family{sockdiag.INET, sockdiag.INET6} {
		for _, p := range []sockdiag.Protocol{sockdiag.TCP, sockdiag.UDP} {
			proto := exposure.ProtoByNumber(uint8(p))
			r := sockdiag.Request{Family: family, Protocol: p, States: sockdiag.AllStates}
			err := x.conn.Inet(x.v.ctx, r, func(s *sockdiag.Socket) error {
				fn(proto, s)
				return nil
			})
			// What an interrupted dump missed is looked for again.
			if err != nil && !errors.Is(err, sockdiag.ErrUnsupported) && !errors.Is(err, sockdiag.ErrInterrupted) {
				return err
			}
		}
	}
	return nil
}

func listens(proto exposure.Proto, state uint8) bool {
	if proto == exposure.UDP {
		return sockdiag.State(state) == sockdiag.StateClose
	}
	return sockdiag.State(state) == sockdiag.StateListen
}

func (x *crosscheck) readProc() (reading, bool, error) {
	g := newReading(SourceProc)
	for table, proto := range map[string]exposure.Proto{"tcp": exposure.TCP, "tcp6": exposure.TCP, "udp": exposure.UDP, "udp6": exposure.UDP} {
		skipped, err := x.dir.Inet(table, func(e *procfs.Entry) error {
			g.add(proto, e.Local.Addr(), e.Local.Port(), e.Inode, listens(proto, e.State))
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) && table[len(table)-1] == '6' {
			continue // a kernel without IPv6
		}
		if err == nil && skipped.Count > 0 {
			err = errors.New(skipped.String())
		}
		if err != nil {
			x.v.gap("cross-check without /proc/net/%s: %v", table, err)
			return g, false, x.v.ctx.Err()
		}
	}
	return g, true, nil
}

// readBPF asks the iterators. They list sockets that have a file, TCP only
// while it listens; the address is not told.
func (x *crosscheck) readBPF() (reading, bool, error) {
	g := newReading(SourceBPF)
	if len(x.bpf) == 0 {
		return g, false, nil
	}
	for kind, it := range x.bpf {
		proto := exposure.UDP
		if kind == sockiter.Listeners {
			proto = exposure.TCP
		}
		// The iterator over datagrams lists connected ones too: not listeners,
		// and no evidence against sources that list fewer.
		if err := it.Read(x.v.ctx, func(s sockiter.Socket) { g.add(proto, netip.Addr{}, s.Port, s.Inode, s.Port != 0) }); err != nil {
			x.v.gap("cross-check without the BPF iterators: %v", err)
			x.bpf = nil
			return g, false, x.v.ctx.Err()
		}
	}
	return g, true, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cross-check: %w", ctx.Err())
	}
}
