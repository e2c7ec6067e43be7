package fwlog

import "bytes"

// readWindowsEvent reads the events of the Windows Filtering Platform in the
// Security log: 5156 (a connection was permitted), 5157 (was blocked), 5152
// and 5153 (a packet was blocked). As XML in one line, as JSON of collectors
// (winlogbeat, NXLog, Azure, Wazuh …, by the names of the event's data,
// wherever they stand), and as the text that Windows shows.
//
// Microsoft's description of 5156 says that Source is the local side, also of
// what comes in; the events say otherwise (windows-itpro-docs issue 4692, and
// every sample in public): Source is who began. Direction is %%14592 inbound,
// %%14593 outbound.
func readWindowsEvent(p *Parser, l *line, e *Event) bool {
	b := l.body
	switch {
	case len(b) == 0:
		return false
	case b[0] == '{':
		return p.windowsJSON(b, e)
	case hasPrefix(b, "<Event") || hasPrefix(l.text, "<Event"):
		return p.windowsXML(l.text, e)
	}
	return p.windowsText(l.text, e)
}

// wfp is what was met of an event.
type wfp struct {
	g    gather
	id   uint64
	time int64
	far  bool // one of its names was met: it is not only the number
}

// wfpKey knows the names of an event's data, in any case.
func wfpKey(name []byte) field {
	if len(name) < 8 || len(name) > 13 {
		return fNone
	}
	switch {
	case same(name, "sourceaddress"):
		return fSrc
	case same(name, "sourceport"):
		return fSrcPort
	case same(name, "destaddress"):
		return fDst
	case same(name, "destport"):
		return fDstPort
	case same(name, "protocol"):
		return fProto
	case same(name, "filterrtid"):
		return fRule
	case same(name, "direction"):
		return fIn
	}
	return fNone
}

func (w *wfp) set(name, value []byte) {
	f := wfpKey(name)
	switch {
	case f == fNone || len(value) == 0 || string(value) == "-":
	case f == fIn:
		w.direction(value)
	default:
		w.far = w.far || f == fSrc || f == fDst
		w.g.set(f, value, false)
	}
}

// inbound and outbound stand for the way where a dialect tells that and no
// interface.
var inbound, outbound = []byte("inbound"), []byte("outbound")

func (w *wfp) direction(v []byte) {
	switch {
	case string(v) == "%%14592" || same(v, "inbound"):
		w.g.e.In = inbound
	case string(v) == "%%14593" || same(v, "outbound"):
		w.g.e.Out = outbound
	}
}

// number takes the event's number; another one spoils it.
func (w *wfp) number(v []byte) {
	n, ok := parseUint(v)
	if !ok || w.id != 0 && w.id != n {
		w.g.bad = true
	}
	w.id = n
}

// done decides by the event's number. Those of bound and listening sockets
// (5154, 5155, 5158, 5159) have one address.
func (w *wfp) done(p *Parser) bool {
	e := w.g.e
	switch w.id {
	case 5156:
		e.Action = Permit
	case 5152, 5153, 5157:
		e.Action = Deny
	case 5150, 5151, 5154, 5155, 5158, 5159:
		if !w.g.bad {
			return p.noEvent()
		}
		return false
	default:
		return false
	}
	e.Time = w.time
	return w.g.done()
}

func (p *Parser) windowsXML(b []byte, e *Event) bool {
	i := bytes.Index(b, []byte("<Event"))
	b = trimRight(b[i:])
	if !bytes.HasSuffix(b, []byte("</Event>")) || !bytes.Contains(b, []byte("Microsoft-Windows-Security-Auditing")) {
		return false
	}
	w := wfp{g: gather{e: e}}
	id, ok := xmlText(b, "EventID")
	if !ok {
		return false
	}
	w.number(trim(id))
	if _, after, ok := cutText(b, "SystemTime="); ok && len(after) > 1 {
		if stamp, _, ok := cut(after[1:], after[0]); ok {
			w.time, _ = p.parseStamp(stamp)
		}
	}
	for {
		_, after, ok := cutText(b, "<Data Name=")
		if !ok || len(after) < 2 {
			break
		}
		name, rest, ok := cut(after[1:], after[0])
		if !ok {
			break
		}
		b = rest
		if v, ok := cutPrefix(rest, ">"); ok {
			v, _, _ = cut(v, '<')
			w.set(name, trim(v))
		}
	}
	return w.done(p)
}

// xmlText is what stands in the first element of that name.
func xmlText(b []byte, name string) ([]byte, bool) {
	for {
		i := bytes.Index(b, []byte("<"+name))
		if i < 0 {
			return nil, false
		}
		b = b[i+1+len(name):]
		if len(b) > 0 && (b[0] == '>' || b[0] == ' ') {
			break
		}
	}
	_, b, ok := cut(b, '>')
	text, _, end := cut(b, '<')
	return text, ok && end
}

func (p *Parser) windowsJSON(b []byte, e *Event) bool {
	if !bytes.Contains(b, []byte("515")) || !hasFold(b, "sourceaddress") {
		return false
	}
	if !isJSON(b) {
		return false
	}
	w := wfp{g: gather{e: e}}
	w.object(p, b, 6)
	return w.far && w.done(p)
}

// hasFold tells whether b has the text in the usual cases: SourceAddress,
// sourceAddress.
func hasFold(b []byte, lower string) bool {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(lower[1:6]))
		if i < 0 {
			return false
		}
		i += from
		if i > 0 && len(b) >= i-1+len(lower) && same(b[i-1:i-1+len(lower)], lower) {
			return true
		}
		from = i + 1
	}
}

func (w *wfp) object(p *Parser, b []byte, depth int) {
	s := jsonFields{rest: b}
	var name, text []byte
	for s.next() {
		w.member(p, s.key, s.value, depth)
		switch string(s.key) {
		case "Name", "@Name", "name":
			name = jsonPlain(s.value)
		case "#text", "Value", "value", "text", "content", "_":
			text = jsonPlain(s.value)
		}
	}
	if name != nil && text != nil { // XML made into JSON
		w.set(name, text)
	}
}

func (w *wfp) member(p *Parser, key, value []byte, depth int) {
	switch value[0] {
	case '{':
		if depth > 1 {
			w.object(p, value, depth-1)
		}
		return
	case '[':
		s := jsonFields{rest: value}
		for depth > 1 && s.element() {
			if s.value[0] == '{' {
				w.object(p, s.value, depth-1)
			}
		}
		return
	}
	v := jsonPlain(value)
	switch string(key) {
	case "EventID", "event_id", "eventID", "EventId", "eventId":
		w.number(v)
	case "SystemTime", "systemTime", "@timestamp", "TimeCreated", "time_created", "EventTime", "TimeGenerated", "time":
		w.stamp(p, key, v)
	default:
		w.set(key, v)
	}
}

// stamp takes the event's own time before those of collectors.
func (w *wfp) stamp(p *Parser, key, v []byte) {
	when, ok := p.parseStamp(v)
	if !ok {
		return
	}
	if w.time == 0 || key[0]|0x20 == 's' {
		w.time = when
	}
}

// windowsText reads what Windows shows, made one line: labels with colons,
// parted by blanks, tabs or what syslog daemons make of line ends (#011).
func (p *Parser) windowsText(b []byte, e *Event) bool {
	_, rest, ok := cutText(b, "Windows Filtering Platform has ")
	if !ok {
		return false
	}
	w := wfp{g: gather{e: e}, time: 0}
	switch {
	case hasPrefix(rest, "permitted a connection"):
		w.id = 5156
	case hasPrefix(rest, "blocked a connection"):
		w.id = 5157
	case hasPrefix(rest, "blocked a packet"):
		w.id = 5152
	case hasPrefix(rest, "permitted "), hasPrefix(rest, "blocked "):
		return p.noEvent()
	default:
		return false
	}
	_, rest, ok = cutText(rest, "Network Information:")
	rest, _, whole := cutText(rest, "Filter Information:")
	if !ok || !whole {
		return false
	}
	w.labels(rest)
	return w.done(p)
}

func (w *wfp) labels(b []byte) {
	for _, label := range [...]struct{ text, name string }{
		{"Direction:", "direction"}, {"Source Address:", "sourceaddress"}, {"Source Port:", "sourceport"},
		{"Destination Address:", "destaddress"}, {"Destination Port:", "destport"}, {"Protocol:", "protocol"},
	} {
		_, v, ok := cutText(b, label.text)
		if !ok {
			continue
		}
		w.set([]byte(label.name), labelWord(v))
	}
}

// labelWord is the word behind a label.
func labelWord(b []byte) []byte {
	for len(b) > 0 {
		switch {
		case b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n':
			b = b[1:]
			continue
		case hasPrefix(b, "#011"), hasPrefix(b, "#012"), hasPrefix(b, "#015"):
			b = b[4:]
			continue
		case hasPrefix(b, `\t`), hasPrefix(b, `\r`), hasPrefix(b, `\n`):
			b = b[2:]
			continue
		}
		break
	}
	end := 0
	for end < len(b) && b[end] != ' ' && b[end] != '\t' && b[end] != '\r' && b[end] != '#' && b[end] != '\\' {
		end++
	}
	return b[:end]
}
