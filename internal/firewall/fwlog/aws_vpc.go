package fwlog

import "bytes"

// readVPC reads flow logs of AWS VPCs and transit gateways ("Flow log records"
// in the Amazon VPC user guide): words in the order that the header line of
// the file names, all fields of versions 2 to 8. Without a header the default
// formats, of version 2 and of transit gateways. Also in CloudWatch's
// envelopes: a time before the line, and {"logEvents":[{"message":"…"},…]},
// which is a line with many events.
//
//	2 123456789012 eni-0123456789abcdef0 192.0.2.1 198.51.100.2 50000 22 6 20 4249 1418530010 1418530070 ACCEPT OK
//
// pkt-srcaddr and pkt-dstaddr are the packet's own addresses, srcaddr and
// dstaddr those of the interface it was seen on; where they differ these are
// given as translations. A record is one direction of a flow: who began is
// told by tcp-flags alone, SYN and ACK together being an answer.
func readVPC(p *Parser, l *line, e *Event) bool {
	b := l.text
	if b[0] == '{' {
		return p.vpcBatch(b, e)
	}
	if len(b) > 30 && b[4] == '-' && digit(b[0]) {
		if when, n := p.stamp(b); n > 0 && when != 0 && n < len(b) {
			b = trimLeft(b[n:])
		}
	}
	if len(b) == 0 || !digit(b[0]) && !letter(b[0]) && b[0] != '-' {
		return false
	}
	return p.vpcLine(b, e)
}

// vpcBatch reads what CloudWatch sends to subscribers, and what aws logs
// filter-log-events -o json prints in one line.
func (p *Parser) vpcBatch(b []byte, e *Event) bool {
	if !bytes.Contains(b, []byte(`vents"`)) || !bytes.Contains(b, []byte(`"message"`)) {
		return false
	}
	list := jsonGet(b, "logEvents")
	if list == nil {
		list = jsonGet(b, "events")
	}
	if len(list) == 0 || list[0] != '[' || !isJSON(b) {
		return false
	}
	events := jsonFields{rest: list}
	next := func(e *Event) bool {
		for events.element() {
			*e = Event{}
			if p.vpcMessage(jsonGet(events.value, "message"), e) {
				return true
			}
		}
		return false
	}
	if !next(e) {
		return false
	}
	p.known = false // records without data may have come first
	p.more = next
	return true
}

func (p *Parser) vpcMessage(value []byte, e *Event) bool {
	text, kept := jsonText(value, p.scratch[1])
	p.scratch[1] = kept
	text = trim(text)
	return len(text) > 0 && p.vpcLine(text, e)
}

// vpcColumn is what a field is to an Event.
const (
	vpcStart field = 64 + iota
	vpcPktSrc
	vpcPktDst
	vpcStatus
	vpcFlags
	vpcDirection
	vpcInterface
	vpcOther
)

// vpcNames are all fields that a header may name.
func vpcColumn(name []byte) (field, bool) {
	switch string(name) {
	case "srcaddr":
		return fSrc, true
	case "dstaddr":
		return fDst, true
	case "srcport":
		return fSrcPort, true
	case "dstport":
		return fDstPort, true
	case "protocol":
		return fProto, true
	case "packets":
		return fPackets, true
	case "bytes":
		return fBytes, true
	case "start":
		return vpcStart, true
	case "action":
		return fAction, true
	case "log-status":
		return vpcStatus, true
	case "pkt-srcaddr":
		return vpcPktSrc, true
	case "pkt-dstaddr":
		return vpcPktDst, true
	case "tcp-flags":
		return vpcFlags, true
	case "flow-direction":
		return vpcDirection, true
	case "interface-id":
		return vpcInterface, true
	}
	return vpcOther, vpcIgnored(name)
}

// vpcIgnored knows the names that say nothing about who asked whom. Those of
// ECS, Lambda and transit gateways are known by how they begin.
func vpcIgnored(name []byte) bool {
	for _, begin := range [...]string{"ecs-", "tgw-", "packets-lost-", "pkt-", "encryption-", "lambda-", "resource-"} {
		if hasPrefix(name, begin) {
			return true
		}
	}
	switch string(name) {
	case "version", "account-id", "end", "vpc-id", "subnet-id", "instance-id", "type", "region", "az-id",
		"sublocation-type", "sublocation-id", "traffic-path", "reject-reason":
		return true
	}
	return false
}

// vpcHeader keeps the columns of a header line: every word is a field's name,
// and both addresses are among them. Athena and Parquet exports write _ for -.
func (p *Parser) vpcHeader(b []byte) bool {
	if bytes.Contains(b, []byte("src_addr")) || bytes.Contains(b, []byte("account_id")) {
		b = bytes.ReplaceAll(b, []byte("_"), []byte("-"))
	}
	var codes []uint8
	var src, dst bool
	w := words{rest: b}
	for name := w.next(); name != nil; name = w.next() {
		f, ok := vpcColumn(name)
		if !ok || len(codes) == 128 {
			return false
		}
		src = src || f == fSrc || f == vpcPktSrc
		dst = dst || f == fDst || f == vpcPktDst
		codes = append(codes, uint8(f))
	}
	if !src || !dst {
		return false
	}
	p.setColumns("aws-vpc", b, codes)
	return p.noEvent()
}

// The default format of version 2.
var vpcVersion2 = [...]uint8{
	uint8(vpcOther), uint8(vpcOther), uint8(vpcInterface), uint8(fSrc), uint8(fDst), uint8(fSrcPort), uint8(fDstPort),
	uint8(fProto), uint8(fPackets), uint8(fBytes), uint8(vpcStart), uint8(vpcOther), uint8(fAction), uint8(vpcStatus),
}

// All fields of versions 2 to 5 in the order in which the user guide lists
// them, which is that of the console's "select all".
var vpcVersion5 = [29]uint8{
	2: uint8(vpcInterface), 3: uint8(fSrc), 4: uint8(fDst), 5: uint8(fSrcPort), 6: uint8(fDstPort),
	7: uint8(fProto), 8: uint8(fPackets), 9: uint8(fBytes), 10: uint8(vpcStart), 12: uint8(fAction), 13: uint8(vpcStatus),
	17: uint8(vpcFlags), 19: uint8(vpcPktSrc), 20: uint8(vpcPktDst), 27: uint8(vpcDirection),
}

// The default format of transit gateways, version 6.
var vpcTransit = [36]uint8{
	16: uint8(fSrc), 17: uint8(fDst), 18: uint8(fSrcPort), 19: uint8(fDstPort), 20: uint8(fProto),
	21: uint8(fPackets), 22: uint8(fBytes), 23: uint8(vpcStart), 25: uint8(vpcStatus),
	31: uint8(vpcFlags), 33: uint8(vpcDirection),
}

func (p *Parser) vpcLine(b []byte, e *Event) bool {
	if letter(b[0]) && bytes.Contains(b, []byte("addr")) {
		return p.vpcHeader(b)
	}
	columns := p.columnsOf("aws-vpc")
	if columns == nil && !(len(b) > 1 && digit(b[0]) && b[1] == ' ') && !bytes.Contains(b, []byte(" tgw-")) {
		return false
	}
	var all [128][]byte
	n := 0
	w := words{rest: b}
	for word := w.next(); word != nil; word = w.next() {
		if n == len(all) {
			return false
		}
		all[n] = word
		n++
	}
	if n < 4 {
		return false
	}
	if codes := vpcDefault(all[:n]); codes != nil {
		return p.vpcRecord(all[:n], codes, e)
	}
	return len(columns) == n && p.vpcRecord(all[:n], columns, e)
}

// vpcDefault tells the default formats by words that no others have there.
func vpcDefault(w [][]byte) []uint8 {
	switch {
	case len(w) == len(vpcVersion2) && string(w[0]) == "2" && hasPrefix(w[2], "eni-") && vpcLogStatus(w[13]):
		return vpcVersion2[:]
	case len(w) == len(vpcVersion5) && string(w[0]) == "5" && hasPrefix(w[2], "eni-") && vpcLogStatus(w[13]) && hasPrefix(w[14], "vpc-"):
		return vpcVersion5[:]
	case len(w) == len(vpcTransit) && hasPrefix(w[3], "tgw-") && vpcLogStatus(w[25]):
		return vpcTransit[:]
	}
	return nil
}

func vpcLogStatus(b []byte) bool {
	switch string(b) {
	case "OK", "NODATA", "SKIPDATA":
		return true
	}
	return false
}

// vpc is what a record says beside what gather knows.
type vpc struct {
	g                gather
	src, dst         []byte // of the packet itself
	eni, dir, status []byte
	flags            uint64
}

func (p *Parser) vpcRecord(w [][]byte, codes []uint8, e *Event) bool {
	v := vpc{g: gather{e: e, act: vpcAction}}
	for i, c := range codes {
		if string(w[i]) != "-" {
			v.take(field(c), w[i], i == len(codes)-1)
		}
	}
	switch {
	case v.status != nil && !vpcLogStatus(v.status):
		return false
	case string(v.status) == "NODATA":
		return p.noEvent()
	case string(v.status) == "SKIPDATA":
		e.Limited = true
		return p.noEvent()
	}
	return v.done()
}

func (v *vpc) take(f field, word []byte, last bool) {
	switch f {
	case vpcStart:
		v.g.e.Time, _ = parseEpoch(word)
	case vpcPktSrc:
		v.src = word
		v.g.bad = v.g.bad || last
	case vpcPktDst:
		v.dst = word
		v.g.bad = v.g.bad || last
	case vpcStatus:
		v.status = word
	case vpcFlags:
		v.flags, _ = parseUint(word)
	case vpcDirection:
		v.dir = word
	case vpcInterface:
		v.eni = word
	case vpcOther, fNone:
	case fAction:
		v.g.set(f, word, last)
		v.g.bad = v.g.bad || v.g.e.Action == NoAction
	default:
		v.g.set(f, word, last)
	}
}

func vpcAction(b []byte) Action {
	switch string(b) {
	case "ACCEPT":
		return Permit
	case "REJECT":
		return Deny
	}
	return NoAction
}

func (v *vpc) done() bool {
	e := v.g.e
	if !v.packet() {
		return false
	}
	name := v.eni
	if name == nil {
		name = v.dir
	}
	switch string(v.dir) {
	case "ingress":
		e.In = name
	case "egress":
		e.Out = name
	}
	if !v.g.done() {
		return false
	}
	const syn, ack = 2, 16
	if e.Proto == protoTCP && v.flags&(syn|ack) == syn|ack {
		e.turn()
	}
	return true
}

// packet puts the packet's own addresses first.
func (v *vpc) packet() bool {
	e := v.g.e
	if v.src != nil {
		a, ok := parseAddr(v.src)
		e.NATSrc, e.Src = e.Src, a
		if !ok {
			return false
		}
	}
	if v.dst != nil {
		a, ok := parseAddr(v.dst)
		e.NATDst, e.Dst = e.Dst, a
		if !ok {
			return false
		}
	}
	return true
}

// turn puts the initiator first, where the line named the responder so.
func (e *Event) turn() {
	e.Src, e.Dst = e.Dst, e.Src
	e.SrcPort, e.DstPort = e.DstPort, e.SrcPort
	e.NATSrc, e.NATDst = e.NATDst, e.NATSrc
	e.NATSrcPort, e.NATDstPort = e.NATDstPort, e.NATSrcPort
	e.In, e.Out = e.Out, e.In
	e.Reversed = true
}
