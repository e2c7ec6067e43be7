package serverconf

import (
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
)

// readMemcached reads where a distribution keeps memcached's options:
// /etc/memcached.conf (Debian, an option a line), OPTIONS in
// /etc/sysconfig/memcached (Red Hat). The process shows its command line, and
// the file must say the same.
func readMemcached(v *view) (*setup, error) {
	port := uint16(11211)
	if text, ok := v.option("-p", "--port"); ok {
		n, ok := portNumber(text)
		if !ok {
			return nil, v.decline("its port %q is no number", text)
		}
		port = n
	}
	if text, ok := v.option("-U", "--udp-port"); ok && v.s.Proto == exposure.UDP {
		port, _ = portNumber(text)
	}
	set := &setup{restart: true}
	name, err := v.first("/etc/memcached.conf", "/etc/sysconfig/memcached")
	if err != nil {
		return nil, err
	}
	f, err := v.read(name)
	if err != nil {
		return nil, err
	}
	words := memcachedWords(f)
	if err := v.sameOptions(memcachedWords(v.started(f))); err != nil {
		return nil, err
	}
	set.places, err = v.memcachedPlaces(f, words, port)
	return set, err
}

func memcachedWords(f *file) []token {
	if path.Base(f.path) == "memcached.conf" {
		return memcachedLines(f)
	}
	return assignedWords(f, "OPTIONS")
}

// memcachedLines are the words of memcached.conf; "#" begins a comment
// anywhere.
func memcachedLines(f *file) (out []token) {
	start := 0
	for line := range strings.Lines(string(f.data)) {
		text, _, _ := strings.Cut(line, "#")
		out = append(out, splitTokens(text, start, " \t\r\n")...)
		start += len(line)
	}
	return out
}

// assignedWords are the words of NAME="…" in a file of shell assignments, the
// last one.
func assignedWords(f *file, name string) (out []token) {
	for _, e := range (syntax{comments: "#", equals: true}).scan(f) {
		if e.key == name {
			out = e.tokens(" \t")
		}
	}
	return out
}

// sameOptions compares the addresses and ports of file and command line: one
// that was started otherwise is not explained by the file.
func (v *view) sameOptions(words []token) error {
	var argv []string
	for _, w := range words {
		argv = append(argv, w.text)
	}
	filed := &view{argv: append([]string{""}, argv...)}
	for _, names := range [][]string{{"-l", "--listen"}, {"-p", "--port"}} {
		now, _ := v.option(names...)
		said, isSaid := filed.option(names...)
		if now != said && (isSaid || names[0] == "-l") {
			return v.decline("it was started with %s %q, and the file says %q", names[0], now, said)
		}
	}
	return nil
}

func (v *view) memcachedPlaces(f *file, words []token, port uint16) ([]place, error) {
	var out []place
	for i, w := range words {
		value := w
		switch {
		case (w.text == "-l" || w.text == "--listen") && i+1 < len(words):
			value = words[i+1]
		case strings.HasPrefix(w.text, "--listen="):
			value.from += len("--listen=")
		case strings.HasPrefix(w.text, "-l") && len(w.text) > 2:
			value.from += 2
		default:
			continue
		}
		value.text = string(f.data[value.from:value.to])
		more, err := v.memcachedList(f, value, port)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if len(out) > 0 {
		return out, nil
	}
	return []place{memcachedAbsent(f, words, port)}, nil
}

// memcachedList reads "ADDRESS[:PORT][,…]".
func (v *view) memcachedList(f *file, value token, port uint16) (out []place, err error) {
	e := entry{f: f, val: value.text, from: value.from, to: value.to}
	for _, t := range splitTokens(value.text, value.from, ",") {
		host, own := t.text, port
		suffix := ""
		if strings.Count(host, ":") == 1 || strings.HasPrefix(host, "[") {
			var text string
			if host, text = cutPort(host); text != "" {
				suffix = ":" + text
				if own, _ = portNumber(text); own == 0 {
					return nil, v.decline("-l %s has no port number", t.text)
				}
			}
		}
		addrs, ok := dualNames("*")(host)
		if !ok {
			return nil, v.decline("-l %s names no address", t.text)
		}
		p := listPlace(e, t, at(own, addrs...), ",")
		p.form = addrText
		if suffix != "" {
			p.form = portText
		}
		out = append(out, p)
	}
	return out, nil
}

// memcachedAbsent is a line of its own, or a word at the end of OPTIONS.
func memcachedAbsent(f *file, words []token, port uint16) place {
	if path.Base(f.path) == "memcached.conf" {
		p := insertLine(f, len(f.data), "-l ", ",")
		p.binds = at(port, anyAddrs()...)
		return p
	}
	p := place{f: f, join: ",", form: addrText, binds: at(port, anyAddrs()...), text: "OPTIONS without -l"}
	if len(words) > 0 {
		p.from, p.before = words[len(words)-1].to, " -l "
		p.to = p.from
		return p
	}
	entries := (syntax{comments: "#", equals: true}).scan(f)
	i := slices.IndexFunc(entries, func(e entry) bool { return e.key == "OPTIONS" })
	if i < 0 {
		p = insertLine(f, len(f.data), `OPTIONS="-l `, ",")
		p.after = `"` + p.after
		p.binds = at(port, anyAddrs()...)
		return p
	}
	p.from, p.to, p.before, p.after = entries[i].from, entries[i].to, `"-l `, `"`
	return p
}
