package serverconf

import (
	"net/netip"
	"path"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// lighttpdReader reads lighttpd.conf (redmine.lighttpd.net, "server.bind",
// "$SERVER["socket"]"): server.bind and server.port make the main socket,
// each $SERVER["socket"] == "ADDRESS:PORT" block another.
type lighttpdReader struct {
	v     *view
	dir   string
	bind  entry
	bound bool
	port  uint16
	spot  *entry // server.port
	extra []place
	files int
	shell []string // output of programs that cannot be known here
}

func readLighttpd(v *view) (*setup, error) {
	conf := "/etc/lighttpd/lighttpd.conf"
	if name, ok := v.option("-f"); ok {
		conf = v.abs(name)
	}
	main, err := v.read(conf)
	if err != nil {
		return nil, err
	}
	r := &lighttpdReader{v: v, dir: path.Dir(conf), port: 80}
	if err := r.file(main, 0); err != nil {
		return nil, err
	}
	set := &setup{check: []string{v.program(), "-tt", "-f", conf}, restart: true, notes: r.shell}
	mainPlace, err := r.main(main)
	if err != nil {
		return nil, err
	}
	set.places = append(r.extra, mainPlace)
	return set, nil
}

func (r *lighttpdReader) file(f *file, depth int) error {
	if r.files++; depth > mostDepth || r.files > 4*mostFiles {
		return r.v.tooDeep(f.path)
	}
	block := 0
	for _, e := range (syntax{comments: "#", inline: true, equals: true}).scan(f) {
		if err := r.setting(e, block, depth); err != nil {
			return err
		}
		line := string(f.data[e.lineFrom:e.to])
		block += strings.Count(line, "{") - strings.Count(line, "}")
	}
	if block != 0 {
		return r.v.decline("the blocks of %s do not match", f.path)
	}
	return nil
}

func (r *lighttpdReader) setting(e entry, block, depth int) error {
	switch {
	case e.key == "include":
		name, _ := unquote(e.val)
		if strings.ContainsAny(name, `"+`) {
			return r.v.decline("%s includes %s, which is put together from parts", e.f.path, e.val)
		}
		for _, n := range r.v.include(r.dir, name) {
			sub, err := r.v.read(n)
			if err != nil {
				return err
			}
			if err := r.file(sub, depth+1); err != nil {
				return err
			}
		}
	case e.key == "include_shell" && strings.Contains(e.val, "use-ipv6.pl"):
		r.shell = append(r.shell, "use-ipv6.pl opens the port for IPv6 as well; take its line out of "+e.f.path+" if that must not be")
	case strings.HasPrefix(e.key, "$SERVER["):
		r.block(e)
	case block > 0:
	case e.key == "server.bind":
		r.bind, r.bound = e, true
	case e.key == "server.port":
		n, ok := portNumber(e.val)
		if !ok {
			return r.v.decline("server.port %q of %s is no number", e.val, e.f.path)
		}
		r.port, r.spot = n, &e
	}
	return nil
}

// block reads $SERVER["socket"] == "ADDRESS:PORT" { … }.
func (r *lighttpdReader) block(e entry) {
	line := string(e.f.data[e.lineFrom:e.to])
	_, rest, ok := strings.Cut(line, "==")
	if !ok || !strings.Contains(line, "socket") {
		return
	}
	parts := strings.SplitN(rest, `"`, 3)
	if len(parts) < 3 {
		return
	}
	from := e.lineFrom + strings.Index(line, "==") + 2 + len(parts[0]) + 1
	p := place{
		f: e.f, from: from, to: from + len(parts[1]), dropFrom: from, dropTo: from, text: lineText(e.f, from),
		proto: exposure.TCP, single: true, form: portText, scope: from + 1,
	}
	p.binds = lighttpdBinds(parts[1], r.port)
	if p.binds == nil {
		_, port := cutPort(parts[1])
		p.binds, p.form = r.v.suspect(port), nil
	}
	r.extra = append(r.extra, p)
}

// lighttpdBinds reads an address; "[::]" is IPv6's alone unless the option
// server.set-v6only is off.
func lighttpdBinds(text string, port uint16) []netip.AddrPort {
	host, portPart := cutPort(text)
	if portPart != "" {
		n, ok := portNumber(portPart)
		if !ok {
			return nil
		}
		port = n
	}
	if host == "" || host == "*" {
		return at(port, netip.IPv4Unspecified())
	}
	addrs, ok := hostAddrs(host)
	if !ok {
		return nil
	}
	return at(port, addrs...)
}

// main is server.bind, or the spot before server.port or at the end of the
// main file.
func (r *lighttpdReader) main(f *file) (place, error) {
	if !r.bound {
		p := insertLine(f, len(f.data), `server.bind = "`, "")
		if r.spot != nil {
			p = insertLine(r.spot.f, r.spot.lineFrom, `server.bind = "`, "")
		}
		p.after = `"` + p.after
		p.binds, p.single, p.portless, p.form = at(r.port, netip.IPv4Unspecified()), true, true, addrText
		p.proto = exposure.TCP
		return p, nil
	}
	text, front := unquote(r.bind.val)
	p := place{
		f: r.bind.f, from: r.bind.from + front, to: r.bind.to - front, text: lineText(r.bind.f, r.bind.from),
		proto: exposure.TCP, single: true, portless: true, form: addrText, binds: lighttpdBinds(text, r.port),
	}
	if strings.HasPrefix(text, "/") {
		return place{f: r.bind.f}, nil
	}
	if p.binds == nil || front == 0 {
		return p, r.v.decline("server.bind %s names no address", r.bind.val)
	}
	p.dropFrom, p.dropTo = p.from, p.from
	return p, nil
}
