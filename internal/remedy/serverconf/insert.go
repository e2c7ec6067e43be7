package serverconf

import (
	"net/netip"
	"strconv"
	"strings"
)

// listPlace is one word of a list in a value. Dropping it takes the
// separators before it along, or those after the first one.
func listPlace(e entry, t token, binds []netip.AddrPort, join string) place {
	p := place{f: e.f, from: t.from, to: t.to, dropFrom: t.from, dropTo: t.to, binds: binds, join: join, form: addrText}
	p.text = lineText(e.f, t.from)
	separator := func(c byte) bool { return c == ' ' || c == '\t' || c == ',' || c == ';' }
	for p.dropFrom > e.from && separator(e.f.data[p.dropFrom-1]) {
		p.dropFrom--
	}
	if p.dropFrom <= e.from+1 {
		for p.dropTo < e.to && separator(e.f.data[p.dropTo]) {
			p.dropTo++
		}
		p.dropFrom = t.from
	}
	return p
}

// lineText is the line of a byte, trimmed and cut, for reasons.
func lineText(f *file, at int) string {
	from, to := f.wholeLine(at, at)
	return cutText(strings.TrimSpace(string(f.data[from:to])))
}

func cutText(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:77], "") + "..."
	}
	return s
}

// insertLine is the spot before which a new line is put; the caller sets its
// binds. With join " " one line names all addresses, with join "\n" each has
// its own.
func insertLine(f *file, at int, key, join string) place {
	nl := f.newline()
	p := place{f: f, from: at, to: at, dropFrom: at, dropTo: at, join: join, form: addrText}
	p.text = "no " + strings.TrimSpace(key) + ", whose default is every address"
	indent := ""
	if at < len(f.data) {
		indent = f.indent(at)
	}
	p.before, p.after = indent+key, nl
	if join == "\n" {
		p.join = nl + indent + key
	}
	if at == len(f.data) && at > 0 && f.data[at-1] != '\n' {
		p.before, p.after = nl+p.before, ""
	}
	return p
}

// linePlace is a directive of its own line, of which the stretch [from, to)
// names the address; for several addresses the line is repeated.
func linePlace(f *file, lineFrom, lineTo, from, to int, binds []netip.AddrPort) place {
	start := lineFrom
	for start < from && blank(f.data[start]) {
		start++
	}
	end := lineTo
	for end > to && (f.data[end-1] == '\n' || f.data[end-1] == '\r') {
		end--
	}
	head, tail := string(f.data[start:from]), string(f.data[to:end])
	return place{
		f: f, from: start, to: end, dropFrom: lineFrom, dropTo: lineTo, text: lineText(f, from), binds: binds,
		join: f.newline() + string(f.data[lineFrom:start]),
		form: func(b netip.AddrPort) string { return head + portText(b) + tail },
	}
}

// reform changes how an address is written inside a line.
func (p place) reform(write func(netip.AddrPort) string, from, to int) place {
	head, tail := string(p.f.data[p.from:from]), string(p.f.data[to:p.to])
	p.form = func(b netip.AddrPort) string { return head + write(b) + tail }
	return p
}

// pidFile reports that a pid file names the socket's server.
func (v *view) pidFile(name string) bool {
	name, _ = unquote(name)
	if !strings.HasPrefix(name, "/") {
		return false
	}
	v.look(name)
	b, err := v.root.ReadFile(name)
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return false
	}
	for _, p := range v.s.Processes {
		if p.PID == pid {
			return true
		}
	}
	return false
}
