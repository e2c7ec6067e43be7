package windows

import (
	"errors"
	"strings"
)

// powerShell reads a line with a cmdlet of the NetSecurity module. Only
// New-NetFirewallRule and Set-NetFirewallProfile with literal arguments are
// followed; cmdlets that only look, and the removal of rules of a group
// before any rule is made, change nothing.
func (r *reader) powerShell(no int, line string) {
	args, err := splitPowerShell(line)
	name := ""
	if len(args) > 0 {
		name = strings.ToLower(args[0].text())
	}
	switch {
	case err != nil:
		r.lost(no, line, err.Error())
	case name == "new-netfirewallrule":
		r.newRule(no, args[1:])
	case name == "set-netfirewallprofile":
		r.setProfile(no, args[1:])
	case strings.HasPrefix(name, "get-netfirewall") && !strings.Contains(line, "|"), name == "show-netfirewallrule":
	case (name == "remove-netfirewallrule" || strings.HasPrefix(name, "get-netfirewallrule")) && len(r.rules) == 0:
	default:
		r.lost(no, line, "a command whose effect is not followed")
	}
}

// argument is a word or a list of words; a bare word may be a parameter's name.
type argument struct {
	words []string
	bare  bool
}

func (a argument) text() string { return strings.Join(a.words, ",") }

// parameter is the name of a parameter, in lower case, without its dash.
func (a argument) parameter() (string, bool) {
	if !a.bare || len(a.words) != 1 || len(a.words[0]) < 2 || a.words[0][0] != '-' || a.words[0][1] >= '0' && a.words[0][1] <= '9' {
		return "", false
	}
	return strings.ToLower(strings.TrimSuffix(a.words[0][1:], ":")), true
}

var (
	errNotLiteral = errors.New("an argument that is not literal")
	errQuotes     = errors.New("a command whose quotes do not close")
)

// splitPowerShell splits a command into words and lists of words: 'it”s',
// "with `"escapes`"", a,b, @('a','b'). What PowerShell would compute is an
// error; a pipe or a semicolon ends the command.
func splitPowerShell(line string) (out []argument, err error) {
	s := []rune(line)
	join := false // the word goes on the list before
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '(' || c == ')' || c == '@' && i+1 < len(s) && s[i+1] == '(':
			i++
			continue
		case c == ',':
			join = len(out) > 0
			i++
			continue
		case c == '|' || c == ';':
			if rest := strings.TrimSpace(string(s[i+1:])); rest != "" && !strings.HasPrefix(strings.ToLower(rest), "out-null") && rest[0] != '#' {
				return out, errNotLiteral
			}
			return out, nil
		case c == '#':
			return out, nil
		}
		word, next, bare, err := powerShellWord(s, i)
		if err != nil {
			return out, err
		}
		i = next
		if join {
			out[len(out)-1].words = append(out[len(out)-1].words, word)
			join = false
			continue
		}
		out = append(out, argument{[]string{word}, bare})
	}
	return out, nil
}

// powerShellWord reads the word that begins at i.
func powerShellWord(s []rune, i int) (word string, next int, bare bool, err error) {
	var b strings.Builder
	switch quote := s[i]; quote {
	case '\'', '"':
		for i++; i < len(s); i++ {
			switch c := s[i]; {
			case c == quote && i+1 < len(s) && s[i+1] == quote:
				b.WriteRune(c)
				i++
			case c == quote:
				return b.String(), i + 1, false, nil
			case quote == '"' && c == '$':
				return "", i, false, errNotLiteral
			case quote == '"' && c == '`' && i+1 < len(s):
				i++
				b.WriteRune(s[i])
			default:
				b.WriteRune(c)
			}
		}
		return "", i, false, errQuotes
	}
	for ; i < len(s) && !strings.ContainsRune(" \t,()|;'\"", s[i]); i++ {
		if c := s[i]; c == '$' && !isWord(b.String()+string(s[i:min(len(s), i+5)]), "$true") && !strings.HasPrefix(strings.ToLower(string(s[i:])), "$false") {
			return "", i, false, errNotLiteral
		} else if c == '@' || c == '{' || c == '}' || c == '`' {
			return "", i, false, errNotLiteral
		}
		b.WriteRune(s[i])
	}
	return b.String(), i, true, nil
}

// newRule reads the parameters of New-NetFirewallRule.
func (r *reader) newRule(no int, args []argument) {
	r.found = true
	// The cmdlet's own defaults: enabled, inbound, allow.
	ru := &rule{line: no, direction: inbound, action: allow}
	display := ""
	for i := 0; i < len(args); i++ {
		name, ok := args[i].parameter()
		if !ok {
			r.problems.Add(no, 0, args[i].text(), "an argument without its parameter")
			ru.obscure("the argument %q of the rule", args[i].text())
			continue
		}
		var v []string
		if i+1 < len(args) {
			if _, next := args[i+1].parameter(); !next {
				v = args[i+1].words
				i++
			}
		}
		if name == "displayname" {
			display = strings.Join(v, ",")
		}
		r.newRuleParameter(no, ru, name, v)
	}
	if display != "" {
		ru.name = display
	}
	r.add(ru)
}

func (r *reader) newRuleParameter(no int, ru *rule, name string, v []string) {
	text := strings.Join(v, ",")
	switch name {
	case "name":
		ru.name = text
	case "description":
		ru.comment = text
	case "direction":
		ru.direction = r.direction(no, text)
	case "action":
		ru.action = r.action(no, text)
	case "enabled":
		ru.disabled = r.enabled(no, strings.TrimPrefix(text, "$"))
	case "profile":
		ru.profiles = words(text)
	case "protocol":
		ru.proto = text
	case "icmptype":
		ru.types = v
	case "localport":
		ru.localPorts = words(text)
	case "remoteport":
		ru.remotePorts = words(text)
	case "localaddress":
		ru.localAddrs = words(text)
	case "remoteaddress":
		ru.remoteAddrs = words(text)
	case "overrideblockrules":
		if !strings.EqualFold(text, "$false") && ru.action == allow {
			ru.action = bypass
		}
	case "displayname", "group", "policystore", "gposession", "edgetraversalpolicy", "erroraction", "confirm", "whatif", "verbose",
		"localonlymapping", "loosesourcemapping", "warningaction", "cimsession", "asjob":
	default:
		ru.newRuleCondition(r, no, name, text)
	}
}

func (ru *rule) newRuleCondition(r *reader, no int, name, text string) {
	switch name {
	case "program":
		ru.program(text)
	case "service":
		ru.service(text)
	case "interfacetype":
		ru.interfaceTypes(words(text))
	case "interfacealias":
		ru.condition("the interface is", text)
	case "authentication", "encryption":
		ru.security(text)
	case "package":
		ru.condition("the app is", text)
	case "localuser", "owner":
		ru.condition("the local user is", text)
	case "remoteuser":
		ru.condition("the remote user is", text)
	case "remotemachine":
		ru.condition("the remote computer is", text)
	case "platform":
		ru.condition("the platform is", text)
	case "dynamictarget", "dynamictransport":
		ru.condition("the traffic is", text)
	default:
		r.problems.Add(no, 0, "-"+name, "a parameter that is not known")
		ru.obscure("the parameter -%s %s of the rule", name, text)
	}
}

// setProfile reads Set-NetFirewallProfile.
func (r *reader) setProfile(no int, args []argument) {
	set := map[string]string{}
	for i := 0; i < len(args); i++ {
		name, ok := args[i].parameter()
		switch {
		case ok && i+1 < len(args):
			i++
			set[name] = args[i].text()
		case ok:
			set[name] = ""
		default: // the first argument may be the profile's name
			set["profile"] = args[i].text()
		}
	}
	var which []*profile
	for _, s := range words(set["profile"] + "," + set["name"]) {
		if i := profileIndex(s); i >= 0 {
			which = append(which, &r.profiles[i])
		}
	}
	if _, all := set["all"]; all || len(which) == 0 {
		which = r.netshProfiles("all")
	}
	r.found = true
	for name, v := range set {
		for _, p := range which {
			switch name {
			case "enabled":
				p.off = isWord(v, "false", "$false")
			case "defaultinboundaction":
				p.inbound = r.profileAction(no, v)
			case "defaultoutboundaction":
				p.outbound = r.profileAction(no, v)
			case "allowinboundrules":
				p.blockAll = isWord(v, "false", "$false")
			}
		}
	}
}

func (r *reader) profileAction(no int, s string) int {
	if strings.EqualFold(s, "NotConfigured") {
		return 0
	}
	return r.action(no, s)
}
