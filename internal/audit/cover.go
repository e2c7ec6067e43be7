package audit

import (
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
)

// reaches reports whether a socket bound to bind (dual: IPv4 too) accepts
// packets sent to dst.
func reaches(bind netip.Addr, dual bool, dst netip.Addr) bool {
	if !bind.IsValid() || !dst.IsValid() {
		return false
	}
	v4 := dst.Unmap().Is4()
	switch {
	case bind == netip.IPv6Unspecified():
		return !v4 || dual
	case bind.IsUnspecified(): // 0.0.0.0
		return v4
	case bind.Is4In6() && bind.Unmap().IsUnspecified(): // ::ffff:0.0.0.0
		return v4
	}
	return bind.Unmap().WithZone("") == dst.Unmap().WithZone("") && zonesAgree(bind, dst)
}

func zonesAgree(a, b netip.Addr) bool {
	return a.Zone() == "" || b.Zone() == "" || a.Zone() == b.Zone()
}

// covers reports whether the listener s takes what is sent to proto dst:port.
func covers(s *exposure.Socket, proto exposure.Proto, dst netip.Addr, port uint16) bool {
	return s.IsListener() && s.Proto == proto && s.Port == port && reaches(s.Addr.IP, s.DualStack, dst)
}

// listenerAt finds a listener of one namespace that takes dst:port.
func listenerAt(socks []exposure.Socket, netns string, proto exposure.Proto, dst netip.Addr, port uint16) *exposure.Socket {
	for i := range socks {
		s := &socks[i]
		if s.NetNS.ID == netns && covers(s, proto, dst, port) {
			return s
		}
	}
	return nil
}

// seenAt reports whether a listener met during the re-check takes the port.
// The re-check keeps endpoints only, so an IPv6 wildcard counts for both
// families: a race must never become an alarm.
func seenAt(seen []exposure.Endpoint, proto exposure.Proto, dst netip.Addr, port uint16) bool {
	for _, e := range seen {
		if e.Proto == proto && e.Port == port && reaches(e.Addr.IP, true, dst) {
			return true
		}
	}
	return false
}

// Suspects are the ports that answered the self-scan though neither snapshot
// has a listener for them. They are asked again before anything is said.
func Suspects(in *Input) []exposure.Endpoint {
	if in.Scan == nil {
		return nil
	}
	var out []exposure.Endpoint
	for _, h := range in.Scan.Hosts {
		if h.EverythingAnswers {
			continue
		}
		for _, p := range h.Ports {
			if p.State == exposure.Open && p.Proto == exposure.TCP && !in.listens(p.Proto, h.Addr, p.Port) && !in.metLocally(p.Proto, h.Addr, p.Port) {
				out = append(out, exposure.Endpoint{Proto: p.Proto, Addr: exposure.IPAddress(h.Addr), Port: p.Port})
			}
		}
	}
	return out
}

// metLocally reports a port that a rule sends elsewhere for this host's own
// packets too: the rule explains the answer.
func (in *Input) metLocally(proto exposure.Proto, dst netip.Addr, port uint16) bool {
	pub := in.publishes(proto, dst, port)
	return pub != nil && pub.Local
}

// listens reports a listener in either snapshot or during the re-check.
func (in *Input) listens(proto exposure.Proto, dst netip.Addr, port uint16) bool {
	return listenerAt(in.After.Sockets, in.Self.ID, proto, dst, port) != nil ||
		listenerAt(in.Before.Sockets, in.Self.ID, proto, dst, port) != nil ||
		seenAt(in.Seen, proto, dst, port)
}

// isOwn reports whether ip is an address of the audited namespace.
func (in *Input) isOwn(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.IsLoopback() {
		return true
	}
	for _, a := range in.Addrs {
		if a.IP.Unmap().WithZone("") == ip.WithZone("") && zonesAgree(a.IP, ip) {
			return true
		}
	}
	return false
}

// Takes reports whether a listener receives what is sent to dst on its port.
func Takes(s *exposure.Socket, dst netip.Addr) bool { return reaches(s.Addr.IP, s.DualStack, dst) }
