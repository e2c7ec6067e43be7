package serverconf

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// namedWord is a word, or one of ";", "{", "}", of named.conf.
type namedWord = nginxWord

// namedWords parts named.conf: comments are "//", "#" and "/* */", strings
// are in double quotes (bind9.readthedocs.io, "Configuration File").
func namedWords(data []byte) (out []namedWord, ok bool) {
	for i := 0; i < len(data); {
		c := data[i]
		switch {
		case blank(c):
			i++
		case c == '#', c == '/' && i+1 < len(data) && data[i+1] == '/':
			for i < len(data) && data[i] != '\n' {
				i++
			}
		case c == '/' && i+1 < len(data) && data[i+1] == '*':
			end := strings.Index(string(data[i+2:]), "*/")
			if end < 0 {
				return nil, false
			}
			i += end + 4
		case c == ';' || c == '{' || c == '}':
			out = append(out, namedWord{string(c), i, i + 1, false})
			i++
		case c == '"':
			end := quotedEnd(data, i)
			if end < 0 {
				return nil, false
			}
			out = append(out, namedWord{string(data[i+1 : end-1]), i, end, true})
			i = end
		default:
			end := i
			for end < len(data) && !blank(data[end]) && !strings.ContainsRune(`;{}"#`, rune(data[end])) {
				end++
			}
			out = append(out, namedWord{string(data[i:end]), i, end, false})
			i = end
		}
	}
	return out, true
}

// namedReader finds listen-on and listen-on-v6 of the options block.
type namedReader struct {
	v       *view
	dir     string
	port    uint16
	places  []place
	options *file // the file of the options block
	open    int   // byte after its "{"
	seen    [2]bool
	blocks  []string
	files   int
	count   int
}

// readNamed reads named.conf and its includes. named binds every address of
// the host by itself, so "any" stands for the socket's own address.
func readNamed(v *view) (*setup, error) {
	names := []string{"/etc/bind/named.conf", "/etc/named.conf"}
	if name, ok := v.option("-c"); ok {
		names = []string{v.abs(name)}
	}
	conf, err := v.first(names...)
	if err != nil {
		return nil, err
	}
	if dir, ok := v.option("-t"); ok && dir != "/" {
		return nil, v.decline("it lives below %s (-t), and names files from there", dir)
	}
	r := &namedReader{v: v, dir: "/", port: 53}
	if text, ok := v.option("-p"); ok {
		if r.port, ok = portNumber(strings.TrimPrefix(text, "dns=")); !ok {
			return nil, v.decline("its command line's port %q is no number", text)
		}
	}
	if err := r.read(conf, 0); err != nil {
		return nil, err
	}
	if err := r.absent(); err != nil {
		return nil, err
	}
	return &setup{
		places: r.places, check: []string{"named-checkconf", conf}, restart: true,
		notes: []string{"the list is named's own: all addresses that \"any\" stood for close, of TCP and UDP alike"},
	}, nil
}

func (r *namedReader) read(name string, depth int) error {
	f, err := r.v.read(name)
	if err != nil {
		return err
	}
	if r.files++; depth > mostDepth || r.files > 4*mostFiles {
		return r.v.tooDeep(name)
	}
	words, ok := namedWords(f.data)
	if !ok {
		return r.v.decline("%s is not read to its end: a comment or a quote is left open", f.path)
	}
	for len(words) > 0 {
		i := slices.IndexFunc(words, func(w namedWord) bool { return w.is(";") || w.is("{") || w.is("}") })
		if i < 0 {
			return r.v.decline("the last statement of %s has no end", f.path)
		}
		used, err := r.statement(f, words, i, depth)
		if err != nil {
			return err
		}
		words = words[used:]
	}
	return nil
}

// statement reads one statement, which ends at words[i], and says how many
// words it took.
func (r *namedReader) statement(f *file, words []namedWord, i, depth int) (int, error) {
	inOptions := len(r.blocks) == 1 && r.blocks[0] == "options"
	switch {
	case words[i].is("}"):
		if len(r.blocks) > 0 {
			r.blocks = r.blocks[:len(r.blocks)-1]
		}
	case words[i].is("{") && inOptions && strings.HasPrefix(words[0].text, "listen-on"):
		return r.listen(f, words, i)
	case words[i].is("{"):
		r.blocks = append(r.blocks, words[0].text)
		if len(r.blocks) == 1 && words[0].text == "options" {
			r.options, r.open = f, words[i].to
		}
	case words[0].text == "include" && i == 2:
		name := words[1].text
		if !strings.HasPrefix(name, "/") {
			name = path.Join("/", r.v.cwd, name)
		}
		return i + 1, r.read(name, depth+1)
	case inOptions && words[0].text == "port" && i == 2:
		n, ok := portNumber(words[1].text)
		if !ok {
			return 0, r.v.decline("port %q of %s is no number", words[1].text, f.path)
		}
		if _, set := r.v.option("-p"); !set {
			r.port = n
		}
	}
	return i + 1, nil
}

// listen reads "listen-on[-v6] [port N] [tls T] [http H] { list };".
func (r *namedReader) listen(f *file, words []namedWord, open int) (int, error) {
	end := slices.IndexFunc(words, func(w namedWord) bool { return w.is("}") })
	if end < 0 {
		return 0, r.v.decline("listen-on of %s has no end", f.path)
	}
	is6 := words[0].text == "listen-on-v6"
	r.seen[family(is6)] = true
	port := uint16(0)
	for i := 1; i+1 < open; i += 2 {
		switch words[i].text {
		case "port":
			n, ok := portNumber(words[i+1].text)
			if !ok {
				return 0, r.v.decline("listen-on port %q of %s is no number", words[i+1].text, f.path)
			}
			port = n
		case "tls":
			port = max(port, 853)
		}
	}
	r.count++
	for i := open + 1; i < end; i++ {
		if w := words[i]; !w.is(";") {
			r.element(f, w, is6, port)
		}
	}
	return end + 1, nil
}

func family(is6 bool) int {
	if is6 {
		return 1
	}
	return 0
}

// element reads an address, "any", "none" or something else of the list. The
// ports of elements without one are set when all is read.
func (r *namedReader) element(f *file, w namedWord, is6 bool, port uint16) {
	p := place{f: f, from: w.from, to: w.to, text: lineText(f, w.from), join: "; ", portless: true, scope: r.count, form: addrText}
	p.dropFrom, p.dropTo = w.from, w.to
	if i := w.to; i < len(f.data) && f.data[i] == ';' {
		p.dropTo++
	}
	for p.dropFrom > 0 && (f.data[p.dropFrom-1] == ' ' || f.data[p.dropFrom-1] == '\t') {
		p.dropFrom--
	}
	switch addrs, ok := hostAddrs(w.text); {
	case w.text == "none":
		return
	case w.text == "any":
		p.binds = at(port, r.own(is6)...)
	case ok:
		p.binds = at(port, addrs...)
	default:
		if r.v.s.Addr.IP.Is4() != is6 {
			p.binds, p.form = at(port, r.v.s.Addr.IP.WithZone("")), nil
		}
	}
	r.places = append(r.places, p)
}

// own is what "any" stands for: the socket's own address, or the wildcard.
func (r *namedReader) own(is6 bool) []netip.Addr {
	ip := r.v.s.Addr.IP.Unmap().WithZone("")
	if ip.Is4() == is6 {
		return []netip.Addr{anyAddrs()[family(is6)]}
	}
	return []netip.Addr{ip}
}

// absent adds the lists that are not there: both families' default is any.
func (r *namedReader) absent() error {
	for i := range r.places {
		for j, b := range r.places[i].binds {
			if b.Port() == 0 {
				r.places[i].binds[j] = netip.AddrPortFrom(b.Addr(), r.port)
			}
		}
	}
	if r.options == nil {
		return r.v.decline("it has no options block")
	}
	for _, key := range []string{"listen-on", "listen-on-v6"} {
		is6 := key == "listen-on-v6"
		if r.seen[family(is6)] {
			continue
		}
		r.places = append(r.places, place{
			f: r.options, from: r.open, to: r.open, dropFrom: r.open, dropTo: r.open, text: "no " + key + ", whose default is any",
			binds: at(r.port, r.own(is6)...), portless: true, scope: 1000 + family(is6), form: addrText, join: "; ",
			before: innerLine(r.options, r.open) + key + " { ", after: "; };",
		})
	}
	return nil
}
