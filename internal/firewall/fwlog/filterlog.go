package fwlog

// readFilterlog reads what filterlog of pfSense and OPNsense writes
// (https://docs.netgate.com/pfsense/en/latest/monitoring/logs/raw-filter-format.html):
//
//	RULE,SUBRULE,ANCHOR,TRACKER,IFACE,REASON,ACTION,in|out,4,TOS,ECN,TTL,ID,
//	OFFSET,FLAGS,PROTO-ID,PROTO,LENGTH,SRC,DST,…
//	…,6,CLASS,FLOW,HOPLIMIT,PROTO,PROTO-ID,LENGTH,SRC,DST,…
//
// and then the ports for TCP and UDP. Rule is the tracker (OPNsense: the
// rule's label), which stays when rules are added, else the rule's number.
func readFilterlog(_ *Parser, l *line, e *Event) bool {
	b := l.body
	if len(b) < 40 || !digit(b[0]) {
		return false
	}
	c := csv{rest: b, sep: ','}
	var head [9][]byte
	for i := range head {
		var ok bool
		if head[i], ok = c.next(); !ok {
			return false
		}
	}
	if _, ok := parseUint(head[0]); !ok || !filterDirection(head[7]) || len(head[4]) == 0 {
		return false
	}
	e.Rule = head[3]
	if len(e.Rule) == 0 || string(e.Rule) == "0" || string(e.Rule) == "(null)" {
		e.Rule = head[0]
	}
	if string(head[7]) == "in" {
		e.In = head[4]
	} else {
		e.Out = head[4]
	}
	e.Action = filterAction(head[6])
	switch string(head[8]) {
	case "4":
		return filterV4(&c, e)
	case "6":
		return filterV6(&c, e)
	}
	return false
}

func filterDirection(b []byte) bool {
	switch string(b) {
	case "in", "out", "in/out":
		return true
	}
	return false
}

// filterAction: pf's other actions (nat, rdr, match, scrub …) decide nothing.
func filterAction(b []byte) Action {
	switch string(b) {
	case "pass":
		return Permit
	case "block", "reject", "synproxy drop":
		return Deny
	}
	return NoAction
}

func filterV4(c *csv, e *Event) bool {
	if !c.skip(4) { // tos, ecn, ttl, id
		return false
	}
	offset, _ := c.next()
	c.skip(1) // flags
	number, _ := c.next()
	c.skip(1) // name
	return filterAddrs(c, number, e) && filterRest(c, string(offset) == "0", e)
}

func filterV6(c *csv, e *Event) bool {
	if !c.skip(4) { // class, flow label, hop limit, name
		return false
	}
	number, _ := c.next()
	return filterAddrs(c, number, e) && filterRest(c, true, e)
}

// filterAddrs reads LENGTH,SRC,DST, behind which a comma always stands: what
// ends the line may be cut.
func filterAddrs(c *csv, number []byte, e *Event) bool {
	n, ok := parseByte(number)
	if !ok {
		return false
	}
	length, _ := c.next()
	if _, ok = parseUint(length); !ok {
		return false
	}
	src, _ := c.next()
	dst, _ := c.next()
	var ok1, ok2 bool
	e.Src, ok1 = parseAddr(src)
	e.Dst, ok2 = parseAddr(dst)
	e.setProto(n)
	return ok1 && ok2 && !c.done
}

// filterRest reads the ports; later fragments have none.
func filterRest(c *csv, first bool, e *Event) bool {
	switch e.Proto {
	case protoTCP, protoUDP, protoSCTP, protoUDPLite:
		src, _ := c.next()
		dst, _ := c.next()
		s, ok1 := parsePort(src)
		d, ok2 := parsePort(dst)
		if first && ok1 && ok2 && !c.done {
			e.setPorts(s, d)
		}
	case protoICMP:
		kind, _ := c.next()
		filterICMP(kind, e)
	}
	return true
}

// filterICMP: filterlog writes ICMP types as words.
func filterICMP(word []byte, e *Event) {
	switch string(word) {
	case "request":
		e.setICMP(8, 0)
	case "reply":
		e.setICMP(0, 0)
	case "unreachproto":
		e.setICMP(3, 2)
	case "unreachport":
		e.setICMP(3, 3)
	case "needfrag":
		e.setICMP(3, 4)
	case "tstamp":
		e.setICMP(13, 0)
	case "tstampreply":
		e.setICMP(14, 0)
	}
}
