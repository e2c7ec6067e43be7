package serverconf

import (
	"net/netip"
	"slices"
	"strings"
)

// readDnsmasq reads dnsmasq.conf (dnsmasq(8)). Where nothing says otherwise
// dnsmasq listens on every address with one socket for each family;
// listen-address with bind-interfaces makes it bind only those named. The
// wildcard sockets go only where bind-interfaces is set.
func readDnsmasq(v *view) (*setup, error) {
	conf, ok := v.option("-C", "--conf-file")
	if !ok {
		conf = "/etc/dnsmasq.conf"
	}
	main, err := v.read(v.abs(conf))
	if err != nil {
		return nil, err
	}
	all, err := v.dnsmasqEntries(main, 0)
	if err != nil {
		return nil, err
	}
	if dir, ok := v.option("-7", "--conf-dir"); ok {
		more, err := v.dnsmasqDir(dir, 0)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	all = append(all, v.dnsmasqArguments()...)
	set := &setup{check: []string{v.program(), "--test", "-C", main.path}, restart: true}
	set.notes = []string{"DHCP and TFTP, where it serves them, keep their own sockets"}
	set.places, err = v.dnsmasqPlaces(main, all)
	return set, err
}

func dnsmasqSyntax() syntax { return syntax{comments: "#", inline: true, equals: true} }

func (v *view) dnsmasqEntries(f *file, depth int) (out []entry, err error) {
	if depth > mostDepth {
		return nil, v.tooDeep(f.path)
	}
	for _, e := range dnsmasqSyntax().scan(f) {
		switch e.key {
		case "conf-file":
			sub, err := v.read(v.abs(e.val))
			if err != nil {
				return nil, err
			}
			more, err := v.dnsmasqEntries(sub, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		case "conf-dir":
			more, err := v.dnsmasqDir(e.val, depth)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		default:
			out = append(out, e)
		}
		if len(out) > 1<<16 {
			return nil, v.tooDeep(f.path)
		}
	}
	return out, nil
}

// dnsmasqDir reads "FOLDER[,.suffix-left-out…][,*.suffix-taken…]".
func (v *view) dnsmasqDir(spec string, depth int) (out []entry, err error) {
	parts := strings.Split(spec, ",")
	for _, name := range v.include(v.abs(parts[0]), "*") {
		if !dnsmasqTakes(name, parts[1:]) {
			continue
		}
		f, err := v.read(name)
		if err != nil {
			return nil, err
		}
		more, err := v.dnsmasqEntries(f, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func dnsmasqTakes(name string, filters []string) bool {
	if strings.HasSuffix(name, "~") || strings.HasSuffix(name, "#") {
		return false
	}
	only, taken := false, false
	for _, f := range filters {
		if suffix, isOnly := strings.CutPrefix(f, "*"); isOnly {
			only = true
			taken = taken || strings.HasSuffix(name, suffix)
		} else if f != "" && strings.HasSuffix(name, f) {
			return false
		}
	}
	return !only || taken
}

// dnsmasqArguments makes entries of the command line's long options; they
// belong to no file.
func (v *view) dnsmasqArguments() (out []entry) {
	short := map[string]string{"-a": "listen-address", "-i": "interface", "-p": "port", "-z": "bind-interfaces", "-I": "except-interface"}
	for i, a := range v.argv {
		if i == 0 {
			continue
		}
		if key := short[a]; key != "" {
			out = append(out, entry{key: key, val: v.argv[min(i+1, len(v.argv)-1)]})
		} else if long, ok := strings.CutPrefix(a, "--"); ok {
			key, val, _ := strings.Cut(long, "=")
			out = append(out, entry{key: key, val: val})
		}
	}
	return out
}

func (v *view) dnsmasqPlaces(main *file, all []entry) ([]place, error) {
	port := uint16(53)
	for _, e := range all {
		switch e.key {
		case "port":
			port, _ = portNumber(e.val)
		case "interface", "bind-dynamic", "except-interface", "auth-server":
			return nil, v.decline("%s decides which addresses it binds", e.key)
		case "listen-address":
			if e.f == nil {
				return nil, v.decline("its command line says --listen-address=%s", e.val)
			}
		}
	}
	isBound := slices.ContainsFunc(all, func(e entry) bool { return e.key == "bind-interfaces" })
	var out []place
	for _, e := range all {
		if e.key == "listen-address" {
			more, err := v.dnsmasqListen(e, port)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	switch {
	case len(out) == 0:
		return []place{v.dnsmasqAbsent(main, port, isBound)}, nil
	case !isBound:
		return nil, v.decline("listen-address without bind-interfaces binds every address; bind-interfaces must be added, and which of its addresses are to stay is for a person to say")
	}
	return out, nil
}

func (v *view) dnsmasqListen(e entry, port uint16) (out []place, err error) {
	for _, t := range e.tokens(", \t") {
		addrs, ok := hostAddrs(t.text)
		if !ok {
			return nil, v.decline("listen-address %s names no address", t.text)
		}
		out = append(out, listPlace(e, t, at(port, addrs...), ","))
	}
	return out, nil
}

// dnsmasqAbsent: both lines are needed, and both families are named, since a
// wildcard cannot be.
func (v *view) dnsmasqAbsent(main *file, port uint16, isBound bool) place {
	p := insertLine(main, len(main.data), "listen-address=", ",")
	if !isBound {
		p.before = strings.Replace(p.before, "listen-address=", "bind-interfaces"+main.newline()+"listen-address=", 1)
	}
	p.binds = at(port, anyAddrs()...)
	p.form = func(b netip.AddrPort) string { return addrText(b) }
	return p
}
