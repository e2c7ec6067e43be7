package fwlog

import "bytes"

// prefixes remembers what the last prefix said: most lines have the same. It
// only saves work.
type prefixes struct {
	text     [64]byte
	size     int
	from, to int // the rule's name within it
	action   Action
	capped   bool
}

// netfilterPrefix reads the prefix of a netfilter line: the rule, and what it
// says of the action. The kernel does not log what becomes of a packet.
func (p *Parser) netfilterPrefix(b []byte, l *line, e *Event) {
	if len(trim(b)) == 0 {
		if !logger(l.tag) {
			e.Rule, e.Action = l.tag, prefixAction(l.tag)
		}
		return
	}
	m := &p.prefixes
	if !bytes.Equal(b, m.text[:m.size]) {
		if len(b) > len(m.text) {
			p.prefixText(b, e)
			return
		}
		m.size = copy(m.text[:], b)
		p.prefixText(b, e)
		if e.Time != 0 {
			m.size = 0 // Proxmox: with the time
			return
		}
		// the rule is a part of b, whose end is known by its capacity
		m.from = cap(b) - cap(e.Rule)
		m.to, m.action, m.capped = m.from+len(e.Rule), e.Action, e.Capped
		return
	}
	e.Rule, e.Action, e.Capped = b[m.from:m.to], m.action, m.capped
}

// prefixText reads a prefix.
func (p *Parser) prefixText(b []byte, e *Event) {
	if i := bytes.Index(b, []byte("kernel: ")); i >= 0 { // behind a second host
		b = uptime(b[i+8:])
	}
	b = trim(p.proxmox(b, e))
	if i := bytes.Index(b, []byte(" DESCR=\"")); i > 0 { // UniFi
		b = b[:i]
	}
	e.Action = prefixAction(b)
	// ufw's own log rules have "limit: avg 3/min burst 10" (ufw(8), LOGGING).
	e.Capped = hasPrefix(b, "[UFW ")
	if e.Rule != nil {
		return
	}
	if len(b) > 1 && b[0] == '"' && b[len(b)-1] == '"' { // firewalld quotes some
		b = b[1 : len(b)-1]
	}
	e.Rule = trimEnd(b)
}

// trimEnd leaves colons and blanks at the end out.
func trimEnd(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ':' || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return b
}

// logger tells whether a tag is a program's that passes on what the kernel
// says; another tag is a prefix that looks like one.
func logger(tag []byte) bool {
	switch string(tag) {
	case "", "kernel", "klogd", "ulogd", "ulogd2", "vmunix", "syslogd", "rsyslogd", "syslog-ng", "dmesg", "pve-firewall", "pvefw-logger":
		return true
	}
	return false
}

// foreign tells whether what looks like a netfilter line is quoted by another
// program: the program has a process number and is none that passes on what
// the kernel says, or the prefix begins a text in quotes that ends behind it
// (a request in a web server's log).
func foreign(prefix []byte, l *line) bool {
	if l.process && !logger(l.tag) && !firewaller(l.tag) {
		return true
	}
	return bytes.Count(prefix, []byte{'"'})%2 != 0
}

// firewaller tells whether a tag names a firewall.
func firewaller(tag []byte) bool {
	for _, word := range [...]string{"fw", "FW", "firewall", "iptables", "nft", "netfilter", "nflog"} {
		if bytes.Contains(tag, []byte(word)) {
			return true
		}
	}
	return false
}

// proxmox reads pve-firewall's "VMID LEVEL CHAIN TIME " off the prefix.
func (p *Parser) proxmox(b []byte, e *Event) []byte {
	if len(b) < 30 || !digit(b[0]) {
		return b
	}
	w := words{rest: b}
	_, ok1 := parseUint(w.next())
	_, ok2 := parseUint(w.next())
	chain := w.next()
	when, size := p.stamp(trimLeft(w.rest))
	if !ok1 || !ok2 || size == 0 {
		return b
	}
	e.Rule, e.Time = chain, when
	return trimLeft(w.rest)[size:]
}

// prefixAction is what whole words of a prefix say. Words that contradict
// each other say nothing.
func prefixAction(b []byte) Action {
	if len(b) > 3 && b[0] == '[' {
		if a := vyatta(b); a != NoAction {
			return a
		}
	}
	a := NoAction
	for len(b) > 0 {
		n := 0
		for n < len(b) && (letter(b[n]) || digit(b[n]) || b[n] >= 0x80) {
			n++
		}
		if n >= 4 {
			if says := actionWord(b[:n]); says != NoAction {
				if a != NoAction && a != says {
					return NoAction
				}
				a = says
			}
		}
		b = b[min(n+1, len(b)):]
	}
	return a
}

// vyatta reads the letter in the prefixes of Vyatta and those after it (VyOS,
// EdgeOS, UniFi): [WAN_LOCAL-4000-D], [WAN_IN-default-A], [LAN_IN-D-2147483647].
// A accepts, D drops, R rejects.
func vyatta(b []byte) Action {
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return NoAction
	}
	in := b[1:end]
	i := bytes.LastIndexByte(in, '-')
	j := bytes.LastIndexByte(in[:max(i, 0)], '-')
	if j < 0 {
		return NoAction
	}
	number, letter := in[j+1:i], in[i+1:]
	if _, ok := parseUint(letter); ok {
		number, letter = letter, number
	}
	if _, ok := parseUint(number); !ok && string(number) != "default" || len(letter) != 1 {
		return NoAction
	}
	switch letter[0] {
	case 'A':
		return Permit
	case 'D', 'R':
		return Deny
	}
	return NoAction
}
