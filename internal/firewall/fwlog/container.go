package fwlog

import "bytes"

// container takes the envelopes of container runtimes and of journald's JSON
// off l.text. It tells whether something is left to read.
//
//	{"log":"…\n","stream":"stdout","time":"2023-…Z"}   Docker's json-file
//	2023-…Z stdout F …                                 CRI
//	{"MESSAGE":"…","__REALTIME_TIMESTAMP":"…"}         journalctl -o json
func (p *Parser) container(l *line) bool {
	b := l.text
	if len(b) > 0 && b[0] == '{' {
		return p.jsonEnvelope(l)
	}
	if len(b) < 32 || !digit(b[0]) {
		return true
	}
	i := bytes.Index(b[:min(len(b), 48)], []byte(" std"))
	if i < 19 {
		return true
	}
	rest := b[i+4:]
	var ok bool
	if rest, ok = cutPrefix(rest, "out "); !ok {
		rest, ok = cutPrefix(rest, "err ")
	}
	if !ok || len(rest) < 2 || rest[0] != 'F' && rest[0] != 'P' || rest[1] != ' ' {
		return true
	}
	if when, n := p.stamp(b[:i]); n == i {
		l.when = when
		l.setText(rest[2:])
		if len(l.text) > 0 && l.text[0] == '{' {
			return p.jsonEnvelope(l)
		}
	}
	return true
}

// wrapped are the members that say that a JSON object is an envelope.
type wrapped struct {
	log, stream, time           []byte
	message, realtime, tag, sys []byte
}

func (p *Parser) jsonEnvelope(l *line) bool {
	var w wrapped
	s := jsonFields{rest: l.text}
	for s.next() {
		switch string(s.key) {
		case "log":
			w.log = s.value
		case "stream":
			w.stream = s.value
		case "time":
			w.time = s.value
		case "MESSAGE":
			w.message = s.value
		case "__REALTIME_TIMESTAMP":
			w.realtime = s.value
		case "SYSLOG_IDENTIFIER":
			w.tag = s.value
		case "_TRANSPORT":
			w.sys = s.value
		}
	}
	switch {
	case s.bad:
		return true // some dialect may know better
	case w.message != nil && (w.realtime != nil || w.sys != nil || w.tag != nil):
		return p.journalJSON(l, &w)
	case w.log != nil && w.log[0] == '"' && (w.stream != nil || w.time != nil):
		p.dockerJSON(l, &w)
	}
	return true
}

func (p *Parser) dockerJSON(l *line, w *wrapped) {
	var text []byte
	text, p.scratch[0] = jsonText(w.log, p.scratch[0])
	if when, ok := p.parseStamp(jsonPlain(w.time)); ok {
		l.when = when
	}
	l.setText(text)
}

// journalJSON: a message that is no UTF-8 is an array of its bytes.
func (p *Parser) journalJSON(l *line, w *wrapped) bool {
	if when, ok := parseEpoch(jsonPlain(w.realtime)); ok {
		l.when = when
	}
	l.tag = jsonPlain(w.tag)
	if w.message[0] == '[' {
		text, ok := jsonBytes(w.message, p.scratch[0][:0])
		if !ok {
			return false
		}
		p.scratch[0] = text
		l.setText(text)
	} else {
		l.text, p.scratch[0] = jsonText(w.message, p.scratch[0])
		l.setText(l.text)
	}
	return len(l.text) > 0
}

func jsonBytes(array, to []byte) ([]byte, bool) {
	s := jsonFields{rest: array}
	for s.element() {
		c, ok := parseByte(s.value)
		if !ok {
			return nil, false
		}
		to = append(to, c)
	}
	return to, !s.bad
}

// journal reads a line of journald's export form (and of journalctl -o
// verbose): one field a line, an empty line ends an entry. Only MESSAGE is
// left to read.
func (p *Parser) journal(l *line) bool {
	b := trimLeft(l.text)
	if len(b) < 9 || b[0] != '_' && b[0] != 'M' {
		return true
	}
	if rest, ok := cutPrefix(b, "__REALTIME_TIMESTAMP="); ok {
		if when, ok := parseEpoch(rest); ok {
			p.carried.export, p.known = when, true
			return false
		}
	}
	if rest, ok := cutPrefix(b, "MESSAGE="); ok {
		l.when = p.carried.export
		l.text = trimLeft(rest)
		return len(l.text) > 0
	}
	if journalField(b) {
		p.known = true
		return false
	}
	return true
}

// journalField tells whether b is _NAME=…, a field that journald adds.
func journalField(b []byte) bool {
	if b[0] != '_' {
		return false
	}
	for i, c := range b {
		if c == '=' {
			return i > 2
		}
		if c != '_' && (c < 'A' || c > 'Z') && !digit(c) {
			return false
		}
	}
	return false
}

// unwrap is for a JSON object that a collector put a line into, as one of its
// members. It tells whether that line is an event.
func (p *Parser) unwrap(l *line, e *Event) bool {
	found := wrappedLine(l.text, 2)
	if found == nil {
		return false
	}
	text, kept := jsonText(found, p.scratch[2])
	p.scratch[2] = kept
	inner := line{raw: l.raw, when: l.when}
	inner.setText(text)
	if len(inner.text) < 16 {
		return false
	}
	p.header(&inner)
	p.inner = inner
	if p.askAll(&p.inner, e) {
		return true
	}
	p.known = false // the object itself may be known
	*e = Event{}
	return false
}

// wrappedLine finds the member that holds a line: Fluentd's and Docker's log,
// Logstash's and Vector's message, ECS's event.original, Splunk's _raw,
// Elasticsearch's _source, Google's textPayload, Graylog's full_message.
func wrappedLine(object []byte, depth int) (found []byte) {
	s := jsonFields{rest: object}
	for s.next() {
		switch string(s.key) {
		case "message", "msg", "log", "@message", "textPayload", "line", "raw", "short_message", "MESSAGE":
			if found == nil && s.value[0] == '"' {
				found = s.value
			}
		case "_raw", "original", "event.original", "full_message": // beside a message that was made of it
			if s.value[0] == '"' {
				found = s.value
			}
		case "event", "_source", "result":
			if depth > 1 && s.value[0] == '{' {
				if in := wrappedLine(s.value, depth-1); in != nil {
					found = in
				}
			}
		}
	}
	if s.bad {
		return nil
	}
	return found
}
