package serverconf

import (
	"net/netip"
	"slices"
	"strings"
)

func sshSyntax() syntax { return syntax{comments: "#", inline: true, equals: true, fold: true} }

// sshReader gathers what counts of sshd_config(5): Port, ListenAddress and
// AddressFamily outside of Match blocks, included files where they stand.
type sshReader struct {
	v       *view
	dir     string
	ports   []uint16
	listens []entry
	family  string
	files   int
}

func readSSHD(v *view) (*setup, error) {
	conf := "/etc/ssh/sshd_config"
	if name, ok := v.option("-f"); ok {
		conf = v.abs(name)
	}
	if _, set := v.option("-o"); set {
		for _, a := range v.argv {
			if low := strings.ToLower(a); strings.Contains(low, "listenaddress") || strings.Contains(low, "addressfamily") {
				return nil, v.decline("its command line says %s", a)
			}
		}
	}
	main, err := v.read(conf)
	if err != nil {
		return nil, err
	}
	r := &sshReader{v: v, dir: "/etc/ssh", family: "any"}
	if err := r.file(main, 0); err != nil {
		return nil, err
	}
	if err := r.commandLinePorts(); err != nil {
		return nil, err
	}
	check := []string{v.program(), "-t", "-f", conf}
	set := &setup{check: check, signal: "HUP", notes: []string{"open sessions go on; a new one only reaches the new address"}}
	set.places, err = r.places(main)
	return set, err
}

// commandLinePorts: -p overrides the ports of the file (sshd(8)).
func (r *sshReader) commandLinePorts() error {
	if text, ok := r.v.option("-p"); ok {
		n, ok := portNumber(text)
		if !ok {
			return r.v.decline("its command line's port %q is no number", text)
		}
		r.ports = []uint16{n}
	}
	if len(r.ports) == 0 {
		r.ports = []uint16{22}
	}
	return nil
}

func (r *sshReader) file(f *file, depth int) error {
	if r.files++; depth > mostDepth || r.files > 4*mostFiles {
		return r.v.tooDeep(f.path)
	}
	for _, e := range sshSyntax().scan(f) {
		switch e.key {
		case "match":
			return nil // the rest of the file is conditional
		case "include":
			for _, pattern := range words(e.val) {
				for _, name := range r.v.include(r.dir, pattern) {
					if err := r.include(name, depth); err != nil {
						return err
					}
				}
			}
		case "port":
			n, ok := portNumber(e.val)
			if !ok {
				return r.v.decline("Port %q of %s is no number", e.val, f.path)
			}
			if !slices.Contains(r.ports, n) {
				r.ports = append(r.ports, n)
			}
		case "addressfamily":
			if r.family == "any" {
				r.family = strings.ToLower(e.val)
			}
		case "listenaddress":
			r.listens = append(r.listens, e)
		}
	}
	return nil
}

func (r *sshReader) include(name string, depth int) error {
	sub, err := r.v.read(name)
	if err != nil {
		return err
	}
	return r.file(sub, depth+1)
}

func (r *sshReader) places(main *file) ([]place, error) {
	if len(r.listens) == 0 {
		return []place{r.absent(main)}, nil
	}
	var out []place
	for _, e := range r.listens {
		p, err := r.listen(e)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// listen reads one ListenAddress: host, host:port, [v6], [v6]:port, v6; a
// routing domain may follow.
func (r *sshReader) listen(e entry) (place, error) {
	arg := e.val
	if i := strings.IndexAny(arg, " \t"); i >= 0 {
		arg = arg[:i]
	}
	from, to := e.from, e.from+len(arg)
	host, port := arg, ""
	if strings.HasPrefix(arg, "[") || strings.Count(arg, ":") == 1 {
		host, port = cutPort(arg)
	}
	addrs, ok := hostAddrs(host)
	if !ok {
		return place{}, r.v.decline("ListenAddress %q names no address", arg)
	}
	p := linePlace(e.f, e.lineFrom, e.lineTo, from, to, atPorts(r.ports, r.kept(addrs)))
	if port == "" {
		if len(r.ports) > 1 {
			return p, nil // each port gets its own line: form writes the port
		}
		return p.reform(addrText, from, to), nil
	}
	n, ok := portNumber(port)
	if !ok {
		return place{}, r.v.decline("ListenAddress %q has no port number", arg)
	}
	p.binds = at(n, r.kept(addrs)...)
	return p, nil
}

// kept leaves out the families that AddressFamily excludes.
func (r *sshReader) kept(addrs []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool {
		return r.family == "inet" && !a.Is4() || r.family == "inet6" && a.Is4()
	})
}

// absent is where the first ListenAddress would stand: after the last Port,
// else before the first setting that is no Include, so that no Match block
// swallows it.
func (r *sshReader) absent(main *file) place {
	spot := len(main.data)
	for _, e := range sshSyntax().scan(main) {
		if e.key == "match" {
			spot = min(spot, e.lineFrom)
			break
		}
		if e.key == "port" {
			spot = e.lineTo
		} else if e.key != "include" && spot == len(main.data) {
			spot = e.lineFrom
		}
	}
	p := insertLine(main, spot, "ListenAddress ", "\n")
	p.binds = atPorts(r.ports, r.kept(anyAddrs()))
	p.form = addrText
	if len(r.ports) > 1 {
		p.form = portText
	}
	return p
}
