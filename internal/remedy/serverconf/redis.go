package serverconf

import (
	"net/netip"
	"path"
	"strings"
)

func redisSyntax() syntax { return syntax{comments: "#", fold: true} }

// readRedis reads redis.conf (redis, valkey, keydb; redis.io/docs, "Redis
// configuration file example"): settings are taken in order, includes where
// they stand, and the last bind and port hold.
func readRedis(v *view) (*setup, error) {
	main, err := v.redisConf()
	if err != nil {
		return nil, err
	}
	all, err := v.redisEntries(main, 0)
	if err != nil {
		return nil, err
	}
	if _, set := v.option("--bind"); set {
		return nil, v.decline("its command line says --bind")
	}
	ports, err := v.redisPorts(all)
	if err != nil {
		return nil, err
	}
	set := &setup{restart: true}
	if p, ok := last(all, "protected-mode"); !ok || p.val != "no" {
		set.notes = append(set.notes, "protected-mode is on: without a password it refused clients from elsewhere already")
	}
	if e, ok := last(all, "bind"); ok {
		set.places, err = v.redisBind(e, ports)
		return set, err
	}
	set.places = []place{v.redisAbsent(main, all, ports)}
	return set, nil
}

// redisConf finds the file. A process that shows only its title is believed
// to use a default file, or one of its working folder, where that file's
// pidfile names the process.
func (v *view) redisConf() (*file, error) {
	if len(v.argv) > 1 && !v.hidden && !strings.HasPrefix(v.argv[1], "-") && v.argv[1] != "" {
		return v.read(v.abs(v.argv[1]))
	}
	if !v.hidden {
		return nil, v.decline("it was started without a configuration file")
	}
	names := []string{"/etc/redis/redis.conf", "/etc/redis.conf", "/etc/valkey/valkey.conf", "/etc/valkey.conf", "/etc/keydb/keydb.conf"}
	if v.cwd != "" {
		names = append(names, v.include(v.cwd, "*.conf")...)
	}
	for _, name := range names {
		if !v.exists(name) {
			v.look(name)
			continue
		}
		f, err := v.read(name)
		if err != nil {
			return nil, err
		}
		if pid, ok := last(redisSyntax().scan(f), "pidfile"); ok && v.pidFile(pid.val) {
			return f, nil
		}
	}
	return nil, v.decline("it shows a title instead of its command line, no unit tells which file it reads, and no default file's pidfile names process %d", v.proc.PID)
}

func (v *view) redisEntries(f *file, depth int) ([]entry, error) {
	if depth > mostDepth {
		return nil, v.tooDeep(f.path)
	}
	var out []entry
	for _, e := range redisSyntax().scan(f) {
		if e.key != "include" {
			out = append(out, e)
			continue
		}
		pattern, _ := unquote(e.val)
		for _, name := range v.include(path.Join("/", v.cwd), pattern) {
			sub, err := v.read(name)
			if err != nil {
				return nil, err
			}
			more, err := v.redisEntries(sub, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		if len(out) > mostBytes/64 {
			return nil, v.tooDeep(f.path)
		}
	}
	return out, nil
}

// redisPorts are the ports that bind holds for: port, tls-port and the
// cluster bus (port + 10000).
func (v *view) redisPorts(all []entry) (ports []uint16, err error) {
	port := uint16(6379)
	if path.Base(v.program()) == "redis-sentinel" {
		port = 26379
	}
	if e, ok := last(all, "port"); ok {
		if port, ok = portNumber(e.val); !ok {
			return nil, v.decline("its port %q is no number", e.val)
		}
	}
	if text, ok := v.option("--port"); ok {
		if port, ok = portNumber(text); !ok {
			return nil, v.decline("its command line's port %q is no number", text)
		}
	}
	ports = []uint16{port}
	if e, ok := last(all, "tls-port"); ok {
		if n, ok := portNumber(e.val); ok && n != 0 {
			ports = append(ports, n)
		}
	}
	if e, ok := last(all, "cluster-enabled"); ok && e.val == "yes" {
		if b, ok := last(all, "cluster-port"); ok && b.val != "0" {
			n, _ := portNumber(b.val)
			return append(ports, n), nil
		}
		if port < 55536 {
			ports = append(ports, port+10000)
		}
	}
	return ports, nil
}

// redisBind reads "bind 127.0.0.1 -::1 * -::*"; "-" means that failure is no
// error.
func (v *view) redisBind(e entry, ports []uint16) (out []place, err error) {
	for _, t := range e.tokens(" \t\"") {
		name := strings.TrimPrefix(t.text, "-")
		minus := t.text[:len(t.text)-len(name)]
		addrs, ok := hostAddrs(name)
		switch name {
		case "*":
			addrs, ok = []netip.Addr{netip.IPv4Unspecified()}, true
		case "::*":
			addrs, ok = []netip.Addr{netip.IPv6Unspecified()}, true
		}
		if !ok {
			return nil, v.decline("bind names %q, which is no address", t.text)
		}
		p := listPlace(e, t, atPorts(ports, addrs), " ")
		p.portless = true
		p.form = func(b netip.AddrPort) string { return minus + addrText(b) }
		out = append(out, p)
	}
	return out, nil
}

func (v *view) redisAbsent(f *file, all []entry, ports []uint16) place {
	p := insertLine(f, len(f.data), "bind ", " ")
	if e, ok := last(all, "port"); ok && e.f == f {
		p = insertLine(f, e.lineFrom, "bind ", " ")
	}
	p.binds, p.portless = atPorts(ports, anyAddrs()), true
	p.form = func(b netip.AddrPort) string {
		switch {
		case !b.Addr().IsUnspecified():
			return addrText(b)
		case b.Addr().Is4():
			return "*"
		}
		return "-::*"
	}
	return p
}
