package fwlog

import "bytes"

// leefRecord finds a LEEF record (QRadar Log Event Extended Format, 1.0 and
// 2.0):
//
//	LEEF:1.0|Vendor|Product|Version|EventID|key=value<tab>key=value
//	LEEF:2.0|Vendor|Product|Version|EventID|Delimiter|key=value…
//
// The delimiter is a byte, x or 0x and its hex number, or empty for a tab.
// Palo Alto's configuration guide for 1.0 uses | between fields.
func leefRecord(l *line) (r record, ok bool) {
	at := bytes.Index(l.text, []byte("LEEF:"))
	if at < 0 || at > 200 {
		return r, false
	}
	b := trimLeft(l.text[at+5:])
	version, b, ok := cut(b, '|')
	var head [4][]byte
	for i := range head {
		if !ok {
			return r, false
		}
		head[i], b, ok = cut(b, '|')
	}
	if !ok {
		return r, false
	}
	r = record{leef: true, vendor: head[0], product: head[1], id: head[3], name: head[3], ext: b}
	if hasPrefix(version, "2") {
		r.delimiter()
	}
	if r.sep == 0 {
		r.sep = '\t'
		if bytes.IndexByte(r.ext, '\t') < 0 && bytes.IndexByte(r.ext, '|') >= 0 {
			r.sep = '|'
		}
	}
	return r, true
}

// delimiter takes the delimiter's field off, if there is one: some products
// leave it out altogether.
func (r *record) delimiter() {
	word, rest, ok := cut(r.ext, '|')
	if !ok || len(word) > 4 || bytes.IndexByte(word, '=') >= 0 {
		return
	}
	switch hex, isHex := hexDelimiter(word); {
	case isHex:
		r.sep = hex
	case len(word) == 1:
		r.sep = word[0]
	case len(word) > 1:
		return
	}
	r.ext = rest
}

func hexDelimiter(b []byte) (byte, bool) {
	b = bytes.TrimPrefix(b, []byte("0"))
	b, ok := cutPrefix(b, "x")
	if !ok || len(b) == 0 || len(b) > 2 {
		return 0, false
	}
	n, size := hexGroup(b)
	return byte(n), size == len(b)
}

// readLEEF reads the LEEF records of products that have no reader of their
// own.
func readLEEF(p *Parser, l *line, e *Event) bool {
	r, ok := leefRecord(l)
	if !ok {
		return false
	}
	return p.leefEvent(&r, leefKeys, cefAction, e) && p.cefVerdict(&r, e)
}

// leefEvent gathers the fields.
func (p *Parser) leefEvent(r *record, keys func([]byte) field, act func([]byte) Action, e *Event) bool {
	g := gather{e: e, act: act}
	closedPort := false
	for b := r.ext; len(b) > 0; {
		one, rest, closed := cut(b, r.sep)
		b = rest
		k, v, ok := cut(one, '=')
		if !ok {
			continue
		}
		k, v = trim(k), trim(v)
		if string(k) == "devTime" && closed {
			if when := p.cefTime(v); when != 0 {
				e.Time = when
			}
			continue
		}
		if f := keys(k); f != fNone {
			closedPort = closedPort || f == fDstPort && closed
			g.set(f, v, !closed)
		}
	}
	return g.doneTo() && (closedPort || !e.HasPorts)
}

func leefKeys(k []byte) field {
	switch string(k) {
	case "src":
		return fSrc
	case "dst":
		return fDst
	case "srcPort":
		return fSrcPort
	case "dstPort":
		return fDstPort
	case "proto":
		return fProto
	case "action", "act", "Action", "disp":
		return fAction
	case "srcPostNAT":
		return fNATSrc
	case "dstPostNAT":
		return fNATDst
	case "srcPostNATPort":
		return fNATSrcPort
	case "dstPostNATPort":
		return fNATDstPort
	case "srcBytes", "dstBytes", "bytesIn", "bytesOut":
		return fBytes
	case "srcPackets", "dstPackets":
		return fPackets
	case "policy", "rule", "RuleName", "rule_name", "ruleName":
		return fRule
	case "SourceZone", "srcZone", "in_if":
		return fIn
	case "DestinationZone", "dstZone", "out_if":
		return fOut
	}
	return fNone
}
