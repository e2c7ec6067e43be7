package fwlog

import "bytes"

// event is an ArcSight CEF or a LEEF line, taken apart.
type record struct {
	leef                      bool
	vendor, product, id, name []byte
	ext                       []byte
	sep                       byte // between LEEF's fields, 0: a tab
}

// cefRecord finds a CEF record (ArcSight Common Event Format, revision 25):
//
//	CEF:Version|Vendor|Product|Device Version|Signature ID|Name|Severity|key=value key=value …
//
// In the header \| is no separator, in the extension \= is none. A syslog
// daemon may have taken "CEF:" for the tag.
func cefRecord(l *line) (r record, ok bool) {
	b := l.msg
	if at := bytes.Index(l.text, []byte("CEF:")); at >= 0 && at < 200 {
		b = trimLeft(l.text[at+4:])
	}
	if len(b) < 2 || b[0] != '0' && b[0] != '1' || b[1] != '|' {
		return r, false
	}
	b = b[2:]
	var head [6][]byte
	for i := range head {
		n := unescaped(b, '|')
		if n < 0 {
			return r, false
		}
		head[i], b = b[:n], b[n+1:]
	}
	r.vendor, r.product, r.id, r.name, r.ext = head[0], head[1], head[3], head[4], b
	return r, true
}

// unescaped is where the first sep without a backslash before it is, or -1.
func unescaped(b []byte, sep byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case sep:
			return i
		}
	}
	return -1
}

// cefFields goes through the extension. A value goes on until a blank behind
// which a key and = stand.
type cefFields struct{ rest []byte }

func (s *cefFields) next() (key, value []byte, open, ok bool) {
	b := trimLeft(s.rest)
	n := cefKey(b)
	if n == 0 {
		// What is no key belongs to nothing: skip a word.
		if len(b) == 0 {
			return nil, nil, false, false
		}
		_, s.rest, _ = cut(b, ' ')
		return nil, nil, false, len(s.rest) > 0
	}
	key, b = b[:n], b[n+1:]
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case ' ', '\t':
			next := len(b) - len(trimLeft(b[i:]))
			if cefKey(b[next:]) > 0 {
				s.rest = b[next:]
				return key, b[:i], false, true
			}
			i = next - 1
		}
	}
	s.rest = nil
	return key, trimRight(b), true, true
}

// cefKey is how long the key is with which b begins, 0 for none.
func cefKey(b []byte) int {
	for i, c := range b {
		if c == '=' {
			return i
		}
		if !letter(c) && !digit(c) && c != '_' && c != '.' && c != '-' && c != '/' && c != ':' || i > 62 {
			return 0
		}
	}
	return 0
}

// readCEF reads the CEF records of products that have no reader of their own:
// F5 AFM, Forcepoint, UniFi and others that write source, destination and
// what was done (act, else the event's name). A record without a verdict that
// is understood is no event: CEF carries all kinds of them.
func readCEF(p *Parser, l *line, e *Event) bool {
	r, ok := cefRecord(l)
	if !ok {
		return false
	}
	return p.cefEvent(&r, cefKeys, cefAction, fNone, e) && p.cefVerdict(&r, e)
}

// cefVerdict looks for a verdict in the name where no act tells it.
func (p *Parser) cefVerdict(r *record, e *Event) bool {
	if e.Action != NoAction {
		return true
	}
	w := words{rest: r.name}
	for word := w.next(); word != nil; word = w.next() {
		for part := word; len(part) > 0; {
			var one []byte
			one, part, _ = cut(part, '_')
			if a := cefAction(one); a != NoAction {
				e.Action = a
			}
		}
	}
	return e.Action != NoAction
}

// cefSlots are the custom fields that have a label beside them.
type cefSlots struct {
	rule, in, out []byte // the slot whose label says so: cs1, cs4 …
}

// cefEvent gathers an extension. Custom fields are read by their labels.
func (p *Parser) cefEvent(r *record, keys func([]byte) field, act func([]byte) Action, tail field, e *Event) bool {
	slots := cefLabels(r.ext)
	g := gather{e: e, act: act, tail: tail}
	s := cefFields{rest: r.ext}
	var when int64
	var v6src, v6dst, zoneIn, zoneOut []byte
	closedPort := false
	for k, v, open, ok := s.next(); ok; k, v, open, ok = s.next() {
		f := keys(k)
		switch {
		case string(k) == "rt" || string(k) == "start" || string(k) == "end" && when == 0:
			if t := p.cefTime(v); t != 0 && !open && (when == 0 || k[0] == 'r') {
				when = t
			}
			continue
		case slots.rule != nil && bytes.Equal(k, slots.rule):
			f = fRule
		case slots.in != nil && bytes.Equal(k, slots.in) && !open:
			zoneIn = v
		case slots.out != nil && bytes.Equal(k, slots.out) && !open:
			zoneOut = v
		case string(k) == "c6a2" && !open:
			v6src = v
		case string(k) == "c6a3" && !open:
			v6dst = v
		}
		if f != fNone {
			closedPort = closedPort || f == fDstPort && !open
			g.set(f, v, open)
		}
	}
	if !g.has(fSrc) && !g.has(fDst) && len(v6src) > 0 && len(v6dst) > 0 {
		g.set(fSrc, v6src, false)
		g.set(fDst, v6dst, false)
	}
	if len(e.In) == 0 && len(e.Out) == 0 {
		e.In, e.Out = zoneIn, zoneOut
	}
	e.Rule = cefText(e.Rule)
	if when == 0 {
		when = g.when(p)
	}
	if when != 0 {
		e.Time = when
	}
	return g.doneTo() && (closedPort || !e.HasPorts)
}

// cefText takes the backslashes out of a value that has any.
func cefText(v []byte) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v
	}
	text := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
		}
		text = append(text, v[i])
	}
	return text
}

// cefLabels finds the slots of rule and zones by their labels.
func cefLabels(ext []byte) (slots cefSlots) {
	s := cefFields{rest: ext}
	for k, v, _, ok := s.next(); ok; k, v, _, ok = s.next() {
		slot, is := bytes.CutSuffix(k, []byte("Label"))
		if !is {
			continue
		}
		switch {
		case sameAny(v, "rule", "rule name", "rulename", "rule id", "ruleid", "acl_rule_name", "policy", "policy id", "policy name", "policyid", "access rule"):
			slots.rule = slot
		case sameAny(v, "source zone", "src zone", "inbound zone", "vlan"):
			slots.in = slot
		case sameAny(v, "destination zone", "dst zone", "outbound zone"):
			slots.out = slot
		}
	}
	return slots
}

func sameAny(b []byte, wants ...string) bool {
	for _, want := range wants {
		if same(b, want) {
			return true
		}
	}
	return false
}

// cefTime reads rt, start and end: milliseconds since 1970 or a time in text.
func (p *Parser) cefTime(v []byte) int64 {
	if when, ok := parseEpoch(v); ok {
		return when
	}
	if when, n := p.stamp(v); n > 0 && (n == len(v) || string(trim(v[n:])) == "GMT" || string(trim(v[n:])) == "UTC") {
		return when
	}
	return 0
}

// cefKeys are the keys of the standard (and of drafts of it).
func cefKeys(k []byte) field {
	switch string(k) {
	case "src", "sourceAddress":
		return fSrc
	case "dst", "destinationAddress":
		return fDst
	case "spt", "sourcePort":
		return fSrcPort
	case "dpt", "destinationPort":
		return fDstPort
	case "proto", "transportProtocol":
		return fProto
	case "act", "deviceAction":
		return fAction
	case "sourceTranslatedAddress":
		return fNATSrc
	case "destinationTranslatedAddress":
		return fNATDst
	case "sourceTranslatedPort":
		return fNATSrcPort
	case "destinationTranslatedPort":
		return fNATDstPort
	case "deviceInboundInterface":
		return fIn
	case "deviceOutboundInterface":
		return fOut
	case "in", "out":
		return fBytes
	case "UNIFIpolicyName":
		return fRule
	}
	return fNone
}

// cefAction is what the words of products mean that have no reader of their
// own.
func cefAction(v []byte) Action {
	switch {
	case sameAny(v, "discard", "discarded", "reset", "refuse", "refused", "terminate", "prevent", "prevented"):
		return Deny
	case sameAny(v, "open", "opened", "accept decisively"):
		return Permit
	}
	return actionWord(v)
}
