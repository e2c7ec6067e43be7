package windows

import (
	"strings"
)

// script reads commands that make rules: netsh advfirewall firewall add rule,
// and New-NetFirewallRule.
func (r *reader) script(text string) {
	var joined string
	start := 0
	comment := false
	lines(text, func(no int, line string) {
		if joined == "" {
			start = no
		}
		trimmed := strings.TrimSpace(line)
		if joined == "" && strings.HasPrefix(trimmed, "<#") {
			comment = true
		}
		if comment {
			comment = !strings.Contains(trimmed, "#>")
			return
		}
		if s, more := strings.CutSuffix(trimmed, "`"); more { // PowerShell's continuation
			joined += s + " "
			return
		}
		if s, more := strings.CutSuffix(trimmed, "^"); more { // that of cmd.exe
			joined += s + " "
			return
		}
		r.command(start, joined+trimmed)
		joined = ""
	})
	if joined != "" {
		r.command(start, joined)
	}
}

// command reads one line of a script.
func (r *reader) command(no int, line string) {
	lower := strings.ToLower(line)
	switch {
	case line == "" || strings.HasPrefix(line, ":") || strings.HasPrefix(line, "#") || strings.HasPrefix(lower, "rem ") || lower == "rem":
	case strings.Contains(lower, "netfirewall"):
		r.powerShell(no, line)
	case strings.Contains(lower, "advfirewall") || strings.HasPrefix(lower, "add rule ") || strings.HasPrefix(lower, "firewall add rule "):
		r.netsh(no, line)
	}
}

// netsh reads "netsh advfirewall firewall add rule name=… dir=… action=…".
func (r *reader) netsh(no int, line string) {
	args, ok := splitNetsh(line)
	for len(args) > 0 && isWord(args[0], "netsh", "netsh.exe", "@netsh", "advfirewall", "firewall", "-c") {
		args = args[1:]
	}
	switch {
	case !ok:
		r.lost(no, line, "a command whose quotes do not close")
	case len(args) >= 2 && isWord(args[0], "add") && isWord(args[1], "rule"):
		r.netshAdd(no, args[2:])
	case len(args) >= 4 && isWord(args[0], "set") && isWord(args[2], "firewallpolicy"):
		r.netshProfile(no, args[1], args[3])
	case len(args) >= 4 && isWord(args[0], "set") && isWord(args[2], "state"):
		for _, p := range r.netshProfiles(args[1]) {
			p.off = isWord(args[3], "off")
		}
	case len(args) >= 2 && isWord(args[0], "delete") && isWord(args[1], "rule"):
		r.netshDelete(no, line, args[2:])
	case len(args) >= 2 && isWord(args[0], "set") && isWord(args[1], "rule"), len(args) >= 1 && isWord(args[0], "reset", "import"):
		r.lost(no, line, "a command whose effect is not followed")
	}
}

func isWord(s string, words ...string) bool {
	for _, w := range words {
		if strings.EqualFold(s, w) {
			return true
		}
	}
	return false
}

// lost adds a rule that may do anything, for a command that is not understood.
func (r *reader) lost(no int, line, why string) {
	r.problems.Add(no, 0, line, why)
	r.found = true
	r.rules = append(r.rules, &rule{line: no, name: line, action: noAction, direction: eitherWay})
}

// netshProfiles are the profiles that a word of netsh stands for.
func (r *reader) netshProfiles(word string) (out []*profile) {
	word = strings.TrimSuffix(strings.ToLower(word), "profile")
	if word == "all" || word == "allprofiles" {
		return []*profile{&r.profiles[0], &r.profiles[1], &r.profiles[2]}
	}
	if i := profileIndex(word); i >= 0 {
		return []*profile{&r.profiles[i]}
	}
	return nil
}

func (r *reader) netshProfile(no int, word, policy string) {
	profiles := r.netshProfiles(word)
	if len(profiles) == 0 {
		r.lost(no, word, "a profile that is not known")
	}
	for _, p := range profiles {
		if !p.firewallPolicy(policy) {
			r.problems.Add(no, 0, policy, "a firewall policy that is not known")
		}
	}
}

// netshDelete takes back the rules of a name; with more conditions it is not
// followed.
func (r *reader) netshDelete(no int, line string, args []string) {
	name := ""
	for _, a := range args {
		key, v, _ := strings.Cut(a, "=")
		if !isWord(key, "name") {
			r.lost(no, line, "a command whose effect is not followed")
			return
		}
		name = v
	}
	kept := r.rules[:0]
	for _, ru := range r.rules {
		if ru.action == noAction || !strings.EqualFold(ru.name, name) && !strings.EqualFold(name, "all") {
			kept = append(kept, ru)
		}
	}
	r.rules = kept
}

func (r *reader) netshAdd(no int, args []string) {
	ru := &rule{line: no, action: noAction, direction: eitherWay}
	r.found = true
	for _, a := range args {
		key, v, ok := strings.Cut(a, "=")
		if !ok {
			r.problems.Add(no, 0, a, "an argument that is not understood")
			ru.obscure("the argument %q of the rule", a)
			continue
		}
		r.netshArgument(no, ru, strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(v))
	}
	r.add(ru)
}

func (r *reader) netshArgument(no int, ru *rule, key, v string) {
	switch key {
	case "name":
		ru.name = v
	case "dir":
		ru.direction = r.direction(no, v)
	case "action":
		ru.action = r.action(no, v)
	case "enable":
		ru.disabled = r.enabled(no, v)
	case "description":
		ru.comment = v
	case "profile":
		ru.profiles = words(v)
	case "localip":
		ru.localAddrs = words(v)
	case "remoteip":
		ru.remoteAddrs = words(v)
	case "localport":
		ru.localPorts = words(v)
	case "remoteport":
		ru.remotePorts = words(v)
	case "protocol":
		proto, types, typed := strings.Cut(v, ":")
		if ru.proto = proto; typed {
			ru.types = []string{types}
		}
	case "program":
		ru.program(v)
	case "service":
		ru.service(v)
	case "interfacetype":
		ru.interfaceTypes(words(v))
	case "security":
		ru.security(v)
	case "rmtcomputergrp":
		ru.condition("the remote computer is in the group", v)
	case "rmtusrgrp":
		ru.condition("the remote user is in the group", v)
	case "edge":
	default:
		r.problems.Add(no, 0, key, "an argument that is not known")
		ru.obscure("the argument %s=%s of the rule", key, v)
	}
}

// splitNetsh splits a command at blanks; double quotes keep them.
func splitNetsh(line string) (out []string, ok bool) {
	var b strings.Builder
	quoted, has := false, false
	for _, c := range line {
		switch {
		case c == '"':
			quoted, has = !quoted, true
		case (c == ' ' || c == '\t') && !quoted:
			if has {
				out = append(out, b.String())
			}
			b.Reset()
			has = false
		default:
			b.WriteRune(c)
			has = true
		}
	}
	if has {
		out = append(out, b.String())
	}
	return out, !quoted
}
