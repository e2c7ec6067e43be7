package nftables

import (
	"strconv"
	"strings"
)

// commands reads a whole text.
func (p *parser) commands() error {
	for p.skipEnds(); !p.done(); p.skipEnds() {
		if err := p.command(); err != nil {
			return err
		}
		if p.peek().is("}") {
			return errorAt(p.peek(), "a brace that nothing opened")
		}
		p.skipStatement()
	}
	return nil
}

func (p *parser) command() error {
	t := p.next()
	switch t.text {
	case "define", "redefine":
		return p.define()
	case "undefine":
		delete(p.defines, p.next().text)
		return nil
	case "include":
		return includeAt(t)
	case "table", "chain", "rule", "set", "map", "element":
		p.at--
		return p.add("add")
	case "add", "create", "insert":
		return p.add(t.text)
	case "flush":
		return p.flush()
	case "delete", "destroy":
		return p.remove()
	case "list", "reset", "monitor", "describe", "export", "echo":
		return nil
	}
	if !p.sawCommand {
		return errorAt(t, "%q is no command of nft", t.text)
	}
	p.gap(t, t.text+" "+p.skipStatement(), "not a command that is understood")
	return nil
}

// define reads "define NAME = VALUE".
func (p *parser) define() error {
	name := p.next()
	if err := p.expect("="); err != nil {
		return err
	}
	var value []token
	for depth := 0; ; {
		if p.done() {
			if depth > 0 {
				return errorAt(name, "the value of %q does not end", name.text)
			}
			break
		}
		t := p.peek()
		if t.is(";") && depth == 0 || t.is("}") && depth == 0 {
			break
		}
		switch {
		case t.is("{"):
			depth++
		case t.is("}"):
			depth--
		}
		if strings.Contains(t.text, "$") && !t.quoted {
			return errorAt(t, "%q is not defined", t.text)
		}
		p.at++
		if !t.is(";") {
			value = append(value, t)
		}
	}
	p.sawCommand = true
	p.defines[name.text] = value
	return nil
}

var familyNames = map[string]bool{"ip": true, "ip6": true, "inet": true, "arp": true, "bridge": true, "netdev": true}

// tableID reads "[FAMILY] NAME"; without a family it is ip (nft(8)).
func (p *parser) tableID() (TableID, error) {
	id := TableID{Family: "ip"}
	t := p.next()
	if familyNames[t.text] && !t.quoted && !p.atEnd() && !p.peek().is("{") {
		id.Family = t.text
		t = p.next()
	}
	if t.is(";") || t.is("{") || t.is("}") || t.text == "" {
		return id, errorAt(t, "the name of a table is missing")
	}
	id.Name = t.text
	return id, nil
}

// add reads "add table|chain|rule|set|map|element|… …".
func (p *parser) add(verb string) error {
	kind := p.next()
	if kind.is("ct") || kind.is("flowtable") || kind.is("secmark") || kind.is("synproxy") {
		p.skipStatement()
		return nil
	}
	if familyNames[kind.text] || !isKind(kind.text) { // "add inet t c tcp dport 22 accept"
		p.at--
		kind.text = "rule"
	}
	id, err := p.tableID()
	if err != nil {
		return err
	}
	p.sawCommand = true
	t := p.doc.table(id)
	p.family = id.Family
	switch kind.text {
	case "table":
		return p.tableBlock(t)
	case "chain":
		return p.chainBlock(t.chain(p.next().text), false)
	case "rule":
		return p.ruleCommand(t, verb == "insert")
	case "element":
		return p.element(t)
	}
	return p.objectBlock(t, kind.text)
}

func isKind(s string) bool {
	return strings.Contains(" table chain rule set map element counter quota limit ", " "+s+" ")
}

// ruleCommand reads "CHAIN [handle|position|index N] STATEMENTS".
func (p *parser) ruleCommand(t *confTable, front bool) error {
	name := p.next()
	ch := t.chain(name.text)
	if at := p.peek(); at.is("handle") || at.is("position") || at.is("index") {
		p.at++
		n := p.next()
		p.gap(at, at.text+" "+n.text, "a rule put at a place that only the loaded rule set has")
	}
	r := p.rule()
	if front {
		ch.rules = append([]object{r}, ch.rules...)
		return nil
	}
	ch.rules = append(ch.rules, r)
	return nil
}

// element reads "SET { ELEMENTS }".
func (p *parser) element(t *confTable) error {
	name := p.next().text
	kind := "set"
	if t.named[[2]string{"map", name}] != nil {
		kind = "map"
	}
	o := t.object(kind, name)
	elems, err := p.elements()
	o["elem"] = append(list(o["elem"]), elems...)
	return err
}

func (p *parser) flush() error {
	kind := p.next()
	if kind.is("ruleset") {
		p.doc = confDoc{}
		p.missing = nil
		p.sawCommand = true
		p.skipStatement()
		return nil
	}
	id, err := p.tableID()
	t := p.doc.find(id)
	p.sawCommand = true
	if err != nil || t == nil {
		return err
	}
	switch kind.text {
	case "table":
		for _, ch := range t.chains {
			ch.rules = nil
		}
	case "chain":
		if ch := t.byName[p.next().text]; ch != nil {
			ch.rules = nil
		}
	case "set", "map":
		if o := t.named[[2]string{kind.text, p.next().text}]; o != nil {
			o["elem"] = nil
		}
	}
	return nil
}

func (p *parser) remove() error {
	kind := p.next()
	start := p.at
	id, err := p.tableID()
	if err != nil {
		return err
	}
	p.sawCommand = true
	t := p.doc.find(id)
	switch {
	case kind.is("table"):
		p.doc.remove(id)
	case t == nil:
	case kind.is("chain"):
		t.removeChain(p.next().text)
	case kind.is("set"), kind.is("map"), kind.is("limit"), kind.is("quota"):
		delete(t.named, [2]string{kind.text, p.next().text})
	default:
		p.at = start
		p.gap(kind, "delete "+kind.text+" "+p.skipStatement(), "what is deleted is not followed")
	}
	return nil
}

// tableBlock reads "{ … }" of a table, if there is one.
func (p *parser) tableBlock(t *confTable) error {
	if !p.accept("{") {
		return nil
	}
	for {
		p.skipEnds()
		if p.done() {
			return errorAt(p.peek(), "the table %s %s does not end", t.id.Family, t.id.Name)
		}
		if p.accept("}") {
			return nil
		}
		if err := p.tableItem(t); err != nil {
			return err
		}
	}
}

func (p *parser) tableItem(t *confTable) error {
	word := p.next()
	switch word.text {
	case "chain":
		return p.chainBlock(t.chain(p.next().text), true)
	case "set", "map", "limit", "quota", "counter":
		return p.objectBlock(t, word.text)
	case "flags":
		t.dormant = strings.Contains(" "+strings.ReplaceAll(p.skipStatement(), ",", " ")+" ", " dormant ")
	case "define", "redefine":
		return p.define()
	case "include":
		return includeAt(word)
	case "comment", "handle", "owner", "elements":
		p.skipStatement()
	case "flowtable", "ct", "secmark", "synproxy", "tunnel":
		for !p.atEnd() && !p.peek().is("{") {
			p.at++
		}
		if p.accept("{") {
			return p.skipBlock()
		}
	default:
		return errorAt(word, "%q in a table", word.text)
	}
	return nil
}

// chainBlock reads a chain's declaration and rules.
func (p *parser) chainBlock(ch *confChain, inTable bool) error {
	if !p.accept("{") {
		if !inTable {
			return nil
		}
		return p.expect("{")
	}
	for {
		p.skipEnds()
		switch {
		case p.done():
			return errorAt(p.peek(), "the chain %s does not end", ch.name)
		case p.accept("}"):
			return nil
		}
		if err := p.chainItem(ch); err != nil {
			return err
		}
	}
}

func (p *parser) chainItem(ch *confChain) error {
	t := p.peek()
	switch {
	case t.is("type"):
		return p.baseChain(ch)
	case t.is("policy"):
		p.at++
		ch.attrs["policy"] = p.next().text
	case t.is("flags"), t.is("devices"), t.is("comment"):
		p.skipStatement()
	case t.is("include"):
		return includeAt(t)
	case t.is("define"):
		p.at++
		return p.define()
	default:
		ch.rules = append(ch.rules, p.rule())
	}
	return nil
}

// baseChain reads "type T hook H [device D] priority P; [policy V;]".
func (p *parser) baseChain(ch *confChain) error {
	p.at++
	ch.attrs["type"] = p.next().text
	for !p.atEnd() {
		switch t := p.next(); t.text {
		case "hook":
			ch.attrs["hook"] = p.next().text
		case "device":
			ch.attrs["dev"] = p.next().text
		case "devices":
			if err := p.expect("="); err != nil {
				return err
			}
			devs, err := p.elements()
			if err != nil {
				return err
			}
			ch.attrs["devs"] = devs
		case "priority":
			n, err := p.priority()
			if err != nil {
				return err
			}
			ch.attrs["prio"] = jsonInt(n)
		case "policy":
			ch.attrs["policy"] = p.next().text
		default:
			return errorAt(t, "%q in the declaration of chain %s", t.text, ch.name)
		}
	}
	return nil
}

// priorities are the names of priorities (nft(8), "Standard priority names").
var priorities = map[string]int{"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}

// bridgePriorities are those of the bridge family.
var bridgePriorities = map[string]int{"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}

// priority reads "-150", "filter", "mangle - 5", "dstnat+10".
func (p *parser) priority() (int, error) {
	t := p.peek()
	var text strings.Builder
	for !p.atEnd() && !p.peek().is("policy") {
		text.WriteString(p.next().text)
	}
	s := text.String()
	names := priorities
	if p.family == "bridge" {
		names = bridgePriorities
	}
	end := 0
	for end < len(s) && s[end]|0x20 >= 'a' && s[end]|0x20 <= 'z' {
		end++
	}
	base, known := names[s[:end]]
	if end > 0 && !known {
		return 0, errorAt(t, "no priority %q", s)
	}
	if end == len(s) && end > 0 {
		return base, nil
	}
	n, err := strconv.ParseInt(s[end:], 10, 32)
	if err != nil {
		return 0, errorAt(t, "no priority %q", s)
	}
	return base + int(n), nil
}
