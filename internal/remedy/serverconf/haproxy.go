package serverconf

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// readHAProxy reads the bind lines of haproxy.cfg and of the other files and
// folders that -f names (docs.haproxy.org, "bind").
func readHAProxy(v *view) (*setup, error) {
	names := v.haproxyFiles()
	if len(names) == 0 {
		name, err := v.first("/etc/haproxy/haproxy.cfg")
		if err != nil {
			return nil, err
		}
		names = []string{name}
	}
	set := &setup{check: []string{v.program(), "-c"}, restart: true}
	for _, n := range names {
		f, err := v.read(n)
		if err != nil {
			return nil, err
		}
		set.check = append(set.check, "-f", n)
		for i, e := range (syntax{comments: "#"}).scan(f) {
			if e.key == "bind" {
				set.places = append(set.places, v.haproxyBind(e, i)...)
			}
		}
	}
	return set, nil
}

func (v *view) haproxyFiles() (out []string) {
	for i, a := range v.argv {
		if a != "-f" && a != "--" || i == 0 {
			continue
		}
		for _, name := range v.argv[i+1:] {
			if strings.HasPrefix(name, "-") {
				break
			}
			name = v.abs(name)
			if info, err := v.root.Stat(name); err == nil && info.IsDir() {
				out = append(out, v.include(name, "*.cfg")...)
			} else {
				out = append(out, name)
			}
			if a == "-f" {
				break
			}
		}
	}
	return out
}

// haproxyBind reads "bind ADDRESS:PORT[,ADDRESS:PORT…] [options]". An address
// may have a family before it (ipv4@, ipv6@, quic4@, quic6@); without an
// address it is every IPv4 address.
func (v *view) haproxyBind(e entry, scope int) (out []place) {
	arg := e.val
	if i := strings.IndexAny(arg, " \t"); i >= 0 {
		arg = arg[:i]
	}
	options := strings.Fields(e.val[len(arg):])
	for _, t := range splitTokens(arg, e.from, ",") {
		p := listPlace(e, t, nil, ",")
		p.proto, p.scope, p.form = exposure.TCP, scope+1, portText
		host, text := cutPort(t.text)
		family, rest, marked := strings.Cut(host, "@")
		if marked {
			host = rest
		}
		if strings.HasPrefix(family, "quic") && marked {
			p.proto = exposure.UDP
		}
		if marked && (family == "unix" || family == "abns" || family == "fd" || family == "sockpair") || strings.HasPrefix(host, "/") {
			continue
		}
		if marked && strings.HasSuffix(family, "6") && (host == "" || host == "*") {
			host = "::"
		}
		p.binds, p.form = v.haproxyAddr(host, text, slices.Contains(options, "v4v6")), portText
		if marked {
			p.form = func(b netip.AddrPort) string { return haproxyFamily(family, b) + portText(b) }
		}
		if p.binds == nil {
			p.binds, p.form = v.suspect(text), nil
		}
		if slices.Contains(options, "v4v6") || slices.Contains(options, "v6only") {
			p.single = true
		}
		out = append(out, p)
	}
	return out
}

func haproxyFamily(family string, b netip.AddrPort) string {
	name := strings.TrimRight(family, "46")
	if b.Addr().Is4() {
		return name + "4@"
	}
	return name + "6@"
}

func (v *view) haproxyAddr(host, text string, both bool) []netip.AddrPort {
	port, ok := portNumber(text)
	if !ok {
		return nil
	}
	addrs := []netip.Addr{netip.IPv4Unspecified()}
	if host != "" && host != "*" {
		// "::" and ":::port" are IPv6's every address.
		if addrs, ok = hostAddrs(host); !ok {
			return nil
		}
	}
	if both && addrs[0] == netip.IPv6Unspecified() {
		addrs = anyAddrs()
	}
	return at(port, addrs...)
}

// suspect is what a name, a variable or a port range may bind: the socket
// itself, if its port fits. Such a place is never edited.
func (v *view) suspect(port string) []netip.AddrPort {
	low, high, isRange := strings.Cut(port, "-")
	a, okA := portNumber(low)
	b, okB := portNumber(high)
	switch {
	case !okA, isRange && !okB, !isRange && a == v.s.Port, isRange && a <= v.s.Port && v.s.Port <= b:
		return at(v.s.Port, v.s.Addr.IP)
	}
	return nil
}
