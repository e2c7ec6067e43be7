package scan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/identify"
	"github.com/portreeve/portreeve/internal/scan/order"
	"github.com/portreeve/portreeve/internal/scan/osguess"
)

// maxHosts bounds the hosts of which answers are kept.
const maxHosts = 1 << 22

// ErrTooManyHosts is a survey of more hosts than can be kept in memory.
var ErrTooManyHosts = errors.New("these are more hosts than one scan can keep; cut the targets, or let it look for hosts first")

// listedDown is up to how many targets those that are down are listed.
const listedDown = 256

// discover finds which targets are up; a shard looks for all of them, because
// the plan that is cut is that of all.
func (v *survey) discover(ctx context.Context) (err error) {
	if v.ways, err = openWays(v.o.From, v.o.Iface); err != nil {
		return fmt.Errorf("read the routes: %w", err)
	}
	if v.found && !v.o.NoDiscovery {
		v.addGaps(v.looked.Gaps)
		return v.arrange()
	}
	if v.o.NoDiscovery {
		return v.everyTarget()
	}
	if err := v.look(ctx); err != nil {
		return err
	}
	return v.arrange()
}

// arrange lists the hosts to ask. A plan that is cut into shards is that of
// all targets, whatever a machine found up: the shards must fit together.
func (v *survey) arrange() error {
	if v.o.Shard.N > 1 {
		return v.everyTarget()
	}
	for addr := range v.hosts {
		v.order = append(v.order, addr)
	}
	slices.SortFunc(v.order, compareAddr)
	return nil
}

// everyTarget asks all of them.
func (v *survey) everyTarget() error {
	n := v.o.Targets.Len()
	if n > maxHosts {
		return fmt.Errorf("%w (%d targets)", ErrTooManyHosts, n)
	}
	v.order = make([]netip.Addr, 0, n)
	for i := range n {
		v.order = append(v.order, v.o.Targets.At(i))
	}
	v.found = true
	return nil
}

// living is the hosts among addrs that are up; without discovery all may be.
func (v *survey) living(addrs []netip.Addr) []netip.Addr {
	if v.o.NoDiscovery {
		return addrs
	}
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return !v.known(a).Up })
}

// down lists the few targets that are not up.
func (v *survey) down() []exposure.HostScan {
	n := v.o.Targets.Len()
	if n > listedDown {
		return nil
	}
	var out []exposure.HostScan
	for i := range n {
		if addr := v.o.Targets.At(i); !v.known(addr).Up && !slices.Contains(v.order, addr) {
			h := v.known(addr)
			h.Reason, h.States = "no-response", map[exposure.PortStateName]int{}
			out = append(out, h)
		}
	}
	return out
}

// livePlan is a shard's probes without those of hosts that are down: the
// numbers of the rest.
type livePlan struct {
	*order.Plan
	numbers []uint32
}

// maxLive bounds the numbers that are held.
const maxLive = 1 << 24

// live leaves the hosts that are down out of a shard.
func (v *survey) live(plan *order.Plan) Work {
	if v.o.Shard.N < 2 || v.o.NoDiscovery || plan.Len() > maxLive {
		return plan
	}
	l := livePlan{Plan: plan}
	for i := range plan.Len() {
		if addr, _ := plan.At(i); v.known(addr).Up {
			l.numbers = append(l.numbers, uint32(i))
		}
	}
	return l
}

func (l livePlan) Len() uint64 { return uint64(len(l.numbers)) }
func (l livePlan) At(i uint64) (netip.Addr, uint16) {
	return l.Plan.At(uint64(l.numbers[i]))
}

// maxEchoed is how many ports of a host that answers for everything are
// greeted: recognition of thousands of echoes tells nothing.
const maxEchoed = 16

// identify recognises what speaks at the open TCP ports.
func (v *survey) identify(ctx context.Context) error {
	if !v.o.Identify {
		return nil
	}
	eps := v.toGreet()
	size := len(eps)
	if v.o.Save != nil {
		size = greetAtOnce
	}
	for done := 0; done < len(eps) && ctx.Err() == nil; {
		part := eps[done:min(done+size, len(eps))]
		for e, s := range identify.Greet(ctx, part, v.greeting(done, len(eps))) {
			v.tcp.services[netip.AddrPortFrom(e.Addr.IP, e.Port)] = &s
		}
		if done += len(part); ctx.Err() == nil {
			last := part[len(part)-1]
			v.greeted = netip.AddrPortFrom(last.Addr.IP, last.Port)
			v.mayBeSave()
		}
	}
	return nil
}

// greetAtOnce is how many ports are recognised between two times that the
// state is kept.
const greetAtOnce = 256

// toGreet is the open ports that were not greeted yet, in order.
func (v *survey) toGreet() []exposure.Endpoint {
	var eps []exposure.Endpoint
	for _, addr := range v.order {
		ports := v.tcp.open(addr)
		slices.Sort(ports)
		if v.known(addr).EverythingAnswers && len(ports) > maxEchoed {
			ports = ports[:maxEchoed]
		}
		for _, port := range ports {
			if !v.greeted.IsValid() || v.greeted.Compare(netip.AddrPortFrom(addr, port)) < 0 {
				eps = append(eps, exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.IPAddress(addr), Port: port})
			}
		}
	}
	return eps
}

// greeting is how ports are greeted, of all of which some are done.
func (v *survey) greeting(before, all int) identify.Limits {
	lim := v.o.Limits
	lim.ServerName = func(e exposure.Endpoint) string { return v.o.Targets.Name(e.Addr.IP) }
	if v.o.Progress != nil {
		lim.Progress = func(done, _ int) {
			v.progress(Progress{Stage: StageIdentify, Done: uint64(before + done), Total: uint64(all)})
		}
	}
	if lim.Dial == nil && (v.o.From.IsValid() || v.o.Iface != "") {
		lim.Dial = dialer(v.o.From, v.o.Iface).DialContext
	}
	return lim
}

// guessOS guesses the systems of the hosts that are up.
func (v *survey) guessOS(ctx context.Context) error {
	if !v.o.OS {
		return nil
	}
	v.progress(Progress{Stage: StageOS})
	var subjects []osguess.Subject
	for _, addr := range v.order {
		if s, ok := v.subject(addr); ok {
			subjects = append(subjects, s)
		}
	}
	dbs, gaps := osguess.Find(os.DirFS("/"))
	v.addGaps(gaps)
	found, gaps, err := osguess.Guess(ctx, subjects, osguess.Options{From: v.o.From, Iface: v.o.Iface, DBs: dbs})
	v.addGaps(gaps)
	for addr, guesses := range found {
		v.host(addr).OS = guesses
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("guess operating systems: %w", err)
	}
	return nil
}

// subject is what a host's ports tell about it.
func (v *survey) subject(addr netip.Addr) (osguess.Subject, bool) {
	s := osguess.Subject{Addr: addr, MAC: v.known(addr).MAC, Closed: v.tcp.closed(addr)}
	for _, port := range v.tcp.open(addr) {
		if s.Open == 0 || port < s.Open {
			s.Open = port
		}
		if service := v.tcp.services[netip.AddrPortFrom(addr, port)]; service != nil {
			s.Services = append(s.Services, *service)
		}
	}
	return s, s.Open > 0 || len(s.Services) > 0
}
