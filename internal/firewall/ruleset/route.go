package ruleset

// deliver takes classes that passed prerouting to where routing leads them,
// and gives those that arrive: at a local socket, or at the host that a
// rewrite names.
func (w *walk) deliver(in []*class) []*class {
	var local, away []*class
	for _, c := range in {
		l, a := w.route(c)
		local, away = append(local, l...), append(away, a...)
	}
	local = w.hook(Input, local)
	away = w.hook(Postrouting, w.hook(Forward, w.leave(away)))
	return append(local, away...)
}

// route divides a class into what is for this host and what goes on to
// another; what the kernel refuses to route is dropped.
func (w *walk) route(c *class) (local, away []*class) {
	toLoopback, rest := In{Field: DAddr, Set: Union(loopback4, loopback6)}.split(w, c)
	for _, l := range toLoopback {
		local = append(local, w.martian(l)...)
	}
	for _, r := range rest {
		l, a := w.routeOn(r)
		local, away = append(local, l...), append(away, a...)
	}
	return local, away
}

// routeOn decides for addresses other than loopback.
func (w *walk) routeOn(c *class) (local, away []*class) {
	if c.target == nil || c.target.Kind == Divert || c.target.Kind == Redirect {
		return []*class{c}, nil
	}
	if ip, one := c.vals[DAddr].Only(); one {
		if r, known := w.host.Routes[ip.Addr()]; known && r.Local {
			return []*class{c}, nil
		}
	}
	if w.host.Own == nil {
		return w.fork(c, Atom{Key: "own " + DAddr.text(c.vals[DAddr]), Unknown: true,
			Why: "whether " + DAddr.text(c.vals[DAddr]) + " is an address of this host is not known"})
	}
	return In{Field: DAddr, Set: w.host.own}.split(w, c)
}

const refusedLoopback = "the kernel drops packets to a loopback address that arrive on another interface"

// martian lets a packet to a loopback address pass where route_localnet
// allows it (ip-sysctl); IPv6 has no such setting.
func (w *walk) martian(c *class) []*class {
	if !c.isIPv4() {
		return w.refuse(c, refusedLoopback)
	}
	if w.host.RouteLocalnet == nil {
		yes, no := w.fork(c, Atom{Key: "route_localnet", Unknown: true, Why: "the setting route_localnet is not known"})
		for _, n := range no {
			w.refuse(n, refusedLoopback)
		}
		return yes
	}
	return w.perInterface(c, w.host.RouteLocalnet, refusedLoopback+" (net.ipv4.conf.*.route_localnet is 0)")
}

// perInterface passes what arrives on interfaces with a setting and refuses
// the rest.
func (w *walk) perInterface(c *class, setting map[string]bool, why string) []*class {
	on, off := Set(nil), 0
	for name, yes := range setting {
		if yes {
			on = Union(on, Of(Name(name)))
		} else if !w.host.inner.Has(Name(name)) {
			off++
		}
	}
	switch {
	case len(on) == 0:
		return w.refuse(c, why)
	case off == 0:
		return []*class{c}
	}
	pass, stay := In{Field: IIf, Set: on}.split(w, c)
	for _, s := range stay {
		w.refuse(s, why)
	}
	return pass
}

// refuse drops a class for a reason outside the rules.
func (w *walk) refuse(c *class, why string) []*class {
	w.end(&w.dropped, mark{kind: markKernel, note: why}, []*class{c})
	return nil
}

// leave sends classes out of another interface, where forwarding is on and a
// route leads on.
func (w *walk) leave(in []*class) (out []*class) {
	for _, c := range in {
		for _, f := range w.forwarded(c) {
			out = append(out, w.outward(f)...)
		}
	}
	return out
}

func (w *walk) forwarded(c *class) []*class {
	const off = "IP forwarding is off"
	h := w.host
	known := h.Forwarding4 != nil
	if !c.isIPv4() {
		known = h.Forwarding6 != NotKnown
	}
	switch {
	case !known:
		yes, no := w.fork(c, Atom{Key: "forwarding", Unknown: true, Why: "whether IP forwarding is on is not known"})
		for _, n := range no {
			w.refuse(n, off)
		}
		return yes
	case c.isIPv4():
		return w.perInterface(c, h.Forwarding4, off+" (net.ipv4.ip_forward)")
	case h.Forwarding6 == Off:
		return w.refuse(c, off+" (net.ipv6.conf.all.forwarding)")
	}
	return []*class{c}
}

// outward sets the interface that the packet leaves by.
func (w *walk) outward(c *class) []*class {
	d := c.with(OIf, OIf.Except(Of(Value{}, Name("lo"))))
	d.vals[OIfGroup] = OIfGroup.Full()
	ip, one := c.vals[DAddr].Only()
	r, known := w.host.Routes[ip.Addr()]
	switch {
	case !one || !known:
		d.setOpaque(OIf, "the route to "+DAddr.text(c.vals[DAddr])+" is not known")
	case r.Unreachable:
		return w.refuse(c, "there is no route to "+ip.Addr().String())
	case r.Device != "":
		d.vals[OIf] = Of(Name(r.Device))
	}
	return []*class{d}
}
