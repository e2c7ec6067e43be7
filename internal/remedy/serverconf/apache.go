package serverconf

import (
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

func apacheSyntax() syntax { return syntax{comments: "#", fold: true} }

// apacheReader gathers the Listen directives of httpd (httpd.apache.org/docs,
// "Binding to Addresses and Ports"). Those inside <IfModule> and its like are
// taken too: which holds is not known, and changing both changes nothing for
// the one that does not.
type apacheReader struct {
	v      *view
	root   string // ServerRoot
	places []place
	vhosts []string // addresses of <VirtualHost ADDRESS:PORT>
	files  int
}

func readApache(v *view) (*setup, error) {
	root, conf := "/etc/apache2", "/etc/apache2/apache2.conf"
	if !v.exists(conf) || path.Base(v.program()) == "httpd" {
		root, conf = "/etc/httpd", "/etc/httpd/conf/httpd.conf"
	}
	if d, ok := v.option("-d"); ok {
		root, conf = v.abs(d), path.Join(v.abs(d), path.Base(conf))
	}
	if f, ok := v.option("-f"); ok {
		if conf = f; !strings.HasPrefix(f, "/") {
			conf = path.Join(root, f)
		}
	}
	for _, flag := range []string{"-C", "-c"} {
		if text, ok := v.option(flag); ok && strings.Contains(strings.ToLower(text), "listen") {
			return nil, v.decline("its command line says %s", text)
		}
	}
	r := &apacheReader{v: v, root: root}
	if err := r.file(conf, 0); err != nil {
		return nil, err
	}
	return &setup{places: r.places, check: v.apacheCheck(conf), restart: true, notes: r.notes()}, nil
}

// apacheCheck: Debian's apache2 needs the environment that apache2ctl sets.
func (v *view) apacheCheck(conf string) []string {
	if path.Base(v.program()) == "apache2" {
		return []string{"apache2ctl", "-t", "-f", conf}
	}
	return []string{v.program(), "-t", "-f", conf}
}

func (r *apacheReader) notes() []string {
	notes := []string{"httpd does not change a listener while it runs, and ends where a reload asks it to: stop and start it"}
	port := "x"
	for _, p := range r.places {
		for _, b := range p.binds {
			if b.Port() == r.v.s.Port && b.Addr() == r.v.s.Addr.IP && !b.Addr().IsUnspecified() {
				port = portText(b)
			}
		}
	}
	if slices.Contains(r.vhosts, port) {
		notes = append(notes, "<VirtualHost "+port+"> no longer gets requests")
	}
	return notes
}

func (r *apacheReader) file(name string, depth int) error {
	f, err := r.v.read(name)
	if err != nil {
		return err
	}
	if r.files++; depth > mostDepth || r.files > 4*mostFiles {
		return r.v.tooDeep(name)
	}
	for _, e := range apacheSyntax().scan(f) {
		if strings.HasSuffix(e.val, "\\") && (e.key == "listen" || e.key == "include" || e.key == "includeoptional") {
			return r.v.decline("%s of %s goes on over several lines", e.key, name)
		}
		if err := r.directive(e, depth); err != nil {
			return err
		}
	}
	return nil
}

func (r *apacheReader) directive(e entry, depth int) error {
	switch e.key {
	case "serverroot":
		r.root, _ = unquote(e.val)
	case "<virtualhost":
		r.vhosts = append(r.vhosts, strings.Fields(strings.TrimSuffix(e.val, ">"))...)
	case "include", "includeoptional":
		return r.include(e, depth)
	case "listen":
		return r.listen(e)
	}
	return nil
}

// include takes files, patterns and whole folders.
func (r *apacheReader) include(e entry, depth int) error {
	pattern, _ := unquote(e.val)
	if strings.Contains(pattern, "${") {
		return r.v.decline("%s includes %s, whose variable is not known", e.f.path, pattern)
	}
	for _, name := range r.v.include(r.root, pattern) {
		if err := r.file(name, depth+1); err != nil {
			return err
		}
	}
	return r.folders(pattern, depth+1)
}

func (r *apacheReader) folders(pattern string, depth int) error {
	if !strings.HasPrefix(pattern, "/") {
		pattern = path.Join(r.root, pattern)
	}
	if depth > mostDepth {
		return r.v.tooDeep(pattern)
	}
	for _, dir := range glob(r.v.root, pattern, mostFiles) {
		info, err := r.v.root.Stat(dir)
		if err != nil || info.Mode()&fs.ModeDir == 0 {
			continue
		}
		for _, name := range r.v.include(dir, "*") {
			if err := r.file(name, depth+1); err != nil {
				return err
			}
		}
		if err := r.folders(path.Join(dir, "*"), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// listen reads "Listen [IP:]PORT [protocol]". A port alone is one socket for
// both families, as httpd is built on Linux, or one for each.
func (r *apacheReader) listen(e entry) error {
	arg, _, _ := strings.Cut(e.val, " ")
	arg, _, _ = strings.Cut(arg, "\t")
	text, front := unquote(arg)
	if strings.Contains(text, "${") {
		return r.v.decline("%s says Listen %s, whose variable is not known", e.f.path, text)
	}
	host, portPart := cutPort(text)
	port, ok := portNumber(portPart)
	if !ok {
		return r.v.decline("Listen %q of %s has no port number", text, e.f.path)
	}
	addrs := anyAddrs()
	if r.v.s.Addr.IP.Is4() {
		// httpd asks for both families only where the host has an IPv6
		// address (AI_ADDRCONFIG), and makes one socket then.
		addrs = addrs[:1]
	}
	if host == "*" {
		host = ""
	}
	if host != "" {
		if addrs, ok = hostAddrs(host); !ok {
			return r.v.decline("Listen %q of %s names no address", text, e.f.path)
		}
	}
	p := linePlace(e.f, e.lineFrom, e.lineTo, e.from+front, e.from+front+len(text), at(port, addrs...))
	p.proto = exposure.TCP
	p.rest = strings.TrimSpace(e.val[len(arg):])
	r.places = append(r.places, p)
	return nil
}

// dualNames are the addresses of a listener without an address.
func dualNames(names ...string) func(string) ([]netip.Addr, bool) {
	return func(host string) ([]netip.Addr, bool) {
		if slices.Contains(names, host) {
			return anyAddrs(), true
		}
		return hostAddrs(host)
	}
}
