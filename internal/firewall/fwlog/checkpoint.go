package fwlog

import "bytes"

// readCheckPoint reads Check Point's log in the forms of Log Exporter (syslog,
// splunk, generic, CEF, LEEF; sk122323), of its older syslog and of the LEA
// tools (fw1-loggrabber, fw log -ftn).
//
//	… CheckPoint 1930 - [action:"Accept"; ifdir:"inbound"; ifname:"eth0"; … dst:"…"; proto:"17"; s_port:"1"; service:"53"; src:"…"]
//	time=2016-04-18 17:11:20|action=drop|orig=192.0.2.1|i/f_dir=inbound|i/f_name=eth1|…|src=…|s_port=1|dst=…|service=53|proto=udp
//	… - Log [Fields@1.3.6.1.4.1.2620 … src="…" dst="…" proto="6" … svc="443" sport_svc="56530" …]
//
// A service is a port; a name must be one of the well-known. A
// log of several dropped packets at once (packets:" <src,sport,dst,dport,proto;if> …")
// gives an event for each.
func readCheckPoint(p *Parser, l *line, e *Event) bool {
	t := l.text
	e.Time = l.when
	switch {
	case bytes.Contains(t, []byte("|Check Point|")):
		return p.checkRecord(l, e)
	case bytes.Contains(t, []byte(`product:"`)) || bytes.Contains(t, []byte(`action:"`)):
		return p.checkColons(t, e)
	case bytes.Contains(t, []byte("|i/f_dir=")), bytes.Contains(t, []byte("|product=")), bytes.Contains(t, []byte("|orig=")):
		return p.checkPairs(t, '|', e)
	case bytes.Contains(t, []byte("; i/f_dir=")), bytes.Contains(t, []byte(";i/f_dir=")):
		return p.checkPairs(t, ';', e)
	case bytes.Contains(t, []byte("Fields@1.3.6.1.4.1.2620")):
		return p.checkPairs(t, ' ', e)
	case bytes.Contains(t, []byte("; src: ")) && bytes.Contains(t, []byte("; dst: ")):
		return p.checkText(t, e)
	}
	return false
}

// checkState is what several fields tell together.
type checkState struct {
	g       gather
	dir     byte // 'i'nbound, 'o'utbound, 0: not told
	ifc     []byte
	list    []byte
	product []byte
}

// checkColons reads key:"value"; … between brackets. A " or ] in a value has
// a backslash before it.
func (p *Parser) checkColons(b []byte, e *Event) bool {
	at := bytes.IndexByte(b, '[')
	if at < 0 {
		return false
	}
	c := checkState{g: gather{e: e, act: checkAction}}
	for b = b[at+1:]; len(b) > 0; {
		i := bytes.IndexByte(b, '"')
		if i < 1 || b[i-1] != ':' {
			break
		}
		key := bytes.TrimRight(trimLeft(b[:i-1]), ":")
		n := quoted(b[i:])
		if n == 0 {
			break
		}
		c.take(p, key, b[i+1:i+n-1], false)
		b = bytes.TrimLeft(b[i+n:], "; ")
	}
	return c.event(p, e)
}

// checkPairs reads key=value fields; loc=… may stand before them.
func (p *Parser) checkPairs(b []byte, sep byte, e *Event) bool {
	c := checkState{g: gather{e: e, act: checkAction}}
	s := pairs{rest: checkStart(b, sep), sep: sep}
	for k, v, ok := s.next(); ok; k, v, ok = s.next() {
		if v != nil {
			c.take(p, k, v, len(s.rest) == 0)
		}
	}
	return c.event(p, e)
}

// checkText reads what the command fw log prints:
//
//	14:56:39 drop 192.0.2.1 >eth0 LogId: 0; src: 192.0.2.9; s_port: 3456; dst: 198.51.100.1; service: 22; proto: tcp; rule: 4;
//
// > is inbound, < is outbound. The day stands in a line of its own.
func (p *Parser) checkText(b []byte, e *Event) bool {
	first := bytes.IndexByte(b, ';')
	head := b[:first]
	c := checkState{g: gather{e: e, act: checkAction}}
	w := words{rest: head}
	for word := w.next(); word != nil; word = w.next() {
		if word[0] != '>' && word[0] != '<' {
			if a := checkAction(word); a != NoAction && c.dir == 0 {
				e.Action = a
			}
			continue
		}
		c.dir = 'i'
		if word[0] == '<' {
			c.dir = 'o'
		}
		if c.ifc = word[1:]; len(c.ifc) == 0 {
			c.ifc = w.next()
		}
	}
	if c.dir == 0 || e.Action == NoAction {
		return false
	}
	for rest := b[first+1:]; len(rest) > 0; {
		one, after, closed := cut(rest, ';')
		rest = after
		if k, v, ok := cut(one, ':'); ok {
			c.take(p, trim(k), trim(v), !closed)
		}
	}
	return c.event(p, e)
}

// checkStart passes the syslog header: the first key is the last word before
// the first =.
func checkStart(b []byte, sep byte) []byte {
	if sep == ' ' {
		return b
	}
	i := bytes.IndexByte(b, '=')
	if i < 0 {
		return nil
	}
	return b[bytes.LastIndexByte(b[:i], ' ')+1:]
}

func (c *checkState) take(p *Parser, k, v []byte, open bool) {
	switch string(k) {
	case "ifdir", "i/f_dir":
		c.dir = 0
		if len(v) > 0 {
			c.dir = v[0]
		}
		return
	case "ifname", "i/f_name":
		c.ifc = v
		return
	case "packets":
		if len(v) > 0 && bytes.IndexByte(v, '<') >= 0 {
			c.list = v
			return
		}
	case "product", "ProductName":
		c.product = v
		return
	case "time":
		if when := p.cefTime(v); when != 0 && !open {
			c.g.e.Time = when
		}
		return
	}
	f := checkKey(k)
	if f == fDstPort && len(v) > 0 && !digit(v[0]) {
		c.service(v)
	} else if f != fNone {
		c.g.set(f, v, open)
	}
}

// service is a port by its name, where that is one of the well-known.
func (c *checkState) service(v []byte) {
	if n, ok := asaPort(v); ok {
		c.g.e.DstPort = n
		c.g.seen |= 1 << fDstPort
	}
}

func checkKey(k []byte) field {
	switch string(k) {
	case "src":
		return fSrc
	case "dst":
		return fDst
	case "s_port", "sport_svc":
		return fSrcPort
	case "service", "svc", "d_port":
		return fDstPort
	case "proto":
		return fProto
	case "action", "Action":
		return fAction
	case "icmp_type", "ICMP Type", "icmp-type":
		return fICMPType
	case "icmp_code", "ICMP Code", "icmp-code":
		return fICMPCode
	case "xlatesrc":
		return fNATSrc
	case "xlatedst":
		return fNATDst
	case "xlatesport", "xlatesport_svc":
		return fNATSrcPort
	case "xlatedport", "xlatedport_svc":
		return fNATDstPort
	case "rule_name", "rule":
		return fRule
	case "bytes":
		return fBytes
	case "packets":
		return fPackets
	}
	return fNone
}

// checkAction: encrypting and decrypting is letting through by a VPN.
func checkAction(v []byte) Action {
	switch {
	case sameAny(v, "accept", "encrypt", "decrypt", "allow", "bypass", "inspect"):
		return Permit
	case sameAny(v, "drop", "reject", "block", "prevent"):
		return Deny
	}
	return NoAction
}

func (c *checkState) event(p *Parser, e *Event) bool {
	if c.dir == 'i' {
		e.In = c.ifc
	} else if c.dir == 'o' {
		e.Out = c.ifc
	}
	if c.list != nil && e.Action == Deny {
		return p.checkList(c.list, e)
	}
	return c.g.done()
}

// checkList gives an event for each <src,sport,dst,dport,proto;interface>.
func (p *Parser) checkList(list []byte, e *Event) bool {
	rest, common := list, *e
	next := func(e *Event) bool {
		for {
			_, after, ok := cut(rest, '<')
			one, after, closed := cut(after, '>')
			if !ok || !closed {
				return false
			}
			rest = after
			*e = common
			if checkTuple(one, e) {
				return true
			}
		}
	}
	if !next(e) {
		return false
	}
	common.Format = "checkpoint"
	p.more = next
	return true
}

func checkTuple(b []byte, e *Event) bool {
	tuple, ifc, has := cut(b, ';')
	c := csv{rest: tuple, sep: ','}
	g := gather{e: e, act: checkAction}
	for _, f := range [...]field{fSrc, fSrcPort, fDst, fDstPort, fProto} {
		v, ok := c.next()
		if !ok {
			return false
		}
		g.set(f, v, false)
	}
	if has {
		e.In = ifc
	}
	return g.done()
}

// checkRecord reads CEF and LEEF. In CEF the rule's name is in cs2; service_id
// is a name, the port is in dpt. Lines without a translation end
// with src.
func (p *Parser) checkRecord(l *line, e *Event) bool {
	if r, ok := cefRecord(l); ok {
		return p.cefEvent(&r, checkCEFKey, checkAction, fSrc, e) && e.Action != NoAction
	}
	r, ok := leefRecord(l)
	return ok && p.leefEvent(&r, checkLEEFKey, checkAction, e) && e.Action != NoAction
}

func checkCEFKey(k []byte) field {
	switch string(k) {
	case "service", "rule", "ifname", "packets":
		return fNone
	}
	if f := cefKeys(k); f != fNone {
		return f
	}
	return checkKey(k)
}

func checkLEEFKey(k []byte) field {
	if string(k) == "packets" {
		return fNone
	}
	if f := leefKeys(k); f != fNone {
		return f
	}
	return checkKey(k)
}
