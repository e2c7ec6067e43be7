package serverconf

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// flatFile says where a server of one setting a line keeps them.
type flatFile struct {
	flags   []string // options that name the file
	places  []string
	syn     syntax
	include []string // settings that include files, by pattern
	dirs    []string // settings that include a folder's *.conf files
}

// flat reads the settings of all files, in order.
func (v *view) flat(c flatFile) (main *file, all []entry, err error) {
	name, ok := v.option(c.flags...)
	if ok {
		name = v.abs(name)
	} else if name, err = v.first(c.places...); err != nil {
		return nil, nil, err
	}
	if main, err = v.read(name); err != nil {
		return nil, nil, err
	}
	r := &flatReader{v: v, c: c, dir: path.Dir(name)}
	err = r.fill(main, 0, &all)
	return main, all, err
}

type flatReader struct {
	v     *view
	c     flatFile
	dir   string
	files int
}

// fill appends a file's settings, included ones where they stand.
func (r *flatReader) fill(f *file, depth int, all *[]entry) error {
	if r.files++; depth > mostDepth || r.files > 4*mostFiles {
		return r.v.tooDeep(f.path)
	}
	for _, e := range r.c.syn.scan(f) {
		pattern, _ := unquote(e.val)
		switch {
		case slices.Contains(r.c.include, e.key):
		case slices.Contains(r.c.dirs, e.key):
			pattern += "/*.conf"
		default:
			*all = append(*all, e)
			continue
		}
		for _, name := range r.v.include(r.dir, pattern) {
			sub, err := r.v.read(name)
			if err != nil {
				return err
			}
			if err := r.fill(sub, depth+1, all); err != nil {
				return err
			}
		}
	}
	return nil
}

// portOf reads the last of a setting that holds a port.
func (v *view) portOf(all []entry, key string, usual uint16) (uint16, error) {
	e, ok := last(all, key)
	if !ok {
		return usual, nil
	}
	text, _ := unquote(e.val)
	n, ok := portNumber(text)
	if !ok {
		return 0, v.decline("%s %q of %s is no number", key, e.val, e.f.path)
	}
	return n, nil
}

// addressList makes places of an entry's words, each an address; every says
// which words stand for all addresses.
func (v *view) addressList(e entry, ports []uint16, separators, join string, every ...string) (out []place, err error) {
	for _, t := range e.tokens(separators) {
		addrs, ok := dualNames(every...)(t.text)
		if !ok {
			return nil, v.decline("%s of %s names %q, which is no address", e.key, e.f.path, t.text)
		}
		p := listPlace(e, t, atPorts(ports, addrs), join)
		p.portless = true
		out = append(out, p)
	}
	return out, nil
}

// firstWord is the first word of an entry's value, as a token.
func firstWord(e entry) token {
	for _, t := range e.tokens(" \t") {
		return t
	}
	return token{from: e.from, to: e.from}
}

// socketLine makes a place of "key ADDRESS:PORT rest". A port alone, or "*",
// stands for the addresses of wide.
func (v *view) socketLine(e entry, t token, wide []netip.Addr, usual uint16) (place, error) {
	host, text := cutPort(t.text)
	port, ok := usual, true
	if text != "" {
		port, ok = portNumber(text)
	}
	if !ok || port == 0 {
		return place{}, v.decline("%s %q of %s has no port number", e.key, t.text, e.f.path)
	}
	addrs := wide
	if host != "" && host != "*" {
		addrs, ok = hostAddrs(host)
	}
	p := linePlace(e.f, e.lineFrom, e.lineTo, t.from, t.to, at(port, addrs...))
	if !ok {
		p.binds, p.form = v.suspect(text), nil
	}
	return p, nil
}

// loopbackDefault is a place that cannot be edited, for what a server binds
// when nothing is said.
func loopbackDefault(f *file, key string, ports ...uint16) place {
	return place{f: f, text: "no " + key + ", whose default is loopback", binds: atPorts(ports, onlyAddrs("127.0.0.1", "::1"))}
}

func isYes(all []entry, key string) bool {
	e, ok := last(all, key)
	return ok && slices.Contains([]string{"yes", "true", "on", "1"}, strings.ToLower(e.val))
}
