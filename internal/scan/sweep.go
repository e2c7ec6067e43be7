package scan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/connect"
	"github.com/portreeve/portreeve/internal/scan/order"
	"github.com/portreeve/portreeve/internal/scan/pace"
	"github.com/portreeve/portreeve/internal/scan/syn/wide"
	"github.com/portreeve/portreeve/internal/scan/udp"
)

// Asker is what every transport over the network does: it asks each probe of
// w and tells each settled one once, with its number, from one goroutine.
type Asker interface {
	Sweep(ctx context.Context, w Work, tell func(i uint64, p exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error)
}

// hostList is the addresses to ask.
type hostList []netip.Addr

func (l hostList) Len() uint64            { return uint64(len(l)) }
func (l hostList) At(i uint64) netip.Addr { return l[i] }

// sweep asks what a cursor leaves of a list.
func (v *survey) sweep(ctx context.Context, stage string, a Asker, w Work, at *cursor, take func(uint64, exposure.PortState)) error {
	rest, err := newRemainder(w, at.mark())
	if err != nil || rest.Len() == 0 {
		return err
	}
	done, total, last := w.Len()-rest.Len(), w.Len(), time.Time{}
	looked, every := last, uint64(1)
	stats, gaps, err := a.Sweep(ctx, rest, func(j uint64, p exposure.PortState) {
		i := rest.number(j)
		take(i, p)
		at.done(i)
		done++
		if done%every != 0 {
			return
		}
		now := time.Now()
		every = 1
		if now.Sub(looked) < time.Millisecond {
			every = 64 // so fast that looking at the clock each time would cost
		}
		if looked = now; now.Sub(last) > 100*time.Millisecond {
			last = now
			v.mayBeSave()
			v.progress(Progress{Stage: stage, Done: done, Total: total})
		}
	})
	v.running = exposure.ScanStats{}
	v.addStats(stats)
	v.addGaps(gaps)
	return err
}

// askTCP asks every TCP port of every host: those that are this host's own
// address by a sweep of their own.
func (v *survey) askTCP(ctx context.Context) error {
	if len(v.o.TCP) == 0 {
		return nil
	}
	own, others := v.ways.split(v.order)
	if v.o.Shard.K <= 1 { // one shard is enough to ask this host itself
		if err := v.askOwn(ctx, own); err != nil {
			return err
		}
	}
	if len(others) == 0 {
		return nil
	}
	plan, err := order.New(hostList(others), v.o.TCP, v.o.Shard)
	if err != nil {
		return fmt.Errorf("plan the scan: %w", err)
	}
	live := v.live(plan)
	work := live
	if up := v.living(others); len(up) <= fewHosts {
		work = withControls{live, v.controlsOf(up)}
	}
	if err := v.sweepTCP(ctx, StageTCP, work, others, &v.tcpAt, v.takeTCP(live.Len())); err != nil {
		return fmt.Errorf("ask TCP ports: %w", err)
	}
	return nil
}

// sweepTCP asks by raw SYN where that is wanted and allowed, else by connect.
func (v *survey) sweepTCP(ctx context.Context, stage string, w Work, hosts []netip.Addr, at *cursor, take func(uint64, exposure.PortState)) error {
	if v.o.Method != Connect {
		err := v.ways.resolve(ctx, hosts)
		if err == nil {
			v.out.Asked[exposure.TCP] = SYN
			err = v.sweep(ctx, stage, v.wide(hosts, stage), w, at, take)
		}
		if err == nil || v.o.Method == SYN || ctx.Err() != nil {
			return err
		}
		if permitted(err) && !errors.Is(err, wide.ErrUnsupported) && !errors.Is(err, errNoRaw) {
			v.gap("raw SYN was not possible (%v); asked with connect", err)
		}
	}
	v.out.Asked[exposure.TCP] = Connect
	return v.sweep(ctx, stage, v.connect(hosts), w, at, take)
}

func (v *survey) wide(hosts []netip.Addr, stage string) Asker {
	t := &wide.Transport{Router: v.ways, Pace: v.pace(hosts), Down: v.ways.down,
		NoIPv4: !slices.ContainsFunc(hosts, netip.Addr.Is4), NoIPv6: !slices.ContainsFunc(hosts, netip.Addr.Is6)}
	t.Progress = func(s wide.Status) {
		v.running = exposure.ScanStats{Sent: s.Sent, Received: s.Received}
		v.mayBeSave()
		v.progress(Progress{Stage: stage, Done: s.Settled, Total: s.Total, Loss: s.Loss})
	}
	return wideAsker{t}
}

// politeHalfOpen is how many connections that nobody answers may be left in a
// tracker on the way where the person said nothing: a quarter of what small
// gateways hold.
const politeHalfOpen = 50_000

// linkStart is how many probes a scan of neighbours begins with: 60 KB, which
// any link holds. Beyond a gateway nobody knows what lies between.
const linkStart = 1024

// pace adds the manners that the way to hosts asks for.
func (v *survey) pace(hosts []netip.Addr) pace.Options {
	o := v.o.Pace
	if !v.ways.gateway(hosts) {
		o.Start = linkStart
	} else if o.Rate <= 0 && o.HalfOpen == 0 {
		o.HalfOpen = politeHalfOpen
	}
	return o
}

// wideAsker and the ones below fit each transport's own notion of Work.
type wideAsker struct{ t *wide.Transport }

func (a wideAsker) Sweep(ctx context.Context, w Work, tell func(uint64, exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	return a.t.Sweep(ctx, w, tell)
}

type connectAsker struct {
	t    *connect.Network
	pace *connectPace
}

// Sweep also minds the trackers on the way: connect's own tries are at least
// two, and each silent one stays in them.
func (a connectAsker) Sweep(ctx context.Context, w Work, tell func(uint64, exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	return a.t.Sweep(ctx, w, func(i uint64, p exposure.PortState) {
		if p.Reason == "no-response" {
			a.pace.c.Silent(time.Now(), 2)
		}
		tell(i, p)
	})
}

type udpAsker struct{ t *udp.Transport }

func (a udpAsker) Sweep(ctx context.Context, w Work, tell func(uint64, exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	return a.t.Sweep(ctx, w, tell)
}

func (v *survey) connect(hosts []netip.Addr) Asker {
	p := newConnectPace(v.pace(hosts))
	return connectAsker{&connect.Network{From: v.o.From, Iface: v.o.Iface, Pace: p}, p}
}

// connectPace makes a Control speak connect's language.
type connectPace struct {
	c *pace.Control
}

func newConnectPace(o pace.Options) *connectPace {
	o.Floor = max(o.Floor, 2000)
	return &connectPace{pace.New(o, time.Now())}
}

func (p *connectPace) Allow(now time.Time, inFlight int) (int, time.Duration) {
	n, wait := p.c.Allow(now, inFlight)
	n = min(n, 1024)
	p.c.Sent(now, n)
	return n, wait
}

func (p *connectPace) Answered(now time.Time, _ time.Duration) {
	p.c.Answered(1)
	p.c.Sample(now, p.c.Level(), false)
}

func (p *connectPace) Lost(now time.Time) { p.c.Sample(now, p.c.Level(), true) }

// askOwn asks this host's own addresses among the targets, as the self-scan
// does: over loopback, by raw sockets where allowed.
func (v *survey) askOwn(ctx context.Context, own []netip.Addr) error {
	var left []netip.Addr
	for _, addr := range own {
		if v.tcp.asked(addr) < len(v.o.TCP) { // what an earlier run began is asked anew
			v.tcp.forget(addr)
			left = append(left, addr)
		}
	}
	if len(left) == 0 {
		return nil
	}
	t, err := sweepTCP(ctx, manner{method: v.o.Method}, left, v.o.TCP, v.tcp.take)
	if err != nil {
		return fmt.Errorf("ask this host's own addresses: %w", err)
	}
	v.addStats(t.stats)
	v.addGaps(t.gaps)
	return nil
}

// askUDP asks every UDP port of every host.
func (v *survey) askUDP(ctx context.Context) error {
	if len(v.o.UDP) == 0 || len(v.order) == 0 {
		return nil
	}
	plan, err := order.New(hostList(v.order), v.o.UDP, v.o.Shard)
	if err != nil {
		return fmt.Errorf("plan the scan: %w", err)
	}
	v.out.Asked[exposure.UDP] = "udp"
	t := &udp.Transport{From: v.o.From, Iface: v.o.Iface, Rate: v.o.Pace.Rate, MaxRate: v.o.Pace.MaxRate,
		Patience: v.o.UDPWait, Note: func(why string) { v.out.Notes = append(v.out.Notes, why+"; a longer --udp-wait settles them") }}
	if err := v.sweep(ctx, StageUDP, udpAsker{t}, v.live(plan), &v.udpAt, func(_ uint64, p exposure.PortState) { v.udp.take(p) }); err != nil {
		return fmt.Errorf("ask UDP ports: %w", err)
	}
	return nil
}
