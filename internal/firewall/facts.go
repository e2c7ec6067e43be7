package firewall

import (
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// facts asks the kernel what the rules rest on.
func (r *reading) facts() *ruleset.Host {
	h := &ruleset.Host{Routes: map[netip.Addr]ruleset.Route{}}
	if net, err := r.o.Kernel.Network(); err == nil {
		h.Inner, h.Interfaces, h.Own = net.Inner, net.Interfaces, []netip.Addr{}
		for _, name := range slices.Sorted(maps.Keys(net.Interfaces)) {
			for _, ip := range net.Interfaces[name] {
				if ip.Is6() && ip.IsLinkLocalUnicast() {
					ip = ip.WithZone(name) // it is reached on that interface only
				}
				h.Own = append(h.Own, ip)
			}
		}
	} else {
		r.gap("the addresses of this host could not be read: " + err.Error())
	}
	h.Forwarding4 = r.perInterface("forwarding")
	h.RouteLocalnet = r.routeLocalnet()
	switch r.setting("ipv6/conf/all/forwarding") {
	case "0":
		h.Forwarding6 = ruleset.Off
	case "1", "2":
		h.Forwarding6 = ruleset.On
	}
	r.routes(h)
	return h
}

func (r *reading) setting(name string) string {
	data, err := os.ReadFile(filepath.Join(r.o.Proc, "sys", "net", filepath.FromSlash(name)))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// perInterface reads an IPv4 setting of each interface but loopback; nil when
// it cannot be read.
func (r *reading) perInterface(name string) map[string]bool {
	entries, err := os.ReadDir(filepath.Join(r.o.Proc, "sys", "net", "ipv4", "conf"))
	if err != nil {
		return nil
	}
	out := map[string]bool{}
	for _, e := range entries {
		switch e.Name() {
		case "all", "default", "lo":
			continue
		}
		if v := r.setting("ipv4/conf/" + e.Name() + "/" + name); v != "" {
			out[e.Name()] = v != "0"
		}
	}
	return out
}

// routeLocalnet joins each interface's setting with that of all interfaces
// (IN_DEV_ORCONF, linux/inetdevice.h).
func (r *reading) routeLocalnet() map[string]bool {
	out := r.perInterface("route_localnet")
	if r.setting("ipv4/conf/all/route_localnet") == "1" {
		for name := range out {
			out[name] = true
		}
	}
	return out
}

// mostRoutes bounds how many targets of rewrites are looked up.
const mostRoutes = 1 << 14

// routes looks up where the targets of rewrites are.
func (r *reading) routes(h *ruleset.Host) {
	failed := false
	for _, ip := range r.rules.Targets(mostRoutes) {
		route, err := r.o.Kernel.Route(ip)
		if err != nil {
			failed = true
			continue
		}
		h.Routes[ip] = route
	}
	if failed {
		r.gap("the routes to some targets of DNAT rules could not be looked up")
	}
}
