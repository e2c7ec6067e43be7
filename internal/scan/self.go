package scan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// SelfOptions say what Self asks.
type SelfOptions struct {
	// Addrs are this host's own addresses, loopback included, link-local
	// ones with their zone. IPv4-mapped ones are unmapped, doubles dropped.
	Addrs []netip.Addr
	// TCP are the ports asked of every address; nil is all of 1–65535.
	TCP []PortRange
	// NoTCP leaves the TCP sweep out.
	NoTCP bool
	// UDP are the endpoints asked one by one; an unspecified address stands
	// for all Addrs of its family (:: for those of both).
	UDP []exposure.Endpoint
	// Method is Auto, SYN or Connect.
	Method string
	// Queues tells how full other programs' packet sockets are; nil sweeps
	// at full speed, at which a slow one may be missed.
	Queues QueueWatch
	// Progress hears ports asked of ports in all; nil for none.
	Progress func(done, total int64)
}

// ErrNoAddress is a self-scan without addresses, or with one that cannot be
// asked (unspecified, multicast).
var ErrNoAddress = errors.New("a self-scan needs unicast addresses of this host")

// Self asks this host's own addresses and says what answered. One HostScan per
// address, in the order given. Its Ports are all TCP ports but the commoner of
// closed and filtered (which States counts) and all UDP endpoints asked; where
// everything answers only the first 1,024 open ones are listed. A cancelled
// ctx gives what is known, with a gap; the error is for a scan that could not
// be made at all.
func Self(ctx context.Context, o SelfOptions) (exposure.Scan, error) {
	r := &run{o: o, out: exposure.Scan{Vantage: "self", Taken: time.Now().UTC(), Hosts: []exposure.HostScan{}}}
	begun := time.Now()
	var err error
	if r.addrs, err = ownAddrs(o.Addrs); err != nil {
		return r.out, err
	}
	if r.plan, err = planTCP(o.TCP); err != nil {
		return r.out, err
	}
	r.begin()
	if err = r.tcp(ctx); err != nil {
		return r.out, err
	}
	r.udp(ctx)
	r.end(begun)
	return r.out, nil
}

// run is one call of Self.
type run struct {
	o       SelfOptions
	addrs   []netip.Addr
	plan    tcpPlan
	tallies map[netip.Addr]*hostTally
	done    atomic.Int64
	total   int64
	out     exposure.Scan
}

func ownAddrs(addrs []netip.Addr) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, a := range addrs {
		a = a.Unmap()
		if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
			return nil, fmt.Errorf("%w: %q", ErrNoAddress, a)
		}
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, ErrNoAddress
	}
	return out, nil
}

func (r *run) begin() {
	r.tallies = map[netip.Addr]*hostTally{}
	for _, a := range r.addrs {
		r.tallies[a] = newHostTally(a, r.plan)
	}
	r.total = int64(len(r.addrs)) * int64(len(r.plan.ports))
	if r.o.NoTCP {
		r.total = 0
	}
}

func (r *run) progress(n int) {
	done := r.done.Add(int64(n))
	if r.o.Progress != nil {
		r.o.Progress(min(done, r.total), r.total)
	}
}

func (r *run) tell(p exposure.PortState) {
	if h := r.tallies[p.Addr]; h != nil {
		h.take(p)
	}
}

func (r *run) tcp(ctx context.Context) error {
	if r.o.NoTCP {
		return nil
	}
	m := manner{method: r.o.Method, queues: r.o.Queues, progress: r.progress}
	t, err := sweepTCP(ctx, m, r.addrs, r.plan.ports, r.tell)
	r.add(t)
	if err != nil {
		return fmt.Errorf("ask this host's TCP ports: %w", err)
	}
	return nil
}

func (r *run) add(t tally) {
	s := &r.out.Stats
	s.Sent += t.stats.Sent
	s.Received += t.stats.Received
	s.Loss.CanarySent += t.stats.Loss.CanarySent
	s.Loss.CanaryLost += t.stats.Loss.CanaryLost
	for _, g := range t.gaps {
		if !slices.Contains(r.out.Gaps, g) {
			r.out.Gaps = append(r.out.Gaps, g)
		}
	}
}

func (r *run) end(begun time.Time) {
	for _, a := range r.addrs {
		r.out.Hosts = append(r.out.Hosts, r.tallies[a].result())
	}
	s := &r.out.Stats
	if s.Loss.CanarySent > 0 {
		s.Loss.Estimate = float64(s.Loss.CanaryLost) / float64(s.Loss.CanarySent)
	}
	s.Seconds = time.Since(begun).Seconds()
}
