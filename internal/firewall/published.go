package firewall

import (
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Published lists the ports of this host that DNAT, redirect or tproxy rules
// send elsewhere, whether anything listens or not. Addr is invalid when a
// rule holds for every address of the host, and unspecified (0.0.0.0, ::)
// when it holds for every address of one family.
func (w *Wall) Published() []exposure.PublishedPort {
	list, _ := w.rules.Published(w.host)
	var out []exposure.PublishedPort
	for _, p := range list {
		to := translation(p.To)
		for _, addr := range addresses(p.Addrs, p.Every, p.IPv4) {
			out = append(out, exposure.PublishedPort{Proto: exposure.ProtoByNumber(p.Proto), Addr: addr, First: p.First, Last: p.Last,
				Target: to, Local: p.Local, OnlyLocal: p.OnlyLocal, Rule: to.Rule})
		}
	}
	return bothFamilies(out, func(p exposure.PublishedPort, addr netip.Addr) exposure.PublishedPort {
		p.Addr = addr
		return p
	}, func(p exposure.PublishedPort) netip.Addr { return p.Addr })
}

// PermitRules lists the rules of the input hook that accept strangers' new
// packets to named destination ports. Addr is as Published has it.
func (w *Wall) PermitRules() []exposure.PermitRule {
	var out []exposure.PermitRule
	for _, a := range w.rules.Accepts(w.host) {
		for _, addr := range addresses(a.Addrs, a.Every, a.IPv4) {
			out = append(out, exposure.PermitRule{Proto: exposure.ProtoByNumber(a.Proto), Addr: addr, First: a.First, Last: a.Last, Rule: a.Rule})
		}
	}
	return bothFamilies(out, func(p exposure.PermitRule, addr netip.Addr) exposure.PermitRule {
		p.Addr = addr
		return p
	}, func(p exposure.PermitRule) netip.Addr { return p.Addr })
}

// mostAddresses bounds how many single addresses of a rule are listed; beyond
// that it counts as one for the family.
const mostAddresses = 64

// addresses lists a set, or the unspecified address for all of a family.
func addresses(s ruleset.Set, every, v4 bool) []netip.Addr {
	all := []netip.Addr{netip.IPv6Unspecified()}
	if v4 {
		all = []netip.Addr{netip.IPv4Unspecified()}
	}
	if every {
		return all
	}
	list, ok := s.Addrs(mostAddresses)
	if !ok {
		return all
	}
	return list
}

// bothFamilies makes one entry of two that differ only in the family that
// they hold for.
func bothFamilies[T comparable](in []T, with func(T, netip.Addr) T, addr func(T) netip.Addr) []T {
	index := map[T]int{}
	var out []T
	for _, e := range in {
		if a := addr(e); a.IsUnspecified() {
			key := with(e, netip.Addr{})
			if i, ok := index[key]; ok {
				out[i] = key
				continue
			}
			index[key] = len(out)
		}
		out = append(out, e)
	}
	return out
}
