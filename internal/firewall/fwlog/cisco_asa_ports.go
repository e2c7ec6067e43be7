package fwlog

// asaPort reads a port, or one of the names that the device writes for those
// it knows (Cisco ASA General Operations CLI: TCP and UDP ports).
func asaPort(b []byte) (uint16, bool) {
	if len(b) > 0 && digit(b[0]) {
		return parsePort(b)
	}
	switch string(b) {
	case "ssh":
		return 22, true
	case "telnet":
		return 23, true
	case "smtp":
		return 25, true
	case "domain", "dns":
		return 53, true
	case "bootps":
		return 67, true
	case "bootpc":
		return 68, true
	case "tftp":
		return 69, true
	case "http", "www":
		return 80, true
	case "sunrpc":
		return 111, true
	case "ntp":
		return 123, true
	case "netbios-ns":
		return 137, true
	case "netbios-dgm":
		return 138, true
	case "netbios-ssn":
		return 139, true
	case "snmp":
		return 161, true
	case "snmptrap":
		return 162, true
	case "bgp":
		return 179, true
	case "ldap":
		return 389, true
	case "https":
		return 443, true
	case "isakmp":
		return 500, true
	case "syslog":
		return 514, true
	case "rip":
		return 520, true
	case "ldaps":
		return 636, true
	}
	return 0, false
}
