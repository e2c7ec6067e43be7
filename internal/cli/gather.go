package cli

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/portreeve/portreeve/internal/scan/identify"
)

// gatherer collects the evidence of an audit: snapshot, traffic, scan,
// snapshot, re-check, greetings, firewall.
type gatherer struct {
	s       *streams
	reader  *host.Reader
	book    *knowledge.Book
	ports   []scan.PortRange // nil: every TCP port
	deep    bool
	observe time.Duration

	in   *audit.Input
	addr []netip.Addr
}

func newGatherer(s *streams) *gatherer {
	return &gatherer{s: s, reader: new(host.Reader), book: knowledge.Open()}
}

// gather returns what could be seen. An interruption is no error: the input
// says what is missing.
func (g *gatherer) gather(ctx context.Context) (*audit.Input, error) {
	g.in = &audit.Input{Host: hostname(), Taken: time.Now().UTC(), Book: g.book}
	if err := g.addresses(ctx); err != nil {
		return nil, err
	}
	before, err := g.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	g.in.Self, g.in.Before, g.in.After = before.Self, before, before
	g.traffic(ctx)
	wall := g.startFirewall(ctx)
	sc := g.scan(ctx)
	wall()
	g.in.After = g.in.Before
	if after, err := g.snapshot(ctx); err == nil {
		g.in.After = after
	}
	g.in.Scan = sc
	g.recheck(ctx)
	g.greet(ctx)
	if g.deep {
		g.crossCheck(ctx)
	}
	if ctx.Err() != nil {
		g.gap("network", "interrupted before everything was asked")
	}
	return g.in, nil
}

func (g *gatherer) gap(view, why string) {
	g.in.Gaps = append(g.in.Gaps, exposure.Gap{View: view, Why: why})
}

func (g *gatherer) addresses(ctx context.Context) error {
	addrs, err := host.Addresses(ctx)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if !a.Up || a.Tentative {
			continue
		}
		g.in.Addrs = append(g.in.Addrs, a.Own())
		g.addr = append(g.addr, a.Addr)
	}
	return nil
}

// snapshot lists listeners, packet and raw sockets of all namespaces, without
// what this program itself holds.
func (g *gatherer) snapshot(ctx context.Context) (exposure.Snapshot, error) {
	snap, err := g.reader.Snapshot(ctx, host.Options{Packet: true, Namer: g.book.Name})
	snap.Sockets = slices.DeleteFunc(snap.Sockets, ownSocket)
	return snap, err
}

func ownSocket(s exposure.Socket) bool {
	return len(s.Processes) > 0 && !slices.ContainsFunc(s.Processes, func(p exposure.Process) bool { return p.PID != os.Getpid() })
}

// startFirewall reads the rule sets beside the scan. The returned function
// waits for them and hands them over.
func (g *gatherer) startFirewall(ctx context.Context) func() {
	var wall *firewall.Wall
	var gaps []exposure.Gap
	var read sync.WaitGroup
	read.Go(func() { wall, gaps = firewall.Read(ctx, firewall.Options{}) })
	return func() {
		read.Wait()
		g.in.Gaps = append(g.in.Gaps, gaps...)
		if wall != nil {
			g.in.Wall, g.in.Published, g.in.PermitRules = wall, wall.Published(), wall.PermitRules()
		}
	}
}

func (g *gatherer) scan(ctx context.Context) *exposure.Scan {
	bar := newProgress(g.s)
	defer bar.clear()
	o := scan.SelfOptions{Addrs: g.addr, TCP: g.ports, NoTCP: g.ports != nil && len(g.ports) == 0, UDP: g.datagrams(), Progress: bar.show}
	if q := newQueues(ctx); q != nil {
		defer q.close()
		o.Queues = q
	}
	sc, err := scan.Self(ctx, o)
	if err != nil {
		g.gap("network", "the self-scan failed: "+err.Error())
		return nil
	}
	return &sc
}

// datagrams are the UDP endpoints that the host view lists here.
func (g *gatherer) datagrams() []exposure.Endpoint {
	var out []exposure.Endpoint
	for i := range g.in.Before.Sockets {
		s := &g.in.Before.Sockets[i]
		if s.NetNS.ID == g.in.Self.ID && s.State == exposure.Unconnected && s.Proto == exposure.UDP && g.asked(s.Port) {
			out = append(out, exposure.Endpoint{Proto: s.Proto, Addr: s.Addr, Port: s.Port})
		}
	}
	return out
}

func (g *gatherer) asked(port uint16) bool {
	return g.ports == nil || slices.ContainsFunc(g.ports, func(r scan.PortRange) bool { return r.First <= port && port <= r.Last })
}

// Bounds of the greetings: these are this host's own servers, near and quick,
// and many are silent, so that their number decides how long an audit takes.
const (
	greetLimit  = 1024 // listeners that are spoken to
	greetEach   = 64   // of one program: more of them say the same
	greetTime   = 1500 * time.Millisecond
	greetWait   = 250 * time.Millisecond
	greetAtOnce = 128
)

// greet lets each TCP listener that answers say what it is, at the address
// where a stranger would meet it.
func (g *gatherer) greet(ctx context.Context) {
	var eps []exposure.Endpoint
	of := map[int]int{} // listeners of each holder so far
	for i := range g.in.After.Sockets {
		s := &g.in.After.Sockets[i]
		if s.NetNS.ID != g.in.Self.ID || s.State != exposure.Listen || s.Proto != exposure.TCP || !g.asked(s.Port) {
			continue
		}
		ip, ok := g.meet(s)
		if !ok || len(eps) == greetLimit || of[firstPID(s)] == greetEach {
			continue
		}
		of[firstPID(s)]++
		eps = append(eps, exposure.Endpoint{Proto: s.Proto, Addr: exposure.IPAddress(ip), Port: s.Port})
	}
	g.in.Greetings = identify.Greet(ctx, eps, identify.Limits{Each: greetTime, Wait: greetWait, Parallel: greetAtOnce})
}

func firstPID(s *exposure.Socket) int {
	if len(s.Processes) == 0 {
		return 0
	}
	return s.Processes[0].PID
}

// meet is an address at which the listener was found open: another than
// loopback if there is one, because servers treat loopback as a friend.
func (g *gatherer) meet(s *exposure.Socket) (netip.Addr, bool) {
	var found netip.Addr
	if g.in.Scan == nil {
		return found, false
	}
	for _, h := range g.in.Scan.Hosts {
		for _, p := range h.Ports {
			if p.Port != s.Port || p.Proto != s.Proto || p.State != exposure.Open || !audit.Takes(s, h.Addr) {
				continue
			}
			if !h.Addr.IsLoopback() {
				return h.Addr, true
			}
			found = h.Addr
		}
	}
	return found, found.IsValid()
}

func (g *gatherer) crossCheck(ctx context.Context) {
	list, gaps, err := g.reader.CrossCheck(ctx)
	g.in.Gaps = append(g.in.Gaps, gaps...)
	if err != nil {
		g.gap("host", "the kernel's sources could not be compared: "+err.Error())
	}
	for _, d := range list {
		g.in.Disagreements = append(g.in.Disagreements, disagreement(d))
	}
}

func disagreement(d host.Disagreement) audit.Disagreement {
	out := audit.Disagreement{Endpoint: d.Endpoint, Why: d.Why}
	for _, source := range slices.Sorted(maps.Keys(d.Says)) {
		if d.Says[source] {
			out.Seen = append(out.Seen, source)
		} else {
			out.Missing = append(out.Missing, source)
		}
	}
	return out
}
