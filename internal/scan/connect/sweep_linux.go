package connect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Sweep asks every port of every address and tells each state once. A port of
// which nothing can be said is not told; a gap says why. The error is for a
// sweep that could not begin. A cancelled ctx is a gap.
func (t *Transport) Sweep(ctx context.Context, addrs []netip.Addr, ports []uint16, tell func(exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	begun := time.Now()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return exposure.ScanStats{}, nil, fmt.Errorf("make an epoll descriptor: %w", err)
	}
	defer func() { _ = unix.Close(ep) }()
	w := &sweep{t: t, ep: ep, limit: t.limit(), events: make([]unix.EpollEvent, 256)}
	for _, addr := range addrs {
		w.address(ctx, addr, ports, tell)
	}
	w.stats.Seconds = time.Since(begun).Seconds()
	if l := &w.stats.Loss; l.CanarySent > 0 {
		l.Estimate = float64(l.CanaryLost) / float64(l.CanarySent)
	}
	return w.stats, w.gaps, nil
}

// limit is how many probes may be pending.
func (t *Transport) limit() int {
	if t.MaxPending > 0 {
		return descriptors(min(maxPending, t.MaxPending))
	}
	return descriptors(maxPending)
}

// descriptors is how many of the wanted descriptors the limit leaves, after
// raising the soft limit to the hard one.
func descriptors(want int) int {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return min(want, 128)
	}
	if r.Cur < r.Max && unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: r.Max, Max: r.Max}) == nil {
		r.Cur = r.Max
	}
	used := 64
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		used += len(open)
	}
	return max(1, min(want, int(min(r.Cur, 1<<20))-used))
}

// sweep is one call of Sweep.
type sweep struct {
	t      *Transport
	ep     int
	limit  int
	events []unix.EpollEvent
	stats  exposure.ScanStats
	gaps   []exposure.Gap
}

func (w *sweep) gap(format string, args ...any) {
	w.gaps = append(w.gaps, exposure.Gap{View: "network", Why: fmt.Sprintf(format, args...)})
}

// address asks all ports of one address, and the silent ones again.
func (w *sweep) address(ctx context.Context, addr netip.Addr, ports []uint16, tell func(exposure.PortState)) {
	a := &asker{sweep: w, addr: addr, limit: w.limit, pending: map[int]*source{}, timeout: w.t.timeout(w.limit), tell: tell}
	defer a.close()
	a.openCanary()
	a.round(ctx, ports, true)
	a.again(ctx)
	for _, p := range a.silent {
		if ctx.Err() == nil {
			a.settle(p, exposure.Filtered, "no-response", 0)
		}
	}
	if unknown := len(ports) - a.told; unknown > 0 {
		why := a.hardship
		if ctx.Err() != nil {
			why = errors.New("the scan was interrupted")
		}
		w.gap("%d of %d ports of %s were not asked: %v", unknown, len(ports), addr, why)
	}
}

// again asks silent ports once more: a few for long enough to meet the
// kernel's own retransmission; of many a sample first, and all only when the
// sample shows that answers went missing.
func (a *asker) again(ctx context.Context) {
	silent := a.silent
	if len(silent) == 0 || ctx.Err() != nil || a.gone != nil {
		return
	}
	a.silent = nil
	if len(silent) <= min(fewSilent, longRounds*a.limit) {
		a.timeout = longTimeout
		a.round(ctx, silent, false)
		return
	}
	rand.Shuffle(len(silent), func(i, j int) { silent[i], silent[j] = silent[j], silent[i] })
	before, sample := a.told, min(sampleSize, len(silent))
	a.round(ctx, silent[:sample], false)
	if a.told > before {
		a.round(ctx, silent[sample:], false)
	} else {
		a.silent = append(a.silent, silent[sample:]...)
	}
}
