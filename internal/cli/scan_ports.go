package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/portreeve/portreeve/internal/scan/pace"
	"github.com/portreeve/portreeve/internal/scan/target"
)

// wideTargets is up to how many addresses every TCP port is asked by default.
const wideTargets = 8

// choosePorts reads -p, --tcp and --udp.
func (f *scanFlags) choosePorts(r *scanRequest) error {
	tcp := f.tcp || !f.udp
	if f.ports == "" {
		r.usualPorts(tcp, f.udp)
		return nil
	}
	p, err := target.ParsePorts(f.ports, portsByName)
	if err != nil {
		return usage("write ports as 22,80,1000-2000 or all", "%w", err)
	}
	if p.Said {
		r.TCP, r.UDP = p.TCP.List(), p.UDP.List()
		return nil
	}
	if tcp {
		r.TCP = p.TCP.List()
	}
	if f.udp {
		r.UDP = p.UDP.List()
	}
	return nil
}

// usualPorts are asked where none were named: of few hosts all of TCP, else
// those that the knowledge base has something to say of.
func (r *scanRequest) usualPorts(tcp, udp bool) {
	if tcp {
		if r.targets.Len() <= wideTargets {
			r.TCP = target.PortList{{First: 1, Last: 65535}}.List()
		} else {
			r.TCP = advisedPorts(exposure.TCP, 1024)
			r.notes = append(r.notes, fmt.Sprintf("asking the %d best-known TCP ports of each host; -p all asks every one", len(r.TCP)))
		}
	}
	if udp {
		r.UDP = advisedPorts(exposure.UDP, 0)
		r.notes = append(r.notes, fmt.Sprintf("asking the %d best-known UDP ports of each host; -p names others", len(r.UDP)))
	}
}

// advisedPorts are the ports up to low and those that have advice.
func advisedPorts(proto exposure.Proto, low int) []uint16 {
	book, set := openBook(), map[uint16]bool{}
	for p := 1; p <= low; p++ {
		set[uint16(p)] = true
	}
	for _, a := range book.All() {
		for _, r := range a.Ports {
			if r.Proto == proto && int(r.Last)-int(r.First) <= 16 {
				for p := int(r.First); p <= int(r.Last); p++ {
					set[uint16(p)] = true
				}
			}
		}
	}
	var out []uint16
	for p := range set {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

func openBook() *knowledge.Book { return knowledge.Open() }

// portsByName looks a service name up in the registry.
func portsByName(name string) []target.PortRef {
	var out []target.PortRef
	for _, e := range openBook().ByName(name) {
		out = append(out, target.PortRef{Proto: e.Proto, Port: e.Port})
	}
	return out
}

// publicRate is the most that public targets are asked a second where nobody
// said otherwise: the path there is shared.
const publicRate = 5000

func (f *scanFlags) pace(r *scanRequest) (pace.Options, error) {
	o := pace.Options{MaxRate: r.MaxRate, HalfOpen: r.HalfOpen}
	if !(r.MaxRate >= 0 && r.MaxRate <= 1e8) || r.HalfOpen < 0 {
		return o, usage("give a positive number", "--max-rate and --max-half-open are counts")
	}
	if r.Rate != scan.Auto && r.Rate != "" {
		n, err := strconv.ParseFloat(r.Rate, 64)
		if err != nil || !(n > 0) || n > 1e8 {
			return o, usage("write --rate auto, or a number of probes a second", "--rate %q is no rate", r.Rate)
		}
		o.Rate = n
		return o, nil
	}
	if o.MaxRate == 0 && r.public() {
		o.MaxRate = publicRate
	}
	return o, nil
}

// public tells whether any target is an address of the public network.
func (r *scanRequest) public() bool {
	for g := range r.targets.Ranges() {
		for _, a := range []netip.Addr{g.First, g.Last} {
			if exposure.ScopeOf(a) == exposure.ScopePublic {
				return true
			}
		}
	}
	return false
}

func parseFrom(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, usage("write an address of this host", "--from-addr %q is no address", text)
	}
	return a, nil
}
