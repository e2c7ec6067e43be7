package unreach

// PortUnreach is the reason that means "closed" for UDP and "filtered" for
// TCP.
const PortUnreach = "port-unreach"

// Destination-unreachable types.
const (
	type4 = 3 // RFC 792
	type6 = 1 // RFC 4443
)

// Codes of RFC 792 and RFC 1812 section 5.2.7.1; 4 (fragmentation needed)
// refuses nothing.
var codes4 = [...]string{
	"net-unreach", "host-unreach", "proto-unreach", PortUnreach, "", "net-unreach", "net-unreach",
	"host-unreach", "host-unreach", "net-prohibited", "host-prohibited", "net-unreach", "host-unreach",
	"admin-prohibited", "host-prohibited", "host-prohibited",
}

// Codes of RFC 4443 section 3.1, in the words that nmap has for them.
var codes6 = [...]string{
	"no-route", "admin-prohibited", "beyond-scope", "host-unreach", PortUnreach, "admin-prohibited", "reject-route",
}

// Reason names an ICMP (or, v6, ICMPv6) message; ok is false where it is no
// destination-unreachable or its code is not known.
func Reason(v6 bool, kind, code byte) (reason string, ok bool) {
	codes, unreachable := codes4[:], byte(type4)
	if v6 {
		codes, unreachable = codes6[:], type6
	}
	if kind != unreachable || int(code) >= len(codes) || codes[code] == "" {
		return "", false
	}
	return codes[code], true
}
