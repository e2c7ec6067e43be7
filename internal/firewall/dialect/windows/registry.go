package windows

import (
	"strconv"
	"strings"
)

// registry reads the values below FirewallRules, one rule in a line, as reg
// export and reg query write them, or by themselves.
func (r *reader) registry(text string) {
	r.found = true
	section := ""
	lines(text, func(no int, line string) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "HKEY_") {
			section = strings.ToLower(strings.Trim(trimmed, "[]"))
			return
		}
		at := registryRule().FindStringIndex(line)
		if at == nil {
			r.registryProfile(section, trimmed)
			return
		}
		name, value := "", line[at[0]:]
		if strings.HasPrefix(trimmed, `"`) { // "name"="value" with backslashes
			name = strings.Trim(strings.TrimSuffix(strings.TrimSpace(line[:at[0]]), `="`), `"`)
			value = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.TrimSuffix(strings.TrimSpace(value), `"`))
		} else if f := strings.Fields(line[:at[0]]); len(f) > 0 {
			name = f[0]
		}
		r.registryRule(no, name, value)
	})
}

var registryNumber = lazy(`(?i)^"?(EnableFirewall|DefaultInboundAction|DefaultOutboundAction|DoNotAllowExceptions)"?\s*(?:=\s*dword:|REG_DWORD\s+0x)([0-9a-f]{1,8})$`)

// registryProfile reads the values of a profile's key (MS-GPFAS 2.2.3).
func (r *reader) registryProfile(section, line string) {
	m := registryNumber().FindStringSubmatch(line)
	if m == nil {
		return
	}
	var p *profile
	switch section[strings.LastIndexByte(section, '\\')+1:] {
	case "domainprofile":
		p = &r.profiles[0]
	case "standardprofile", "privateprofile":
		p = &r.profiles[1]
	case "publicprofile":
		p = &r.profiles[2]
	default:
		return
	}
	n, _ := strconv.ParseUint(m[2], 16, 32)
	blocked := map[bool]int{false: allow, true: block}
	switch strings.ToLower(m[1]) {
	case "enablefirewall":
		p.off = n == 0
	case "defaultinboundaction":
		p.inbound = blocked[n != 0]
	case "defaultoutboundaction":
		p.outbound = blocked[n != 0]
	case "donotallowexceptions":
		p.blockAll = n != 0
	}
}

// registryRule reads "v2.31|Action=Allow|Active=TRUE|Dir=In|…|".
func (r *reader) registryRule(no int, id, value string) {
	ru := &rule{line: no, name: id, action: noAction, direction: eitherWay, disabled: true}
	_, rest, _ := strings.Cut(value, "|")
	for part := range strings.SplitSeq(rest, "|") {
		key, v, ok := strings.Cut(part, "=")
		if !ok {
			if strings.TrimSpace(part) != "" {
				r.problems.Add(no, 0, part, "a field without a value")
				ru.obscure("a field of the rule that is not understood: %s", part)
			}
			continue
		}
		r.registryField(no, ru, key, v)
	}
	r.add(ru)
}

func (r *reader) registryField(no int, ru *rule, key, v string) {
	switch strings.ToLower(key) {
	case "action":
		ru.action = r.action(no, v)
	case "active":
		ru.disabled = !strings.EqualFold(v, "true")
	case "dir":
		ru.direction = r.direction(no, v)
	case "protocol":
		ru.proto = v
	case "profile":
		ru.profiles = append(ru.profiles, v)
	case "lport", "lport2_10", "lport2_20", "lport2_24", "lport2_29":
		ru.localPorts = append(ru.localPorts, v)
	case "rport", "rport2_10", "rport2_25":
		ru.remotePorts = append(ru.remotePorts, v)
	case "la4", "la6":
		ru.localAddrs = append(ru.localAddrs, v)
	case "ra4", "ra6", "ra42", "ra62":
		ru.remoteAddrs = append(ru.remoteAddrs, registryAddress(key, v))
	case "icmp4", "icmp6":
		ru.types = append(ru.types, v)
	case "name":
		if v != "" {
			ru.name = v
		}
	case "desc":
		ru.comment = v
	case "embedctxt", "edge", "defer", "lsm", "skipver", "autogenipsec", "schema":
	default:
		ru.registryCondition(r, no, key, v)
	}
}

// registryCondition reads the fields that are conditions on other things than
// a packet's header.
func (ru *rule) registryCondition(r *reader, no int, key, v string) {
	switch strings.ToLower(key) {
	case "app":
		ru.program(v)
	case "svc":
		ru.service(v)
	case "iftype":
		ru.interfaceTypes([]string{v})
	case "if":
		ru.depends("whether the interface is %s", v)
	case "security", "security2", "security2_9":
		ru.security(v)
	case "rmauth", "ruauth", "authbypassout":
		ru.depends("whether the other side is authenticated as %s", v)
	case "lauth", "luauth", "luauth2_24", "luown", "owner":
		ru.depends("whether the user is %s", v)
	case "apppkgid", "pfn", "appcontainer", "sec":
		ru.depends("whether the app is %s", v)
	case "platform", "platform2":
		ru.depends("whether the version of Windows is %s %s", key, v)
	case "nm", "networkname":
		ru.depends("whether the network is %s", v)
	case "ttk", "ttk2_22", "ttk2_27", "ttk2_28":
		ru.depends("whether the traffic is %s", v)
	default:
		r.problems.Add(no, 0, key+"="+v, "a field that is not known")
		ru.obscure("the field %s=%s of the rule", key, v)
	}
}

// registryAddress keeps a keyword to the family of its field.
func registryAddress(key, v string) string {
	if strings.EqualFold(v, "LocalSubnet") {
		if strings.HasPrefix(strings.ToLower(key), "ra6") {
			return "LocalSubnet6"
		}
		return "LocalSubnet4"
	}
	return v
}
