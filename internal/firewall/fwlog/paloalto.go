package fwlog

import "bytes"

// readPaloAlto reads PAN-OS logs: TRAFFIC as comma-separated columns, whose
// order is the same in all releases up to what is read here, as CEF and as
// LEEF (PAN-OS Administrator's Guide: Traffic Log Fields; CEF Configuration
// Guides).
//
//	1,2018/11/30 16:09:07,0128,TRAFFIC,end,2049,2018/11/30 16:09:07,SRC,DST,NATSRC,NATDST,RULE,,,app,vsys1,
//	FROM,TO,IN,OUT,profile,…,SESSION,1,SPORT,DPORT,NATSPORT,NATDPORT,0x0,tcp,allow,BYTES,…
//
// A THREAT log says that content was looked at; it is an event only where the
// connection was dropped or reset for it.
func readPaloAlto(p *Parser, l *line, e *Event) bool {
	if at := bytes.Index(l.text, []byte(",TRAFFIC,")); at >= 0 {
		return p.panColumns(l, at, e)
	}
	if at := bytes.Index(l.text, []byte(",THREAT,")); at >= 0 {
		return p.panColumns(l, at, e) && e.Action == Deny
	}
	if bytes.Contains(l.text, []byte("|Palo Alto Networks|")) {
		return p.panRecord(l, e)
	}
	return false
}

// panColumns reads the columns around the type's, which is at.
func (p *Parser) panColumns(l *line, at int, e *Event) bool {
	b := l.text
	serial := bytes.LastIndexByte(b[:at], ',')
	if serial < 0 {
		return false
	}
	start := bytes.LastIndexByte(b[:serial], ',')
	if start < 1 || !digit(b[start-1]) {
		return false
	}
	c := csv{rest: b[start+1:], sep: ','}
	g := gather{e: e, act: panAction}
	for column := 1; column <= 36; column++ {
		v, ok := c.next()
		if !ok {
			break
		}
		if column == 6 {
			if when, ok := p.parseStamp(v); ok {
				e.Time = sure(when, l.when)
			}
		} else if f := panColumn(column); f != fNone && !(f >= fPackets && b[at+1] == 'T' && b[at+2] == 'H') {
			g.set(f, v, c.done)
		}
	}
	p.panPrecise(&c, e)
	return g.done() && e.Action != NoAction
}

// panPrecise takes the high resolution timestamp of newer releases, which
// tells its zone.
func (p *Parser) panPrecise(c *csv, e *Event) {
	for v, ok := c.next(); ok; v, ok = c.next() {
		if len(v) < 25 || len(v) > 35 || v[10] != 'T' || v[4] != '-' || c.done {
			continue
		}
		if when, ok := p.parseStamp(v); ok && zoneAt(v) {
			e.Time = when
			return
		}
	}
}

func panColumn(n int) field {
	switch n {
	case 7:
		return fSrc
	case 8:
		return fDst
	case 9:
		return fNATSrc
	case 10:
		return fNATDst
	case 11:
		return fRule
	case 18:
		return fIn
	case 19:
		return fOut
	case 24:
		return fSrcPort
	case 25:
		return fDstPort
	case 26:
		return fNATSrcPort
	case 27:
		return fNATDstPort
	case 29:
		return fProto
	case 30:
		return fAction
	case 31:
		return fBytes
	case 34:
		return fPackets
	}
	return fNone
}

// panAction: alert and the like let the packet through, but are no verdicts
// on connections.
func panAction(v []byte) Action {
	switch {
	case bytes.HasPrefix(v, []byte("drop")), bytes.HasPrefix(v, []byte("reset")), bytes.HasPrefix(v, []byte("block")), string(v) == "deny":
		return Deny
	case string(v) == "allow":
		return Permit
	}
	return NoAction
}

// panRecord reads CEF and LEEF: one of the identifier and the name is the
// type, in LEEF it is cat or Type.
func (p *Parser) panRecord(l *line, e *Event) bool {
	if r, ok := cefRecord(l); ok {
		kind := panKind(&r)
		return kind != 0 && p.cefEvent(&r, panKey, panAction, fNone, e) && panVerdict(kind, e)
	}
	r, ok := leefRecord(l)
	if !ok {
		return false
	}
	kind := panKind(&r)
	return kind != 0 && p.leefEvent(&r, panKey, panAction, e) && panVerdict(kind, e)
}

func panVerdict(kind byte, e *Event) bool {
	return e.Action == Deny || e.Action == Permit && kind == 'T'
}

// panKind is T for TRAFFIC, H for THREAT, 0 for other logs.
func panKind(r *record) byte {
	for _, word := range [...][]byte{r.id, r.name} {
		switch {
		case same(word, "traffic"):
			return 'T'
		case same(word, "threat"):
			return 'H'
		}
	}
	switch {
	case !r.leef:
		return 0
	case bytes.Contains(r.ext, []byte("cat=TRAFFIC")), bytes.Contains(r.ext, []byte("Type=TRAFFIC")):
		return 'T'
	case bytes.Contains(r.ext, []byte("cat=THREAT")), bytes.Contains(r.ext, []byte("Type=THREAT")):
		return 'H'
	}
	return 0
}

func panKey(k []byte) field {
	switch string(k) {
	case "PanOSPacketsReceived", "PanOSPacketsSent":
		return fPackets
	case "IngressInterface":
		return fIn
	case "EgressInterface":
		return fOut
	case "SourceZone", "DestinationZone":
		return fNone
	}
	if f := cefKeys(k); f != fNone {
		return f
	}
	return leefKeys(k)
}
