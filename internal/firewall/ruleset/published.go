package ruleset

import "net/netip"

// Publication is a range of ports of this host that a rule sends elsewhere.
type Publication struct {
	Proto uint8
	IPv4  bool
	// Addrs are the addresses of this host that the rule holds for, 127.0.0.1
	// among them; Every is set when that is all of them.
	Addrs Set
	Every bool
	First uint16
	Last  uint16
	To    *Rewrite
	// Local: the host's own connections meet such a rule as well. OnlyLocal:
	// nobody else's do.
	Local, OnlyLocal bool
}

// portProtocols are the transports with ports that rules tell apart.
var portProtocols = []uint8{protoTCP, protoUDP, protoSCTP, protoDCCP, protoUDPLite}

// Published lists the ports that rules send elsewhere, found by walking the
// hooks with every port open. complete is false when the rules divide packets
// in more ways than are followed.
func (s *RuleSet) Published(h *Host) (out []Publication, complete bool) {
	complete = true
	if !s.rewrites() {
		return nil, true
	}
	k := *h
	k.prepare()
	for _, v4 := range []bool{true, false} {
		for _, proto := range portProtocols {
			in, ok := s.rewritten(&k, proto, v4, []Hook{Ingress, Prerouting})
			own, ok2 := s.rewritten(&k, proto, v4, []Hook{Output})
			out = append(out, joinLocal(in, own)...)
			complete = complete && ok && ok2
		}
	}
	return out, complete
}

func (s *RuleSet) rewrites() bool {
	for _, ch := range s.Chains {
		for _, r := range ch.Rules {
			for _, step := range r.Steps {
				if t, ok := step.(Translate); ok && t.Kind != SourceNAT {
					return true
				}
			}
		}
	}
	return false
}

// rewritten walks hooks with packets to every port of this host, and notes
// which a rule rewrites.
func (s *RuleSet) rewritten(h *Host, proto uint8, v4 bool, hooks []Hook) (out []Publication, complete bool) {
	w := &walk{set: s, host: h}
	c := h.toEveryPort(proto, v4)
	every := c.vals[DAddr]
	seen := map[string]bool{}
	w.onRewrite = func(c *class) {
		for _, iv := range c.vals[DPort] {
			p := Publication{Proto: proto, IPv4: v4, Addrs: c.vals[DAddr], Every: c.vals[DAddr].Equal(every),
				First: uint16(iv.Lo.Lo), Last: uint16(iv.Hi.Lo), To: c.target}
			if key := p.key(); !seen[key] {
				seen[key] = true
				out = append(out, p)
			}
		}
	}
	live := []*class{c}
	for _, hook := range hooks {
		if hook == Output {
			live = fromHere(h, live)
		}
		live = w.hook(hook, live)
	}
	return out, !w.tooMuch
}

func (p Publication) key() string {
	return itoa(int(p.First)) + "-" + itoa(int(p.Last)) + " " + DAddr.text(p.Addrs) + " " + p.To.key() + p.To.Describe()
}

func (r *Rewrite) key() string {
	return itoa(int(r.Kind)) + " " + DAddr.text(r.Addrs) + " " + DPort.text(r.Ports) + " "
}

// toEveryPort is a stranger's packet to any port of any address of this host.
func (h *Host) toEveryPort(proto uint8, v4 bool) *class {
	some := allIPv6[0].Lo.Addr()
	if v4 {
		some = allIPv4[0].Lo.Addr()
	}
	c := h.stranger(Query{Proto: proto, Addr: some})
	c.vals[DPort] = Range(Number(1), Number(65535))
	c.vals[DAddr] = h.arrival(v4)
	if len(c.vals[DAddr]) == 0 {
		c.vals[DAddr] = familySet(c).Minus(loopback4).Minus(loopback6)
	}
	if v4 { // a rewrite comes before the kernel looks for loopback addresses
		c.vals[DAddr] = Union(c.vals[DAddr], Of(Address(netip.AddrFrom4([4]byte{127, 0, 0, 1}))))
	}
	c.vals[PktType], c.vals[FibDAddr] = Numbers(pktHost), Numbers(RouteLocal)
	return c
}

// fromHere turns a stranger's packets into those of the host's own
// connections to itself.
func fromHere(h *Host, in []*class) []*class {
	out := startTracking(in)
	for _, c := range out {
		family := familySet(c)
		c.vals[SAddr] = family
		c.vals[IIf], c.vals[OIf] = Of(Value{}), OIf.Full()
		c.vals[FibSAddr] = Numbers(RouteLocal)
		c.vals[IIfGroup], c.vals[OIfGroup] = nil, OIfGroup.Full()
	}
	return out
}

// joinLocal notes which publications the host's own connections meet too, and
// adds those that only they meet.
func joinLocal(in, own []Publication) []Publication {
	met := make([]bool, len(own))
	for i := range in {
		for j, o := range own {
			if in[i].First <= o.Last && o.First <= in[i].Last && in[i].To.key() == o.To.key() {
				in[i].Local, met[j] = true, true
			}
		}
	}
	for j, o := range own {
		if !met[j] {
			o.Local, o.OnlyLocal = true, true
			in = append(in, o)
		}
	}
	return in
}
