package fwlog

import "bytes"

// Azure's flow logs hold many events in one line: records of flows of tuples.
//
//	{"records":[{"category":"NetworkSecurityGroupFlowEvent","properties":{"Version":2,"flows":[{"rule":"UserRule_x",
//	 "flows":[{"mac":"…","flowTuples":["1542110402,192.0.2.1,198.51.100.2,50000,443,T,I,A,B,,,,"]}]}]}}]}
//	{"records":[{"category":"FlowLogFlowEvent","flowRecords":{"flows":[{"aclID":"…","flowGroups":[{"rule":"UserRule_x",
//	 "flowTuples":["1663146003599,192.0.2.1,198.51.100.2,50000,443,6,I,B,NX,0,0,0,0"]}]}]}}]}
//
// A tuple is a connection that was denied (D), began (B), goes on (C) or ended
// (E); the last two were told of before. Packets and bytes are since the tuple
// before, both ways together. A file is one such object in one line; records
// may come singly too.

// readAzureNSG reads network security groups' flow logs, versions 1 and 2.
func readAzureNSG(p *Parser, l *line, e *Event) bool {
	return p.azure(l, e, "NetworkSecurityGroupFlowEvent", azureNSGTuple)
}

// readAzureVNet reads virtual networks' flow logs, version 4.
func readAzureVNet(p *Parser, l *line, e *Event) bool {
	return p.azure(l, e, "FlowLogFlowEvent", azureVNetTuple)
}

// azureWalk goes through the tuples below records: three or four levels of
// arrays, each an open iteration.
type azureWalk struct {
	p        *Parser
	category string
	tuple    func(text, rule []byte, e *Event) bool
	levels   []azureLevel
}

// azureLevel is an array that is gone through, with the rule that it is of.
type azureLevel struct {
	items jsonFields
	rule  []byte
}

func (p *Parser) azure(l *line, e *Event, category string, tuple func(text, rule []byte, e *Event) bool) bool {
	b := l.body
	if len(b) == 0 || b[0] != '{' || !bytes.Contains(b, []byte(`"flowTuples"`)) || !bytes.Contains(b, []byte(category)) {
		return false
	}
	if !isJSON(b) {
		return false
	}
	w := azureWalk{p: p, category: category, tuple: tuple}
	if !w.enter(b, nil) {
		return false
	}
	if !w.next(e) {
		return p.noEvent()
	}
	p.more = w.next
	return true
}

// enter opens the array that an object holds: records, flows, flow groups or
// tuples. A record of another category is passed over.
func (w *azureWalk) enter(object, rule []byte) bool {
	s := jsonFields{rest: object}
	var list []byte
	for s.next() {
		switch string(s.key) {
		case "category":
			if string(jsonPlain(s.value)) != w.category {
				return false
			}
		case "rule":
			rule = jsonPlain(s.value)
		case "properties", "flowRecords":
			if inner := jsonGet(s.value, "flows"); inner != nil && list == nil {
				list = inner
			}
		case "records", "flows", "flowGroups", "flowTuples":
			list = s.value
		}
	}
	if len(list) == 0 || list[0] != '[' || len(w.levels) > 6 {
		return false
	}
	w.levels = append(w.levels, azureLevel{items: jsonFields{rest: list}, rule: rule})
	return true
}

// next gives the next tuple that can be read.
func (w *azureWalk) next(e *Event) bool {
	for len(w.levels) > 0 {
		top := &w.levels[len(w.levels)-1]
		if !top.items.element() {
			w.levels = w.levels[:len(w.levels)-1]
			continue
		}
		switch item := top.items.value; item[0] {
		case '{':
			w.enter(item, top.rule)
		case '"':
			*e = Event{}
			if w.tuple(jsonPlain(item), top.rule, e) {
				return true
			}
		}
	}
	return false
}

// azureFields parts a tuple.
func azureFields(text []byte, want *[13][]byte) int {
	c := csv{rest: text, sep: ','}
	n := 0
	for v, ok := c.next(); ok; v, ok = c.next() {
		if n == len(want) {
			return 0
		}
		want[n] = trim(v)
		n++
	}
	return n
}

// azureNSGTuple: time in seconds, addresses, ports, T or U, I or O, A or D,
// and since version 2 the state and packets and bytes each way.
func azureNSGTuple(text, rule []byte, e *Event) bool {
	var f [13][]byte
	n := azureFields(text, &f)
	if n != 8 && n != 13 {
		return false
	}
	g := gather{e: e}
	proto := protoTCP
	switch string(f[5]) {
	case "T":
	case "U":
		proto = protoUDP
	default:
		return false
	}
	e.setProto(uint8(proto))
	switch string(f[7]) {
	case "A":
		e.Action = Permit
	case "D":
		e.Action = Deny
	default:
		return false
	}
	e.Ends = n == 13 && (string(f[8]) == "C" || string(f[8]) == "E")
	g.azure(&f, rule, 9)
	return azureDirection(f[6], e) && g.done()
}

// azureVNetTuple: time in milliseconds, addresses, ports, protocol's number,
// I or O, state, encryption, and packets and bytes each way.
func azureVNetTuple(text, rule []byte, e *Event) bool {
	var f [13][]byte
	if azureFields(text, &f) != 13 {
		return false
	}
	g := gather{e: e}
	g.set(fProto, f[5], false)
	switch string(f[7]) {
	case "D":
		e.Action = Deny
	case "B":
		e.Action = Permit
	case "C", "E":
		e.Action, e.Ends = Permit, true
	default:
		return false
	}
	g.azure(&f, rule, 9)
	return azureDirection(f[6], e) && g.done()
}

// azure takes what both forms share.
func (g *gather) azure(f *[13][]byte, rule []byte, counts int) {
	g.e.Time, _ = parseEpoch(f[0])
	g.set(fSrc, f[1], false)
	g.set(fDst, f[2], false)
	g.set(fSrcPort, f[3], false)
	g.set(fDstPort, f[4], false)
	g.set(fRule, rule, false)
	for i, kind := range [...]field{fPackets, fBytes, fPackets, fBytes} {
		g.set(kind, f[counts+i], false)
	}
}

func azureDirection(f []byte, e *Event) bool {
	switch string(f) {
	case "I":
		e.In = inbound
	case "O":
		e.Out = outbound
	default:
		return false
	}
	return true
}
