package windows

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
)

// record is a rule of an export: properties by lower-case names.
type record struct {
	line  int
	props map[string][]string
}

// get is the first of some properties that the record has.
func (rec *record) get(names ...string) ([]string, bool) {
	for _, name := range names {
		if v, ok := rec.props[name]; ok {
			return v, true
		}
	}
	return nil, false
}

func (rec *record) one(names ...string) string {
	v, _ := rec.get(names...)
	return strings.Join(v, ",")
}

// json reads what ConvertTo-Json wrote.
func (r *reader) json(data []byte) error {
	docs, err := document.JSON(data)
	for _, d := range docs {
		for v := range d.Each() {
			if v.Kind() == document.Map {
				r.record(flatten(v))
			}
		}
	}
	if !r.found && err == nil {
		return ErrFormat
	}
	return err
}

// flatten takes the properties of a rule, and of the filters that people
// leave nested in it.
func flatten(n *document.Node) *record {
	rec := &record{line: n.Line(), props: map[string][]string{}}
	for key, v := range n.Fields() {
		name := strings.ToLower(key)
		switch v.Kind() {
		case document.Map:
			if inner := v.Get("value"); inner.Kind() > document.Null && v.Get("Value") == nil { // {"value": 1, "Value": "Inbound"}
				rec.props[name] = inner.Texts()
			} else if s := v.Get("Value"); s != nil {
				rec.props[name] = s.Texts()
			} else if strings.Contains(name, "filter") {
				for k, inner := range v.Fields() {
					if _, has := rec.props[strings.ToLower(k)]; !has {
						rec.props[strings.ToLower(k)] = inner.Texts()
					}
				}
			}
		case document.Null:
			rec.props[name] = nil
		default:
			rec.props[name] = v.Texts()
		}
	}
	return rec
}

// isCSV reports a header with a rule's properties.
func isCSV(data []byte) bool {
	head, _ := csvHead(data)
	return strings.Contains(head, "direction") && (strings.Contains(head, "action") || strings.Contains(head, "localport"))
}

// csvHead is the first line that is no "#TYPE" line, in lower case, and where
// it begins.
func csvHead(data []byte) (string, int) {
	at := 0
	for line := range bytes.Lines(data) {
		if !bytes.HasPrefix(line, []byte("#")) && len(bytes.TrimSpace(line)) > 0 {
			return strings.ToLower(string(line[:min(len(line), 4096)])), at
		}
		at += len(line)
	}
	return "", at
}

// csv reads what Export-Csv wrote, with commas, semicolons or tabs.
func (r *reader) csv(data []byte) error {
	head, at := csvHead(data)
	before := bytes.Count(data[:at], []byte("\n"))
	c := csv.NewReader(bytes.NewReader(data[at:]))
	c.LazyQuotes, c.FieldsPerRecord, c.ReuseRecord = true, -1, false
	for _, comma := range ";\t" {
		if strings.Count(head, string(comma)) > strings.Count(head, string(c.Comma)) {
			c.Comma = comma
		}
	}
	names, err := c.Read()
	if err != nil {
		return err
	}
	for i := range names {
		names[i] = strings.ToLower(strings.TrimSpace(names[i]))
	}
	r.found = true
	for {
		row, err := c.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		line, _ := c.FieldPos(0)
		rec := &record{line: before + line, props: map[string][]string{}}
		for i, v := range row[:min(len(row), len(names))] {
			rec.props[names[i]] = []string{v}
		}
		r.record(rec)
	}
}

// list reads what Format-List wrote: "Name : value", an empty line between
// rules.
func (r *reader) list(text string) {
	rec := &record{props: map[string][]string{}}
	last := ""
	flush := func() {
		if len(rec.props) > 0 {
			r.record(rec)
		}
		rec, last = &record{props: map[string][]string{}}, ""
	}
	lines(text, func(no int, line string) {
		key, value, ok := strings.Cut(line, ":")
		switch {
		case strings.TrimSpace(line) == "":
			flush()
		case strings.HasPrefix(line, " ") && last != "":
			rec.props[last] = append(rec.props[last], strings.TrimSpace(line))
		case ok:
			if last = strings.ToLower(strings.TrimSpace(key)); len(rec.props) == 0 {
				rec.line = no
			}
			rec.props[last] = []string{strings.Trim(strings.TrimSpace(value), "{}")}
		}
	})
	flush()
}

// record reads a rule, or a profile of Get-NetFirewallProfile.
func (r *reader) record(rec *record) {
	if _, ok := rec.get("defaultinboundaction"); ok {
		r.profileRecord(rec)
		return
	}
	_, hasDirection := rec.get("direction")
	if _, hasAction := rec.get("action"); !hasDirection && !hasAction {
		return
	}
	r.found = true
	ru := &rule{line: rec.line, name: rec.one("displayname", "name", "rulename"), comment: rec.one("description"), action: noAction, direction: eitherWay}
	if v, ok := rec.get("enabled"); ok {
		ru.disabled = r.enabled(rec.line, strings.Join(v, ","))
	} else {
		r.once(rec.line, "", "whether rules are enabled is not told")
		ru.obscure("whether the rule %q is enabled, which the file does not tell", ru.name)
	}
	if hasDirection {
		ru.direction = r.direction(rec.line, rec.one("direction"))
	}
	if v, ok := rec.get("action"); ok {
		ru.action = r.action(rec.line, strings.Join(v, ","))
	}
	r.recordProfiles(ru, rec)
	r.recordFilters(ru, rec)
	recordConditions(ru, rec)
	_, told := rec.get("program", "application", "applicationname", "programname")
	ru.incomplete(r, told, rec.one("group", "displaygroup", "grouping", "rulegroup"))
	r.add(ru)
}

func (r *reader) recordProfiles(ru *rule, rec *record) {
	v, ok := rec.get("profile", "profiles")
	if !ok {
		r.once(rec.line, "", "the profiles of rules are not told")
		ru.obscure("for which profiles the rule %q is, which the file does not tell", ru.name)
		return
	}
	for _, s := range v {
		if n, err := strconv.ParseUint(s, 10, 31); err == nil { // bits: 1 domain, 2 private, 4 public
			if n == 0 || n&7 == 7 {
				return
			}
			for i, name := range profileNames {
				if n&(1<<i) != 0 {
					ru.profiles = append(ru.profiles, name)
				}
			}
			continue
		}
		ru.profiles = append(ru.profiles, words(s)...)
	}
}

// recordFilters reads protocol, ports and addresses. What the file leaves out
// may be a condition; local addresses and remote ports seldom are.
func (r *reader) recordFilters(ru *rule, rec *record) {
	list := func(into *[]string, certain bool, what string, names ...string) {
		v, ok := rec.get(names...)
		switch {
		case ok:
			for _, s := range v {
				if strings.Contains(s, "System.") || strings.Contains(s, "Microsoft.") { // an array that Export-Csv did not join
					r.problems.Add(rec.line, 0, s, "a list that was not written out: join it before the export")
					ru.obscure("the %s of the rule %q, which the file does not tell", what, ru.name)
					return
				}
				*into = append(*into, words(s)...)
			}
		case certain:
			r.once(rec.line, "", "the "+what+" of rules is not told, taken as any")
		default:
			r.once(rec.line, "", "the "+what+" of rules is not told")
			ru.obscure("the %s of the rule %q, which the file does not tell", what, ru.name)
		}
	}
	var proto []string
	list(&proto, false, "protocol", "protocol")
	ru.proto = strings.Join(proto, " ")
	list(&ru.localPorts, false, "local port", "localport", "localports")
	list(&ru.remotePorts, true, "remote port", "remoteport", "remoteports")
	list(&ru.localAddrs, true, "local address", "localaddress", "localip", "localaddresses")
	list(&ru.remoteAddrs, false, "remote address", "remoteaddress", "remoteip", "remoteaddresses")
	if strings.HasPrefix(strings.ToLower(ru.proto), "icmp") || ru.proto == "1" || ru.proto == "58" {
		list(&ru.types, false, "ICMP type", "icmptype", "icmptypes")
	}
	if isAny(ru.proto) || !hasPortNames(ru.proto) { // the port filter of other protocols says nothing
		if allAny(ru.localPorts) && allAny(ru.remotePorts) {
			ru.localPorts, ru.remotePorts = nil, nil
		}
	}
}

func allAny(list []string) bool {
	for _, s := range list {
		if !isAny(s) {
			return false
		}
	}
	return true
}

func hasPortNames(proto string) bool {
	n, ok := protocolNumber(proto)
	return ok && (n == 6 || n == 17)
}

func recordConditions(ru *rule, rec *record) {
	ru.program(rec.one("program", "application", "applicationname", "programname"))
	ru.service(rec.one("service", "servicename"))
	if v, ok := rec.get("interfacetype", "interfacetypes"); ok && strings.Join(v, "") != "0" {
		ru.interfaceTypes(words(strings.Join(v, ",")))
	}
	ru.condition("the interface is", rec.one("interfacealias", "interface"))
	ru.condition("the app is", rec.one("package", "packagefamilyname"))
	ru.condition("the rule's user is", rec.one("owner"))
	ru.condition("the local user is", rec.one("localuser", "localusers"))
	ru.condition("the remote user is", rec.one("remoteuser", "remoteusers"))
	ru.condition("the remote computer is", rec.one("remotemachine", "remotemachines"))
	ru.security(rec.one("authentication"))
	ru.security(rec.one("encryption"))
	ru.condition("the traffic is", dynamic(rec.one("dynamictarget", "dynamictransport")))
	ru.condition("the platform is", rec.one("platform"))
	if v := rec.one("overrideblockrules"); strings.EqualFold(v, "true") && ru.action == allow {
		ru.action = bypass
	}
}

// dynamic is a transport that is a condition: 0 and Any are none.
func dynamic(s string) string {
	if s == "0" {
		return ""
	}
	return s
}

// profileRecord reads a profile of Get-NetFirewallProfile (MSFT_NetFirewallProfile:
// actions 0 not configured, 2 allow, 4 block).
func (r *reader) profileRecord(rec *record) {
	i := profileIndex(rec.one("name", "profile", "instanceid"))
	if i < 0 {
		r.problems.Add(rec.line, 0, rec.one("name"), "a profile that is not known")
		return
	}
	r.found = true
	p := &r.profiles[i]
	switch strings.ToLower(rec.one("enabled")) {
	case "false", "0", "2":
		p.off = true
	}
	p.inbound, p.outbound = r.defaultAction(rec, "defaultinboundaction"), r.defaultAction(rec, "defaultoutboundaction")
	switch strings.ToLower(rec.one("allowinboundrules")) {
	case "false", "0":
		p.blockAll = true
	}
}

func (r *reader) defaultAction(rec *record, key string) int {
	switch s := rec.one(key); strings.ToLower(s) {
	case "", "notconfigured", "0":
		return 0
	default:
		return r.action(rec.line, s)
	}
}
