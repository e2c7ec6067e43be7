package serverconf

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// readUnbound reads unbound.conf(5): each "interface: ADDRESS[@PORT]" of the
// server clauses; without one it binds loopback.
func readUnbound(v *view) (*setup, error) {
	main, all, err := v.flat(flatFile{
		flags: []string{"-c"}, places: []string{"/etc/unbound/unbound.conf", "/usr/local/etc/unbound/unbound.conf"},
		syn: syntax{comments: "#", inline: true, colon: true}, include: []string{"include", "include-toplevel"},
	})
	if err != nil {
		return nil, err
	}
	port, err := v.portOf(all, "port", 53)
	if err != nil {
		return nil, err
	}
	set := &setup{check: []string{"unbound-checkconf", main.path}, restart: true}
	if isYes(all, "interface-automatic") {
		return nil, v.decline("interface-automatic makes it bind every address")
	}
	for _, e := range all {
		if e.key != "interface" && e.key != "ip-address" {
			continue
		}
		p, err := v.unboundLine(e, port)
		if err != nil {
			return nil, err
		}
		set.places = append(set.places, p)
	}
	if set.places == nil {
		set.places = []place{loopbackDefault(main, "interface", port)}
	}
	return set, nil
}

func (v *view) unboundLine(e entry, port uint16) (place, error) {
	text, front := unquote(e.val)
	host, own, has := strings.Cut(text, "@")
	if has {
		var ok bool
		if port, ok = portNumber(own); !ok {
			return place{}, v.decline("interface %q of %s has no port number", e.val, e.f.path)
		}
	}
	from := e.from + front
	addrs, ok := hostAddrs(host)
	p := linePlace(e.f, e.lineFrom, e.lineTo, from, from+len(host), at(port, addrs...))
	if !ok { // the name of an interface: any of its addresses
		p.binds, p.form = at(port, v.s.Addr.IP), nil
		return p, nil
	}
	return p.reform(addrText, from, from+len(host)), nil
}

// readSquid reads http_port and https_port (squid-cache.org, "http_port"): a
// port alone is one socket for both families.
func readSquid(v *view) (*setup, error) {
	main, all, err := v.flat(flatFile{
		flags: []string{"-f"}, places: []string{"/etc/squid/squid.conf", "/etc/squid.conf"}, syn: syntax{comments: "#", inline: true}, include: []string{"include"},
	})
	if err != nil {
		return nil, err
	}
	set := &setup{check: []string{v.program(), "-k", "parse", "-f", main.path}, restart: true, notes: []string{"clients that use this proxy lose it"}}
	for _, e := range all {
		if e.key == "http_port" || e.key == "https_port" {
			p, err := v.socketLine(e, firstWord(e), v.oneSocket(), 0)
			if err != nil {
				return nil, err
			}
			p.proto = exposure.TCP
			set.places = append(set.places, p)
		}
	}
	return set, nil
}

// oneSocket is what a wildcard is for servers that make one socket: both
// families where the host has IPv6, else IPv4.
func (v *view) oneSocket() []netip.Addr {
	if v.s.Addr.IP.Is4() && v.s.Addr.IP.IsUnspecified() {
		return anyAddrs()[:1]
	}
	return anyAddrs()
}

// readCups reads cupsd.conf(5): "Listen ADDRESS:PORT" and "Port N".
func readCups(v *view) (*setup, error) {
	main, all, err := v.flat(flatFile{flags: []string{"-c"}, places: []string{"/etc/cups/cupsd.conf"}, syn: syntax{comments: "#", fold: true}})
	if err != nil {
		return nil, err
	}
	set := &setup{check: []string{v.program(), "-t", "-c", main.path}, restart: true, notes: []string{"other machines print through this one no more"}}
	for _, e := range all {
		t := firstWord(e)
		if e.key != "listen" && e.key != "port" && e.key != "ssllisten" && e.key != "sslport" || strings.HasPrefix(t.text, "/") {
			continue
		}
		p, err := v.socketLine(e, t, anyAddrs(), 631)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(e.key, "port") {
			word := map[string]string{"port": "Listen ", "sslport": "SSLListen "}[e.key]
			p.form = func(b netip.AddrPort) string { return word + portText(b) }
		}
		p.proto = exposure.TCP
		set.places = append(set.places, p)
	}
	return set, nil
}

// readMosquitto reads "listener PORT [ADDRESS]" (mosquitto.conf(5)). What
// follows a listener belongs to it, so the line is never doubled.
func readMosquitto(v *view) (*setup, error) {
	main, all, err := v.flat(flatFile{flags: []string{"-c", "--config-file"}, places: []string{"/etc/mosquitto/mosquitto.conf"}, syn: syntax{comments: "#"}, dirs: []string{"include_dir"}})
	if err != nil {
		return nil, err
	}
	set := &setup{restart: true}
	for _, e := range all {
		words := e.tokens(" \t")
		if e.key == "bind_address" || e.key == "bind_interface" {
			return nil, v.decline("%s says %s, which holds for listeners in ways that differ between versions", e.f.path, e.key)
		}
		if e.key != "listener" || len(words) == 0 || words[0].text == "0" {
			continue
		}
		port, ok := portNumber(words[0].text)
		if !ok {
			return nil, v.decline("listener %q of %s has no port number", e.val, e.f.path)
		}
		p := place{f: e.f, from: words[0].to, to: words[0].to, before: " ", text: lineText(e.f, e.from), binds: at(port, anyAddrs()...), form: addrText, whole: true, single: true, proto: exposure.TCP, scope: words[0].from + 1}
		if len(words) > 1 {
			addrs, ok := hostAddrs(words[1].text)
			p.from, p.to, p.before, p.binds = words[1].from, words[1].to, "", at(port, addrs...)
			if !ok {
				p.binds, p.form = v.suspect(words[0].text), nil
			}
		}
		set.places = append(set.places, p)
	}
	if set.places == nil {
		set.places = []place{loopbackDefault(main, "listener", 1883)}
	}
	return set, nil
}

// readVsftpd reads vsftpd.conf(5), "key=value" without spaces: listen makes an
// IPv4 socket, listen_ipv6 one for both families.
func readVsftpd(v *view) (*setup, error) {
	conf := "/etc/vsftpd.conf"
	for _, a := range v.argv[min(1, len(v.argv)):] {
		if !strings.HasPrefix(a, "-") {
			conf = v.abs(a)
		}
	}
	main, all, err := v.flat(flatFile{places: []string{conf, "/etc/vsftpd/vsftpd.conf"}, syn: syntax{comments: "#", equals: true}})
	if err != nil {
		return nil, err
	}
	port, err := v.portOf(all, "listen_port", 21)
	if err != nil {
		return nil, err
	}
	set := &setup{restart: true, notes: []string{"data connections of FTP use other ports"}}
	key, wide, only := "listen_address", anyAddrs()[:1], netip.Addr.Is4
	if isYes(all, "listen_ipv6") {
		key, wide, only = "listen_address6", v.oneSocket(), netip.Addr.Is6
	}
	p := insertLine(main, len(main.data), key+"=", "")
	if e, ok := last(all, key); ok {
		addrs, ok := hostAddrs(e.val)
		if !ok {
			return nil, v.decline("%s %q names no address", key, e.val)
		}
		p = place{f: e.f, from: e.from, to: e.to, text: lineText(e.f, e.from), form: addrText}
		if wide = addrs; addrs[0] == anyAddrs()[1] {
			wide = v.oneSocket()
		}
	}
	p.binds, p.single, p.whole, p.only, p.proto = at(port, wide...), true, true, only, exposure.TCP
	set.places = []place{p}
	return set, nil
}

// readSnmpd reads agentaddress (snmpd.conf(5)): a list of
// "[transport:]address[:port]", udp:161 without one.
func readSnmpd(v *view) (*setup, error) {
	for _, a := range v.argv[min(1, len(v.argv)):] {
		if strings.HasPrefix(a, "udp") || strings.HasPrefix(a, "tcp") || strings.HasPrefix(a, "dtls") || strings.HasPrefix(a, "127.") || strings.HasPrefix(a, "0.0.") {
			return nil, v.decline("its command line says %s", a)
		}
	}
	main, all, err := v.flat(flatFile{flags: []string{"-c"}, places: []string{"/etc/snmp/snmpd.conf"}, syn: syntax{comments: "#", fold: true}, include: []string{"includefile"}, dirs: []string{"includedir"}})
	if err != nil {
		return nil, err
	}
	set := &setup{restart: true, notes: []string{"a manager elsewhere reads this agent no more"}}
	for _, e := range all {
		if e.key != "agentaddress" {
			continue
		}
		for _, t := range e.tokens(", \t") {
			set.places = append(set.places, v.snmpdWord(e, t))
		}
	}
	if set.places == nil {
		p := insertLine(main, len(main.data), "agentaddress ", ",")
		p.binds, p.proto, p.form = at(161, anyAddrs()[0]), exposure.UDP, func(b netip.AddrPort) string { return "udp:" + portText(b) }
		set.places = []place{p}
	}
	return set, nil
}

func (v *view) snmpdWord(e entry, t token) place {
	text, kind := t.text, "udp"
	for _, k := range []string{"udp6", "udpv6", "udpipv6", "tcp6", "tcpv6", "tcpipv6", "udp", "tcp"} {
		if rest, ok := strings.CutPrefix(text, k+":"); ok {
			text, kind = rest, k
			break
		}
	}
	p := listPlace(e, t, nil, ",")
	p.proto = exposure.Proto(kind[:3])
	is6 := strings.HasSuffix(kind, "6") || strings.HasPrefix(text, "[")
	p.form = func(b netip.AddrPort) string {
		if b.Addr().Is4() {
			return kind[:3] + ":" + portText(b)
		}
		return kind[:3] + "6:" + portText(b)
	}
	host, portPart := cutPort(text)
	port, ok := uint16(161), true
	if portPart != "" {
		port, ok = portNumber(portPart)
	}
	addrs := anyAddrs()[family(is6):][:1]
	if ok && host != "" && host != "*" {
		addrs, ok = hostAddrs(host)
	}
	if p.binds = at(port, addrs...); !ok {
		p.binds, p.form = v.suspect(portPart), nil
	}
	return p
}

// readPostfix reads inet_interfaces of main.cf (postfix.org, "postconf(5)"),
// which holds for every service of master.cf that names no address.
func readPostfix(v *view) (*setup, error) {
	if !strings.Contains(v.program(), "postfix") {
		return nil, v.decline("%s is a master, but not Postfix's", v.program())
	}
	dir := "/etc/postfix"
	if d, ok := v.option("-c"); ok {
		dir = v.abs(d)
	}
	main, all, err := v.flat(flatFile{places: []string{path.Join(dir, "main.cf")}, syn: syntax{comments: "#", equals: true}})
	if err != nil {
		return nil, err
	}
	ports, err := v.postfixPorts(dir)
	if err != nil {
		return nil, err
	}
	set := &setup{check: []string{"postfix", "-c", dir, "check"}, restart: true, notes: []string{"mail from other machines is accepted no more; sending goes on"}}
	e, ok := last(all, "inet_interfaces")
	if ok && e.lineTo < len(main.data) && (main.data[e.lineTo] == ' ' || main.data[e.lineTo] == '\t') {
		return nil, v.decline("inet_interfaces goes on over several lines")
	}
	loopback := func(netip.AddrPort) string { return "loopback-only" }
	switch {
	case !ok:
		p := insertLine(main, len(main.data), "inet_interfaces = ", ",")
		p.binds, p.portless, p.form, p.whole, p.only = atPorts(ports, anyAddrs()), true, loopback, true, netip.Addr.IsLoopback
		set.places = []place{p}
	case e.val == "loopback-only":
		set.places = []place{loopbackDefault(main, "other address in inet_interfaces", ports...)}
	case e.val == "all":
		p := place{f: e.f, from: e.from, to: e.to, text: lineText(e.f, e.from)}
		p.binds, p.portless, p.form, p.whole, p.only = atPorts(ports, anyAddrs()), true, loopback, true, netip.Addr.IsLoopback
		set.places = []place{p}
	default:
		set.places, err = v.addressList(e, ports, ", \t", ", ")
	}
	return set, err
}

// postfixPorts are the ports of master.cf's services without an address.
func (v *view) postfixPorts(dir string) (ports []uint16, err error) {
	f, err := v.read(path.Join(dir, "master.cf"))
	if err != nil {
		return nil, err
	}
	services := v.services()
	for _, e := range (syntax{comments: "#"}).scan(f) {
		fields := strings.Fields(e.val)
		if blank(f.data[e.lineFrom]) || len(fields) < 2 || fields[0] != "inet" || strings.Contains(e.key, ":") {
			continue
		}
		port, ok := portNumber(e.key)
		if !ok {
			port, ok = services[e.key+"/tcp"]
		}
		if ok {
			ports = append(ports, port)
		}
	}
	if !slices.Contains(ports, v.s.Port) {
		return nil, v.decline("master.cf has no service without an address at port %d", v.s.Port)
	}
	return ports, nil
}

// readDovecot reads the setting listen, which holds for every port of dovecot
// (doc.dovecot.org, "listen"); one with an address of its own is not touched.
func readDovecot(v *view) (*setup, error) {
	main, all, err := v.flat(flatFile{
		flags: []string{"-c"}, places: []string{"/etc/dovecot/dovecot.conf"}, syn: syntax{comments: "#", inline: true, equals: true}, include: []string{"!include", "!include_try"},
	})
	if err != nil {
		return nil, err
	}
	ports := []uint16{v.s.Port}
	for _, e := range all {
		if e.key == "address" {
			return nil, v.decline("%s gives an inet_listener an address of its own", e.f.path)
		}
	}
	set := &setup{check: []string{"doveconf", "-n", "-c", main.path}, restart: true, notes: []string{"every port of dovecot moves along: one setting holds for all"}}
	e, ok := last(all, "listen")
	if !ok {
		p := insertLine(main, len(main.data), "listen = ", ", ")
		p.binds, p.portless = atPorts(ports, anyAddrs()), true
		set.places = []place{p}
		return set, nil
	}
	for _, t := range e.tokens(", \t") {
		addrs, ok := hostAddrs(t.text)
		if t.text == "*" {
			addrs, ok = anyAddrs()[:1], true
		}
		if !ok {
			return nil, v.decline("listen names %q, which is no address", t.text)
		}
		p := listPlace(e, t, atPorts(ports, addrs), ", ")
		p.portless = true
		set.places = append(set.places, p)
	}
	return set, nil
}

// readGrafana reads http_addr of the section server (grafana.com/docs,
// "Configure Grafana").
func readGrafana(v *view) (*setup, error) {
	main, all, err := v.flat(flatFile{flags: []string{"-config", "--config"}, places: []string{"/etc/grafana/grafana.ini"}, syn: syntax{comments: "#;", equals: true, sections: true}})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e entry) bool { return e.section != "server" })
	port, err := v.portOf(all, "http_port", 3000)
	if err != nil {
		return nil, err
	}
	p := insertLine(main, len(main.data), "[server]"+main.newline()+"http_addr = ", "")
	if len(all) > 0 {
		p = insertLine(main, all[0].lineFrom, "http_addr = ", "")
	}
	p.binds = at(port, v.oneSocket()...)
	if e, ok := last(all, "http_addr"); ok {
		p = place{f: e.f, from: e.from, to: e.to, text: lineText(e.f, e.from), form: addrText, binds: at(port, v.oneSocket()...)}
		if addrs, ok := hostAddrs(e.val); ok && e.val != "0.0.0.0" && e.val != "::" {
			p.binds = at(port, addrs...)
		} else if e.val != "" && !ok {
			return nil, v.decline("http_addr names %q, which is no address", e.val)
		}
	}
	p.single, p.whole, p.proto = true, true, exposure.TCP
	return &setup{places: []place{p}, restart: true}, nil
}

// readPHP reads the pools of php-fpm (php.net, "FPM configuration"): "listen =
// ADDRESS:PORT", or a port alone. The process title names the file.
func readPHP(v *view) (*setup, error) {
	title := strings.Join(v.argv, " ")
	_, rest, ok := strings.Cut(title, "master process (")
	conf, _, closed := strings.Cut(rest, ")")
	if !ok || !closed {
		return nil, v.decline("its title does not name its configuration file")
	}
	main, all, err := v.flat(flatFile{places: []string{v.abs(conf)}, syn: syntax{comments: ";#", equals: true, sections: true}, include: []string{"include"}})
	if err != nil {
		return nil, err
	}
	set := &setup{check: []string{v.program(), "-t", "-y", main.path}, restart: true}
	for _, e := range all {
		if t := firstWord(e); e.key == "listen" && !strings.HasPrefix(t.text, "/") {
			p, err := v.socketLine(e, t, v.oneSocket(), 0)
			if err != nil {
				return nil, err
			}
			p.single, p.proto, p.scope = true, exposure.TCP, e.lineFrom+1
			set.places = append(set.places, p)
		}
	}
	return set, nil
}
