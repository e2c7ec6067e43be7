package knowledge

// Range says which of the three port ranges of RFC 6335, section 6, a port
// lies in: "system" (0–1023), "user" (1024–49151) or "dynamic" (49152–65535).
func Range(port uint16) string {
	switch {
	case port < 1024:
		return "system"
	case port < 49152:
		return "user"
	}
	return "dynamic"
}

// Reserved says in plain words what the range of a port means for who may
// open it.
func Reserved(port uint16) string {
	switch {
	case port == 0:
		return "port 0 is reserved: asking for it means \"any free port\", nothing can be reached there"
	case port < 1024:
		return "reserved range 0–1023: opening it needs root or CAP_NET_BIND_SERVICE on Linux (unless net.ipv4.ip_unprivileged_port_start was lowered)"
	case port < 32768:
		return "registered range 1024–49151: any user may open it"
	case port < 49152:
		return "registered range 1024–49151: any user may open it; on Linux the kernel also hands out 32768–60999 to client sockets"
	case port < 61000:
		return "dynamic range 49152–65535: never assigned to a service; handed out to clients and to services that register elsewhere (RPC); on Linux the kernel hands out 32768–60999"
	}
	return "dynamic range 49152–65535: never assigned to a service; handed out to clients and to services that register elsewhere (RPC)"
}
