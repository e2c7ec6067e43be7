package windows

import (
	"strings"
)

// show reads the text of netsh advfirewall firewall show rule, and of show
// allprofiles.
func (r *reader) show(text string) {
	s := &shower{reader: r}
	lines(text, s.line)
	s.end()
}

// shower reads netsh's listing line by line.
type shower struct {
	*reader
	cur     *rule
	has     map[string]bool
	group   string
	last    string // the key of the line before
	profile *profile
}

func (s *shower) line(no int, line string) {
	key, value, ok := strings.Cut(line, ":")
	indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
	key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
	switch {
	case strings.HasPrefix(line, "---") || strings.TrimSpace(line) == "":
	case !indented && key == "rule name":
		s.end()
		s.found, s.profile = true, nil
		s.cur, s.has, s.group = &rule{line: no, name: value, action: noAction, direction: eitherWay}, map[string]bool{}, ""
	case !indented && strings.HasSuffix(key, " profile settings"):
		s.end()
		if i := profileIndex(strings.TrimSuffix(key, " profile settings")); i >= 0 {
			s.found, s.profile = true, &s.profiles[i]
		}
	case s.profile != nil:
		s.setting(no, line)
	case s.cur == nil:
	case indented:
		s.more(no, line)
		return
	case ok:
		s.has[key] = true
		s.field(no, key, value)
	}
	s.last = key
}

// setting reads a line of a profile: the name, blanks, the value.
func (s *shower) setting(no int, line string) {
	f := strings.Fields(line)
	switch {
	case len(f) == 2 && strings.EqualFold(f[0], "State"):
		s.profile.off = strings.EqualFold(f[1], "OFF")
	case len(f) == 3 && strings.EqualFold(f[0]+" "+f[1], "Firewall Policy"):
		if !s.profile.firewallPolicy(f[2]) {
			s.problems.Add(no, 0, line, "a firewall policy that is not known")
		}
	}
}

// field reads a line of a rule.
func (s *shower) field(no int, key, value string) {
	ru := s.cur
	switch key {
	case "enabled":
		ru.disabled = s.enabled(no, value)
	case "direction":
		ru.direction = s.direction(no, value)
	case "profiles":
		ru.profiles = words(value)
	case "grouping":
		s.group = value
	case "localip":
		ru.localAddrs = words(value)
	case "remoteip":
		ru.remoteAddrs = words(value)
	case "protocol":
		ru.proto = value
	case "localport":
		ru.localPorts = words(value)
	case "remoteport":
		ru.remotePorts = words(value)
	case "program":
		ru.program(value)
	case "service":
		ru.service(value)
	case "interfacetypes":
		ru.interfaceTypes(words(value))
	case "security":
		ru.security(value)
	case "rule source", "edge traversal", "description":
	case "remote computer group", "rmtcomputergrp", "remotecomputergroup":
		ru.condition("the remote computer is in the group", value)
	case "remote user group", "rmtusrgrp", "remoteusergroup":
		ru.condition("the remote user is in the group", value)
	case "action":
		ru.action = s.action(no, value)
	default:
		s.problems.Add(no, 0, key, "a property that is not known")
		ru.obscure("the property %q of the rule", key)
	}
}

// more reads an indented line: types of ICMP below the protocol, or what goes
// on from the line before.
func (s *shower) more(no int, line string) {
	f := strings.Fields(line)
	switch {
	case s.last == "protocol" && len(f) == 2 && strings.EqualFold(f[0], "Type"):
	case s.last == "protocol" && len(f) == 2:
		if isAny(f[0]) {
			s.cur.types = append(s.cur.types, "any")
			return
		}
		s.cur.types = append(s.cur.types, f[0]+":"+f[1])
	case s.last == "protocol" && len(f) == 1:
		s.cur.types = append(s.cur.types, f[0])
	case s.last == "remoteip":
		s.cur.remoteAddrs = append(s.cur.remoteAddrs, words(line)...)
	case s.last == "localip":
		s.cur.localAddrs = append(s.cur.localAddrs, words(line)...)
	case s.last == "localport":
		s.cur.localPorts = append(s.cur.localPorts, words(line)...)
	case s.last == "remoteport":
		s.cur.remotePorts = append(s.cur.remotePorts, words(line)...)
	case s.last == "description" || s.last == "program" || s.last == "rule name":
	default:
		s.problems.Add(no, 0, line, "a line that is not understood")
		s.cur.obscure("a line of the rule that is not understood: %s", strings.TrimSpace(line))
	}
}

// end finishes a rule.
func (s *shower) end() {
	if s.cur == nil {
		return
	}
	s.cur.incomplete(s.reader, s.has["program"], s.group)
	s.add(s.cur)
	s.cur = nil
}

// incomplete deals with a rule whose program the form does not tell.
func (ru *rule) incomplete(r *reader, told bool, group string) {
	if told || ru.disabled {
		return
	}
	if group == "" && len(ru.localPorts) > 0 && !isAny(ru.localPorts[0]) {
		r.once(ru.line, ru.name, "the programs and services of rules are not told: rules with ports of their own and no group are taken as for every program")
		return
	}
	if group == "" && (strings.HasPrefix(strings.ToLower(ru.proto), "icmp") || ru.action == block) {
		return
	}
	r.once(ru.line, ru.name, "the program of this rule is not told, and may be a condition")
	ru.obscure("for which program the rule %q is, which the file does not tell", ru.name)
}

// add takes a rule, and says what of it is not known.
func (r *reader) add(ru *rule) {
	if ru.action == noAction {
		r.problems.Add(ru.line, 0, ru.name, "a rule without an action")
	}
	if ru.direction == eitherWay {
		r.problems.Add(ru.line, 0, ru.name, "a rule without a direction")
	}
	r.rules = append(r.rules, ru)
}

// enabled reports a rule that is not enabled.
func (r *reader) enabled(no int, s string) (disabled bool) {
	switch strings.ToLower(s) {
	case "yes", "true", "1":
		return false
	case "no", "false", "2":
		return true
	}
	r.problems.Add(no, 0, s, "neither enabled nor disabled, taken as enabled")
	return false
}

func (r *reader) direction(no int, s string) int {
	switch strings.ToLower(s) {
	case "in", "inbound", "1":
		return inbound
	case "out", "outbound", "2":
		return outbound
	}
	r.problems.Add(no, 0, s, "a direction that is not known")
	return eitherWay
}

// action reads netsh's, the registry's and PowerShell's words and numbers
// (MSFT_NetFirewallRule: 2 allow, 3 allow bypass, 4 block).
func (r *reader) action(no int, s string) int {
	switch strings.ToLower(s) {
	case "allow", "2":
		return allow
	case "block", "4":
		return block
	case "bypass", "allowbypass", "3":
		return bypass
	}
	r.problems.Add(no, 0, s, "an action that is not known")
	return noAction
}

// program, service and the like are conditions on what a packet does not show.
func (ru *rule) program(s string) {
	if !isAny(s) && !strings.EqualFold(s, "N/A") {
		ru.depends("whether the program is %s", s)
	}
}

func (ru *rule) service(s string) {
	if !isAny(s) {
		ru.depends("whether the service is %s", s)
	}
}

func (ru *rule) condition(what, s string) {
	if !isAny(s) && !strings.EqualFold(s, "none") {
		ru.depends("whether %s %s", what, s)
	}
}

func (ru *rule) interfaceTypes(list []string) {
	for _, s := range list {
		if isAny(s) {
			return
		}
	}
	if len(list) > 0 {
		ru.depends("whether the interface is of the type %s", shown(list))
	}
}

func (ru *rule) security(s string) {
	switch strings.ToLower(s) {
	case "", "notrequired", "0":
		return
	}
	ru.depends("whether the connection is secured by IPsec (%s)", s)
}
