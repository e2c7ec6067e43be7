package scan

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Controls per host, and of how many hosts they are asked together with the
// ports: of more only those with open ports are, afterwards.
const (
	hostControls = 4
	fewHosts     = 16
	controlHosts = 1 << 16
)

// probeList is some endpoints to ask.
type probeList []netip.AddrPort

func (l probeList) Len() uint64                      { return uint64(len(l)) }
func (l probeList) At(i uint64) (netip.Addr, uint16) { return l[i].Addr(), l[i].Port() }

// hosts lists the addresses, each once where they stand together.
func (l probeList) hosts() []netip.Addr {
	var out []netip.Addr
	for _, at := range l {
		if len(out) == 0 || out[len(out)-1] != at.Addr() {
			out = append(out, at.Addr())
		}
	}
	return out
}

// controlsOf are random high ports of each host. They are the same whenever
// they are asked for in one survey.
func (v *survey) controlsOf(hosts []netip.Addr) probeList {
	var list probeList
	for _, addr := range hosts {
		for n := range hostControls {
			var h maphash.Hash
			h.SetSeed(v.seed)
			b, _ := addr.MarshalBinary() // never fails
			_, _ = h.Write(append(b, byte(n)))
			list = append(list, netip.AddrPortFrom(addr, uint16(controlFloor+h.Sum64()%(65536-controlFloor))))
		}
	}
	return list
}

// withControls asks a plan and then the controls of few hosts.
type withControls struct {
	Work
	controls probeList
}

func (w withControls) Len() uint64 { return w.Work.Len() + w.controls.Len() }
func (w withControls) At(i uint64) (netip.Addr, uint16) {
	if n := w.Work.Len(); i >= n {
		return w.controls.At(i - n)
	}
	return w.Work.At(i)
}

// askControls asks controls of the hosts that have open ports, where they
// were not asked before: where all are open too, everything answers.
func (v *survey) askControls(ctx context.Context) error {
	var hosts []netip.Addr
	for _, addr := range v.order {
		if len(v.tcp.open(addr)) > 0 && len(hosts) < controlHosts && v.controls.asked(addr) < hostControls-1 {
			hosts = append(hosts, addr)
		}
	}
	own, others := v.ways.split(hosts)
	for _, addr := range own {
		_, _ = sweepTCP(ctx, manner{method: v.o.Method}, []netip.Addr{addr}, pickControls(), v.controls.take)
	}
	if err := v.askOthers(ctx, v.controlsOf(others)); err != nil {
		return fmt.Errorf("ask controls: %w", err)
	}
	for _, addr := range v.order {
		if v.echoes(addr) {
			v.host(addr).EverythingAnswers = true
		}
	}
	return nil
}

// askOthers asks controls, and recalls hosts that fell silent.
func (v *survey) askOthers(ctx context.Context, controls probeList) error {
	_, hosts := v.ways.split(v.order)
	recalled, here := v.recall(hosts), map[netip.Addr]bool{}
	list := slices.Concat(controls, recalled)
	if len(list) == 0 {
		return nil
	}
	err := v.sweepTCP(ctx, StageControls, list, list.hosts(), new(cursor), func(i uint64, p exposure.PortState) {
		if i < uint64(len(controls)) {
			v.controls.take(p)
		} else if answeredBy(p) {
			here[p.Addr] = true
		}
	})
	if err == nil && ctx.Err() == nil {
		v.missHosts(recalled, here)
	}
	return err
}

// echoes tells a host all of whose controls are open: a SYN proxy, a tarpit,
// a redirection of all ports.
func (v *survey) echoes(addr netip.Addr) bool {
	open, asked := v.controls.open(addr), v.controls.asked(addr)
	real := v.tcp.open(addr)
	chance := slices.ContainsFunc(open, func(p uint16) bool { return len(real) < 8 && slices.Contains(real, p) })
	return asked >= hostControls-1 && len(open) == asked && !chance
}

// takeTCP books an answer of the main sweep or of its controls.
func (v *survey) takeTCP(planned uint64) func(i uint64, p exposure.PortState) {
	return func(i uint64, p exposure.PortState) {
		if i < planned {
			v.tcp.take(p)
		} else {
			v.controls.take(p)
		}
	}
}
