package ruleset

// translate rewrites destinations; fail are the classes that the step does
// not apply to. on stays in the rule.
func (w *walk) translate(at place, s Translate, in []*class) (on, fail []*class) {
	for _, c := range redraw(s.Fields, in) {
		if !s.appliesTo(c) {
			fail = append(fail, c)
			continue
		}
		done, miss := w.rewrite(at, s, c)
		fail = append(fail, miss...)
		if s.Continues {
			on = append(on, done...)
			continue
		}
		w.accepted = append(w.accepted, done...)
	}
	return on, fail
}

func (s Translate) appliesTo(c *class) bool {
	switch {
	case s.Families == 0:
		return true
	case c.isIPv4():
		return s.Families&IPv4 != 0
	}
	return s.Families&IPv6 != 0
}

func (c *class) isIPv4() bool { return c.vals[NFProto].Has(Number(FamilyIPv4)) }

// rewrite gives the classes that were rewritten and those that no row of the
// map fits.
func (w *walk) rewrite(at place, s Translate, c *class) (done, miss []*class) {
	if s.Kind == SourceNAT {
		return []*class{c}, nil
	}
	if s.Rows == nil {
		return w.aim(at, s, s.To, c), nil
	}
	rest := []*class{c}
	for _, row := range s.Rows {
		w.steps++
		if !meetsAny(s.Fields, row.Sets, rest) {
			continue
		}
		var hit []*class
		hit, rest = splitEach(w, rowExpr(s.Fields, row.Sets), rest)
		for _, h := range hit {
			done = append(done, w.aim(at, s, []Target{row.Target}, h)...)
		}
	}
	return done, rest
}

// aim gives the class its new destination.
func (w *walk) aim(at place, s Translate, to []Target, c *class) []*class {
	d := c.mark(at.mark(markRewrite, ""))
	addrs, ports := targetSets(to, c)
	d.target = &Rewrite{Kind: s.Kind, Addrs: addrs, Ports: ports, Rule: at.rule, Chain: at.chain}
	if w.onRewrite != nil {
		w.onRewrite(d)
	}
	if s.Kind == Divert {
		return []*class{d}
	}
	d.rewritten = true
	out := w.newAddress(d, s, addrs)
	for _, n := range out {
		if len(ports) > 0 && len(n.vals[DPort]) > 0 {
			n.vals[DPort] = ports
		}
		if len(n.vals[CtStatus]) > 0 {
			n.vals[CtStatus] = rewriteStatus(c, n)
		}
	}
	return out
}

func (w *walk) newAddress(d *class, s Translate, addrs Set) []*class {
	switch {
	case s.Unknown != "":
		d.vals[DAddr] = familySet(d)
		d.setOpaque(DAddr, s.Unknown)
		d.setOpaque(DPort, s.Unknown)
		d.vals[DPort] = DPort.Full()
	case s.Kind == Redirect:
		d.vals[FibDAddr] = Numbers(RouteLocal)
		return w.host.redirected(w, d)
	case len(addrs) > 0:
		d.vals[DAddr] = addrs
		d.vals[FibDAddr] = w.host.addressType(addrs)
	}
	return []*class{d}
}

func familySet(c *class) Set {
	if c.isIPv4() {
		return allIPv4
	}
	return allIPv6
}

// targetSets joins the targets' addresses and ports for the class's packets.
func targetSets(to []Target, c *class) (addrs, ports Set) {
	for _, t := range to {
		addrs = Union(addrs, t.addresses(c))
		ports = Union(ports, t.ports(c))
	}
	return addrs, ports
}

// addresses replaces the prefix of the packet's address (Netmap) or gives the
// target's own.
func (t Target) addresses(c *class) Set {
	if t.Prefix == 0 || len(t.Addrs) == 0 {
		return t.Addrs
	}
	host := lowBits(128 - t.Prefix)
	var out []Value
	if c.vals[DAddr].each(4096, func(v Value) { out = append(out, v.And(host).Or(t.Addrs[0].Lo.And(host.Not()))) }) {
		return Of(out...)
	}
	return t.Addrs
}

// ports shifts the packet's port by the distance from FirstPort, or gives the
// target's own.
func (t Target) ports(c *class) Set {
	port, one := c.vals[DPort].Only()
	if t.FirstPort == 0 || len(t.Ports) == 0 || !one {
		return t.Ports
	}
	size := t.Ports[0].Hi.Lo - t.Ports[0].Lo.Lo + 1
	off := (port.Lo - uint64(t.FirstPort)) % size
	return Numbers(t.Ports[0].Lo.Lo + off)
}

// rewriteStatus sets the dnat bit where the rewrite changes something
// (nf_nat_setup_info).
func rewriteStatus(before, after *class) Set {
	same := before.vals[DAddr].Equal(after.vals[DAddr]) && before.vals[DPort].Equal(after.vals[DPort])
	_, oneA := after.vals[DAddr].Only()
	_, oneP := after.vals[DPort].Only()
	switch {
	case same && oneA && (oneP || len(after.vals[DPort]) == 0):
		return before.vals[CtStatus]
	case before.vals[DAddr].Meets(after.vals[DAddr]) && before.vals[DPort].Meets(after.vals[DPort]):
		return Union(before.vals[CtStatus], Numbers(StatusDNAT))
	}
	return Numbers(StatusDNAT)
}

// addressType is the route type of addresses, as far as it is known.
func (h *Host) addressType(addrs Set) Set {
	local := h.own.And(addrs)
	loop := Union(loopback4, loopback6).And(addrs)
	mine := Union(local, loop)
	switch {
	case mine.Equal(addrs):
		return Numbers(RouteLocal)
	case len(mine) == 0:
		if ip, one := addrs.Only(); one && h.Routes[ip.Addr()].Local {
			return Numbers(RouteLocal)
		}
		return Numbers(RouteUnicast)
	}
	return Numbers(RouteUnicast, RouteLocal)
}
