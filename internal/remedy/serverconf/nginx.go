package serverconf

import (
	"bytes"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// nginxWord is one word, or one of ";", "{", "}", of an nginx file.
type nginxWord struct {
	text     string
	from, to int
	quoted   bool
}

func (w nginxWord) is(mark string) bool { return !w.quoted && w.text == mark }

// nginxWords parts a file as nginx does (nginx.org, "Configuration file's
// structure"); ok is false where a quote or a block is left open.
func nginxWords(data []byte) (out []nginxWord, ok bool) {
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case blank(c):
			i++
		case c == '#':
			for i < len(data) && data[i] != '\n' {
				i++
			}
		case c == ';' || c == '{' || c == '}':
			out = append(out, nginxWord{string(c), i, i + 1, false})
			i++
			if c == '{' && afterLua(out) {
				if i, ok = skipLua(data, i); !ok {
					return nil, false
				}
				out = append(out, nginxWord{"}", i - 1, i, false})
			}
		case c == '"' || c == '\'':
			end := quotedEnd(data, i)
			if end < 0 {
				return nil, false
			}
			out = append(out, nginxWord{string(data[i+1 : end-1]), i, end, true})
			i = end
		default:
			end := wordEnd(data, i)
			out = append(out, nginxWord{string(data[i:end]), i, end, false})
			i = end
		}
	}
	return out, true
}

func quotedEnd(data []byte, at int) int {
	for i := at + 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case data[at]:
			return i + 1
		}
	}
	return -1
}

func wordEnd(data []byte, at int) int {
	i := at
	for i < len(data) && !blank(data[i]) && data[i] != ';' && data[i] != '{' && data[i] != '}' {
		switch {
		case data[i] == '\\':
			i++
		case data[i] == '$' && i+1 < len(data) && data[i+1] == '{':
			for i < len(data) && data[i] != '}' {
				i++
			}
		}
		i++
	}
	return min(i, len(data))
}

// afterLua: the block just opened holds Lua, not nginx's syntax.
func afterLua(words []nginxWord) bool {
	return len(words) > 1 && strings.HasSuffix(words[len(words)-2].text, "_by_lua_block")
}

func skipLua(data []byte, at int) (int, bool) {
	depth := 1
	for ; at < len(data); at++ {
		switch data[at] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return at + 1, true
			}
		}
	}
	return at, false
}

// nginxReader walks the files in the order in which nginx reads them.
type nginxReader struct {
	v      *view
	dir    string // includes are relative to the main file's folder
	blocks []nginxBlock
	places []place
	count  int
	files  int
}

type nginxBlock struct {
	name    string
	scope   int
	listens bool
	f       *file
	open    int // byte after "{"
}

// readNginx reads nginx.conf and what it includes.
func readNginx(v *view) (*setup, error) {
	conf, err := v.nginxConf()
	if err != nil {
		return nil, err
	}
	main, err := v.read(conf)
	if err != nil {
		return nil, err
	}
	r := &nginxReader{v: v, dir: path.Dir(conf)}
	if err := r.file(main, 0); err != nil {
		return nil, err
	}
	if len(r.blocks) != 0 {
		return nil, v.decline("a block of %s is not closed", main.path)
	}
	return &setup{
		places: r.places, check: v.nginxCheck(conf), restart: true,
		notes: []string{"nginx cannot take an address while it holds all of them: a reload keeps the old listener, a restart is needed"},
	}, nil
}

func (v *view) nginxCheck(conf string) []string {
	check := []string{v.program(), "-t", "-c", conf}
	if prefix, ok := v.option("-p"); ok {
		check = append(check, "-p", prefix)
	}
	return check
}

// nginxConf is what -c names, below the prefix -p where it is relative, else
// the place for which the program was built.
func (v *view) nginxConf() (string, error) {
	prefix, hasPrefix := v.option("-p")
	if conf, ok := v.option("-c"); ok {
		if hasPrefix && !strings.HasPrefix(conf, "/") {
			return v.abs(path.Join(prefix, conf)), nil
		}
		if !strings.HasPrefix(conf, "/") {
			return v.first(path.Join("/etc/nginx", conf), path.Join("/usr/local/nginx", conf))
		}
		return conf, nil
	}
	if built := path.Dir(path.Dir(v.program())); built != "/usr" && built != "/" && built != "." {
		return v.first(path.Join(built, "conf/nginx.conf"), path.Join(built, "etc/nginx/nginx.conf"), "/etc/nginx/nginx.conf")
	}
	return v.first("/etc/nginx/nginx.conf")
}

func (r *nginxReader) file(f *file, depth int) error {
	if r.files++; depth > mostDepth || r.files > 4*mostFiles {
		return r.v.tooDeep(f.path)
	}
	words, ok := nginxWords(f.data)
	if !ok {
		return r.v.decline("%s is not read to its end: a quote or a block is left open", f.path)
	}
	open := len(r.blocks)
	for len(words) > 0 {
		i := slices.IndexFunc(words, func(w nginxWord) bool { return w.is(";") || w.is("{") || w.is("}") })
		if i < 0 {
			return r.v.decline("the last statement of %s has no end", f.path)
		}
		if err := r.statement(f, words[:i+1], depth); err != nil {
			return err
		}
		words = words[i+1:]
	}
	if len(r.blocks) != open {
		return r.v.decline("the blocks of %s do not match", f.path)
	}
	return nil
}

func (r *nginxReader) statement(f *file, words []nginxWord, depth int) error {
	end := words[len(words)-1]
	switch {
	case end.is("}"):
		return r.close(f)
	case end.is("{"):
		r.count++
		r.blocks = append(r.blocks, nginxBlock{name: words[0].text, scope: r.count, f: f, open: end.to})
	case len(words) == 3 && words[0].is("include"):
		for _, name := range r.v.include(r.dir, words[1].text) {
			sub, err := r.v.read(name)
			if err != nil {
				return err
			}
			if err := r.file(sub, depth+1); err != nil {
				return err
			}
		}
	case len(words) >= 3 && words[0].is("listen") && r.in("server"):
		return r.listen(f, words)
	}
	return nil
}

func (r *nginxReader) in(name string) bool {
	return len(r.blocks) > 0 && r.blocks[len(r.blocks)-1].name == name
}

// close ends a block. A server of the http block without listen listens at
// port 80 of every IPv4 address.
func (r *nginxReader) close(f *file) error {
	if len(r.blocks) == 0 {
		return r.v.decline("%s closes a block that was not opened", f.path)
	}
	b := r.blocks[len(r.blocks)-1]
	r.blocks = r.blocks[:len(r.blocks)-1]
	if b.name == "server" && !b.listens && r.in("http") {
		nl := innerLine(b.f, b.open)
		r.places = append(r.places, place{
			f: b.f, from: b.open, to: b.open, dropFrom: b.open, dropTo: b.open, text: "a server block without listen",
			binds: at(80, netip.IPv4Unspecified()), proto: exposure.TCP, scope: b.scope,
			before: nl, join: nl, form: func(b netip.AddrPort) string { return "listen " + portText(b) + ";" },
		})
	}
	return nil
}

// innerLine begins a line inside the block that was opened at a byte: a new
// line, or none where the block goes on in the same line.
func innerLine(f *file, open int) string {
	_, end := f.wholeLine(open, open)
	if strings.TrimSpace(string(f.data[open:end])) != "" {
		return " "
	}
	indent := f.indent(open)
	if strings.HasPrefix(indent, "\t") || bytes.Contains(f.data[end:min(len(f.data), end+1)], []byte("\t")) {
		return f.newline() + indent + "\t"
	}
	return f.newline() + indent + "    "
}

// listen reads "listen ADDRESS[:PORT] [parameters];" (ngx_http_core_module,
// ngx_stream_core_module).
func (r *nginxReader) listen(f *file, words []nginxWord) error {
	block := &r.blocks[len(r.blocks)-1]
	block.listens = true
	arg, params := words[1], words[2:len(words)-1]
	if strings.HasPrefix(arg.text, "unix:") {
		return nil
	}
	p := linePlace(f, words[0].from, words[len(words)-1].to, arg.from, arg.to, nil)
	p.join = f.newline() + f.indent(words[0].from)
	p.dropFrom, p.dropTo = dropSpan(f, p.from, p.to)
	p.scope, p.proto, p.rest = block.scope, exposure.TCP, nginxParams(params)
	p.form = func(b netip.AddrPort) string { return nginxForm(f, words, b) }
	if slices.ContainsFunc(params, func(w nginxWord) bool { return w.text == "udp" || w.text == "quic" }) {
		p.proto = exposure.UDP
	}
	addrs, port, ok := nginxAddr(arg.text)
	if !ok {
		p.binds, p.form = r.unclear(arg.text), nil
	} else {
		p.binds = at(port, addrs...)
	}
	if slices.ContainsFunc(params, func(w nginxWord) bool { return w.text == "ipv6only=off" }) && slices.Contains(addrs, netip.IPv6Unspecified()) {
		p.binds = at(port, anyAddrs()...)
	}
	r.places = append(r.places, p)
	return nil
}

// unclear is what a listen with a host name or a port range may be: the
// socket itself, if its port fits. It is never edited.
func (r *nginxReader) unclear(arg string) []netip.AddrPort {
	_, port := cutPort(arg)
	first, lastPort, isRange := strings.Cut(port, "-")
	low, ok := portNumber(first)
	if high, ok := portNumber(lastPort); isRange && ok && r.v.s.Port >= low && r.v.s.Port <= high {
		return at(r.v.s.Port, r.v.s.Addr.IP)
	}
	if port == "" {
		low, ok = 80, true
	}
	if ok && low == r.v.s.Port && r.v.s.Addr.IP.IsValid() && !r.v.s.Addr.IP.IsUnspecified() {
		return at(low, r.v.s.Addr.IP)
	}
	return nil
}

func nginxAddr(s string) (addrs []netip.Addr, port uint16, ok bool) {
	host, text := cutPort(s)
	port = 80
	if text != "" {
		if port, ok = portNumber(text); !ok {
			return nil, 0, false
		}
	}
	switch host {
	case "", "*":
		return []netip.Addr{netip.IPv4Unspecified()}, port, true
	}
	addrs, ok = hostAddrs(host)
	return addrs, port, ok
}

// nginxParams is what a listen says besides the address and the family.
func nginxParams(words []nginxWord) string {
	var out []string
	for _, w := range words {
		if !strings.HasPrefix(w.text, "ipv6only=") {
			out = append(out, w.text)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// nginxForm writes a listen for another address. ipv6only is an error with
// IPv4, and means nothing for one address.
func nginxForm(f *file, words []nginxWord, b netip.AddrPort) string {
	text := "listen " + portText(b)
	if words[0].to < words[1].from {
		text = string(f.data[words[0].from:words[1].from]) + portText(b)
	}
	for i := 2; i < len(words); i++ {
		if !strings.HasPrefix(words[i].text, "ipv6only=") || b.Addr() == netip.IPv6Unspecified() && words[i].text == "ipv6only=on" {
			text += string(f.data[words[i-1].to:words[i].to])
		}
	}
	return text
}

// dropSpan is the whole line of a statement that has it for itself, else the
// statement.
func dropSpan(f *file, from, to int) (int, int) {
	start, end := f.wholeLine(from, to)
	if strings.TrimSpace(string(f.data[start:from])) == "" && strings.TrimSpace(string(f.data[to:end])) == "" {
		return start, end
	}
	return from, to
}
