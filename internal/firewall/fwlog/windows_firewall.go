package fwlog

// readWindowsFirewall reads Windows Defender Firewall's pfirewall.log: columns
// as the #Fields line names them, times as #Time Format says (local). Without
// that line the columns are those that Windows has written since Vista, with
// or without the process at the end; then the words must fit.
//
//	#Version: 1.5
//	#Software: Microsoft Windows Firewall
//	#Time Format: Local
//	#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin icmptype icmpcode info path
//	2024-03-01 10:00:00 DROP TCP 192.0.2.1 198.51.100.2 50000 445 52 S 1 0 64240 - - - RECEIVE
//
// The file's end may be anywhere in a line: one with fewer columns is none.
func readWindowsFirewall(p *Parser, l *line, e *Event) bool {
	b := l.text
	if b[0] == '#' {
		return p.windowsHeader(b)
	}
	if !windowsDate(b) {
		if b = l.body; !windowsDate(b) {
			return false
		}
	}
	codes := p.columnsOf("windows-firewall")
	if codes == nil {
		if codes = windowsDefault(b); codes == nil {
			return false
		}
	}
	return p.windowsLine(b, codes, e)
}

// windowsDate tells whether b begins with 2006-01-02 15:04:05 and a word.
func windowsDate(b []byte) bool {
	return len(b) > 40 && digit(b[0]) && b[4] == '-' && b[7] == '-' && b[10] == ' ' &&
		b[13] == ':' && b[16] == ':' && b[19] == ' ' && letter(b[20])
}

func (p *Parser) windowsHeader(b []byte) bool {
	fields, ok := cutPrefix(b, "#Fields:")
	if !ok {
		for _, own := range [...]string{"#Version: 1.5", "#Software: Microsoft Windows Firewall", "#Time Format: ",
			"#Verson: 1.0", "#Software: Microsoft Internet Connection Firewall"} { // the last two: Windows XP
			if hasPrefix(b, own) {
				return p.noEvent()
			}
		}
		return false
	}
	var codes []uint8
	met := uint32(0)
	w := words{rest: fields}
	for name := w.next(); name != nil && len(codes) < 64; name = w.next() {
		f := windowsColumn(name)
		codes = append(codes, uint8(f))
		if f < winPath {
			met |= 1 << f
		}
	}
	const need = 1<<fDate | 1<<fTime | 1<<fAction | 1<<fProto | 1<<fSrc | 1<<fDst
	if met&need != need {
		return false
	}
	p.setColumns("windows-firewall", fields, codes)
	return p.noEvent()
}

// Columns beyond those of gather.
const (
	winPath field = 64 + iota
	winInfo
	winPID
)

func windowsColumn(name []byte) field {
	switch string(name) {
	case "date":
		return fDate
	case "time":
		return fTime
	case "action":
		return fAction
	case "protocol":
		return fProto
	case "src-ip":
		return fSrc
	case "dst-ip":
		return fDst
	case "src-port":
		return fSrcPort
	case "dst-port":
		return fDstPort
	case "icmptype":
		return fICMPType
	case "icmpcode":
		return fICMPCode
	case "info":
		return winInfo
	case "path":
		return winPath
	case "pid":
		return winPID
	}
	return fNone
}

// windowsColumns are those since Windows Vista; pid came with Windows 11.
var windowsColumns = [...]uint8{
	uint8(fDate), uint8(fTime), uint8(fAction), uint8(fProto), uint8(fSrc), uint8(fDst),
	uint8(fSrcPort), uint8(fDstPort), 0, 0, 0, 0, 0, uint8(fICMPType), uint8(fICMPCode),
	uint8(winInfo), uint8(winPath), uint8(winPID),
}

// windowsDefault gives the usual columns if the line has so many words, and
// the words in the third and 17th are those that stand there.
func windowsDefault(b []byte) []uint8 {
	n := 0
	var action, path []byte
	w := words{rest: b}
	for word := w.next(); word != nil; word = w.next() {
		switch n {
		case 2:
			action = word
		case 16:
			path = word
		}
		n++
	}
	if n != 17 && n != 18 || !windowsWord(action) || !windowsPath(path) {
		return nil
	}
	return windowsColumns[:n]
}

func windowsWord(b []byte) bool {
	a, ends := windowsAction(b)
	return a != NoAction || ends || string(b) == "INFO-EVENTS-LOST"
}

func windowsPath(b []byte) bool {
	switch string(b) {
	case "SEND", "RECEIVE", "FORWARD", "UNKNOWN", "-":
		return true
	}
	return false
}

// windowsAction knows the actions of Windows XP too: OPEN, CLOSE.
func windowsAction(b []byte) (a Action, ends bool) {
	switch string(b) {
	case "ALLOW", "OPEN", "OPEN-INBOUND":
		return Permit, false
	case "DROP":
		return Deny, false
	case "CLOSE":
		return NoAction, true
	}
	return NoAction, false
}

func (p *Parser) windowsLine(b []byte, codes []uint8, e *Event) bool {
	g := gather{e: e, act: func([]byte) Action { return NoAction }}
	w := words{rest: b}
	var action, path, info []byte
	for i, c := range codes {
		v := w.next()
		if v == nil {
			return false
		}
		switch f := field(c); {
		case f == winPath:
			path = v
		case f == winInfo:
			info = v
		case f == fAction:
			action = v
		case string(v) != "-" && f != fNone && f != winPID:
			g.set(f, v, i == len(codes)-1)
		}
	}
	if len(trimLeft(w.rest)) > 0 || !windowsWord(action) || path != nil && !windowsPath(path) {
		return false
	}
	if codes[0] == uint8(fDate) && codes[1] == uint8(fTime) { // as always
		e.Time, _ = p.stamp(b)
	} else {
		e.Time = g.when(p)
	}
	return p.windowsEvent(&g, action, path, info)
}

func (p *Parser) windowsEvent(g *gather, action, path, info []byte) bool {
	e := g.e
	e.Action, e.Ends = windowsAction(action)
	if string(action) == "INFO-EVENTS-LOST" {
		e.Limited = true
		e.Suppressed, _ = parseUint(info)
		return p.noEvent()
	}
	switch string(path) {
	case "RECEIVE":
		e.In = path
	case "SEND":
		e.Out = path
	}
	return g.done()
}
