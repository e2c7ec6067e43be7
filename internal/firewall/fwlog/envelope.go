package fwlog

import "bytes"

// strip takes envelopes off and tells whether something is left to read.
func (p *Parser) strip(l *line) bool {
	b := l.raw
	if hasPrefix(b, "\xef\xbb\xbf") {
		b = b[3:]
	}
	if len(b) > 0 && b[0] == 0x1e { // RFC 7464, journalctl -o json-seq
		b = b[1:]
	}
	if rest, ok := cutPrefix(b, "data: {"); ok { // journalctl -o json-sse
		b = b[len(b)-len(rest)-1:]
	}
	l.setText(b)
	if !p.container(l) || !p.journal(l) {
		return false
	}
	p.header(l)
	return len(l.text) > 0
}

// setText leaves blanks and ends of lines at the end out.
func (l *line) setText(b []byte) {
	b = trimNewline(b)
	l.text = trimRight(b)
	l.blank = len(l.text) < len(b)
}

// header takes PRI, time, host and tag off l.text. What is behind them may be
// a JSON object (Suricata's, and what a collector made of Windows' events).
func (p *Parser) header(l *line) {
	if l.json = object(l.text); l.json {
		l.msg, l.body = l.text, l.text
		return
	}
	p.syslog(l)
	p.relayed(l)
	l.repeated()
	if b := trimLeft(bytes.TrimPrefix(l.body, []byte("@cee:"))); object(b) && b[len(b)-1] == '}' {
		l.json, l.text, l.msg, l.body = true, b, b, b
	}
}

func object(b []byte) bool { return len(b) > 0 && b[0] == '{' }

func (p *Parser) syslog(l *line) {
	b, pri := priority(l.text)
	if pri {
		if rest, ok := p.rfc5424(b, l); ok {
			l.msg, l.body = rest, uptime(rest)
			return
		}
	}
	l.msg, l.body = b, b
	p.rfc3164(b, l, pri)
}

// relayed takes a second header off, which a relay left behind its own. It is
// one only if it has a program's name.
func (p *Parser) relayed(l *line) {
	if len(l.msg) < 20 || l.when == 0 || !letter(l.msg[0]) && l.msg[0] != '<' && !digit(l.msg[0]) {
		return
	}
	b, pri := priority(l.msg)
	if !pri && !stampLike(b) {
		return
	}
	inner := *l
	inner.tag, inner.process = nil, false
	if pri {
		if rest, ok := p.rfc5424(b, &inner); ok {
			inner.msg, inner.body = rest, uptime(rest)
			*l = inner
			return
		}
	}
	if when, _ := p.stamp(b); when == 0 {
		return
	}
	inner.msg, inner.body = b, b
	if p.rfc3164(b, &inner, pri); len(inner.tag) > 0 {
		*l = inner
	}
}

// priority takes <n> off.
func priority(b []byte) ([]byte, bool) {
	if len(b) < 3 || b[0] != '<' {
		return b, false
	}
	for i := 1; i < len(b) && i < 5; i++ {
		if b[i] == '>' && i > 1 {
			return trimLeft(b[i+1:]), true
		}
		if !digit(b[i]) {
			return b, false
		}
	}
	return b, false
}

// rfc5424 reads VERSION TIME HOST APP PROCID MSGID SD, behind PRI.
func (p *Parser) rfc5424(b []byte, l *line) ([]byte, bool) {
	if len(b) < 2 || !digit(b[0]) || b[0] == '0' {
		return b, false
	}
	n := 1
	for n < len(b) && n < 3 && digit(b[n]) {
		n++
	}
	if n >= len(b) || b[n] != ' ' {
		return b, false
	}
	b = b[n+1:]
	if rest, ok := cutPrefix(b, "- "); ok {
		b = rest
	} else {
		when, size := p.stamp(b)
		if size == 0 || size >= len(b) || b[size] != ' ' || b[size-1] != 'Z' && !zoneAt(b[:size]) {
			return b, false
		}
		l.when, b = when, b[size+1:]
	}
	var host, app, process []byte
	for i := range 4 {
		word, rest, ok := cut(b, ' ')
		if !ok || len(word) == 0 {
			return b, false
		}
		switch i {
		case 0:
			host = word
		case 1:
			app = word
		case 2:
			process = word
		}
		b = rest
	}
	b, ok := structured(b)
	if ok {
		l.host, l.tag, l.process = host, app, string(process) != "-"
	}
	return b, ok
}

// zoneAt tells whether a time ends with a zone like +02:00.
func zoneAt(b []byte) bool {
	n := len(b)
	return n > 6 && b[n-3] == ':' && (b[n-6] == '+' || b[n-6] == '-')
}

// structured takes RFC 5424's STRUCTURED-DATA off: - or [id name="value"]….
func structured(b []byte) ([]byte, bool) {
	if len(b) > 0 && b[0] == '-' {
		return trimLeft(b[1:]), true
	}
	if len(b) == 0 || b[0] != '[' {
		return b, false
	}
	for len(b) > 0 && b[0] == '[' {
		n := element(b)
		if n == 0 {
			return b, false
		}
		b = b[n:]
	}
	b = trimLeft(b)
	if hasPrefix(b, "\xef\xbb\xbf") {
		b = b[3:]
	}
	return b, true
}

// element is how long an SD-ELEMENT is; 0 if it does not end.
func element(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case ']':
			return i + 1
		case '"':
			n := quoted(b[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		}
	}
	return 0
}

// rfc3164 reads TIME HOST TAG: of the many forms in use; host, tag and both
// may be missing.
func (p *Parser) rfc3164(b []byte, l *line, pri bool) {
	if rest, ok := p.memo.same(b, l); ok {
		l.msg = rest
		l.body = uptime(p.tagOf(rest, l, true))
		return
	}
	head := b
	when, size := p.stamp(b)
	if size == 0 {
		if n := epochPrefix(b); n > 0 { // journalctl -o short-unix
			when, size = p.unixPrefix(b[:n])
		}
	}
	if size == 0 {
		if len(b) > 20 && b[0] == '[' { // dmesg -T
			if when, n := p.stamp(b[1:]); n > 0 && n+1 < len(b) && b[n+1] == ']' {
				l.when, b = when, trimLeft(b[n+2:])
				l.msg = b
			}
		}
		l.body = uptime(p.tagOf(b, l, pri))
		return
	}
	l.when = when
	b = trimLeft(b[size:])
	l.msg = b
	if bytes.IndexByte(l.text[:len(l.text)-len(b)], ',') < 0 { // not dmesg's
		b = p.hostOf(b, l)
		p.memo.keep(head, b, l)
	}
	l.msg = b
	l.body = uptime(p.tagOf(b, l, true))
}

// epochPrefix is how long a time like 1655730919.123456 at the start is.
func epochPrefix(b []byte) int {
	if len(b) < 18 || b[10] != '.' || !digit(b[0]) {
		return 0
	}
	n := bytes.IndexByte(b[:min(len(b), 24)], ' ')
	if n < 17 {
		return 0
	}
	return n
}

func (p *Parser) unixPrefix(b []byte) (when int64, size int) {
	when, ok := parseEpoch(b)
	if !ok {
		return 0, 0
	}
	return when, len(b)
}

// hostOf takes the host off, if the word at the start can be one: it is no
// tag and more follows. Some devices write it twice.
func (p *Parser) hostOf(b []byte, l *line) []byte {
	host, rest, ok := cut(b, ' ')
	if !ok || !hostname(host) {
		return b
	}
	l.host = host
	rest = trimLeft(rest)
	if again, ok := cutPrefix(rest, string(host)); ok && len(again) > 0 && again[0] == ' ' {
		rest = trimLeft(again)
	}
	return rest
}

func hostname(b []byte) bool {
	if len(b) == 0 || len(b) > 255 || b[len(b)-1] == ':' {
		return false
	}
	for _, c := range b {
		if !letter(c) && !digit(c) && c != '.' && c != '-' && c != '_' && c != ':' && c < 0x80 {
			return false
		}
	}
	return true
}

// tagOf takes TAG: or TAG[pid]: off. Without a time before it only kernel is
// sure to be one.
func (p *Parser) tagOf(b []byte, l *line, sure bool) []byte {
	n := 0
	for n < len(b) && n < 64 && tagByte(b[n]) {
		n++
	}
	tag, bare := b[:n], n
	if n < len(b) && b[n] == '[' {
		m := n + 1
		for m < len(b) && digit(b[m]) {
			m++
		}
		if m == n+1 || m >= len(b) || b[m] != ']' {
			return b
		}
		n = m + 1
	}
	if len(tag) == 0 || n >= len(b) || b[n] != ':' || n+1 < len(b) && b[n+1] != ' ' {
		return b
	}
	if !sure && string(tag) != "kernel" {
		return b
	}
	l.tag, l.process = tag, n > bare
	return trimLeft(b[n+1:])
}

func tagByte(c byte) bool {
	return letter(c) || digit(c) || c == '-' || c == '_' || c == '.' || c == '/' || c == '%' || c == '(' || c == ')'
}

// uptime takes the kernel's "[12345.678901] " off.
func uptime(b []byte) []byte {
	if len(b) < 4 || b[0] != '[' {
		return b
	}
	end := bytes.IndexByte(b[:min(len(b), 32)], ']')
	if end < 0 {
		return b
	}
	in, dot := b[1:end], false
	for i, c := range in {
		switch {
		case c == '.' && i > 0 && !dot:
			dot = true
		case !digit(c) && (c != ' ' || dot):
			return b
		}
	}
	if !dot {
		return b
	}
	return trimLeft(b[end+1:])
}
