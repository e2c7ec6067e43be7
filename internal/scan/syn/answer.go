package syn

import "github.com/portreeve/portreeve/internal/exposure"

// answer is what one port said so far, weakest first where order matters.
type answer uint8

const (
	unasked answer = iota
	silent
	notPermitted // the kernel refused to send the probe (an output rule, conntrack full)
	unroutable   // the kernel found no way for the probe (a rule sent it nowhere)
	reset
	portUnreach
	hostUnreach
	netUnreach
	protoUnreach
	adminProhibited
	hostProhibited
	netProhibited
	synAck
)

// meaning gives each answer's port state and reason, in nmap's words where
// nmap has one.
var meaning = [...]struct {
	state  exposure.PortStateName
	reason string
}{
	silent:          {exposure.Filtered, "no-response"},
	notPermitted:    {exposure.Filtered, "not-permitted"},
	unroutable:      {exposure.Filtered, "no-route"},
	reset:           {exposure.Closed, "reset"},
	portUnreach:     {exposure.Filtered, "port-unreach"},
	hostUnreach:     {exposure.Filtered, "host-unreach"},
	netUnreach:      {exposure.Filtered, "net-unreach"},
	protoUnreach:    {exposure.Filtered, "proto-unreach"},
	adminProhibited: {exposure.Filtered, "admin-prohibited"},
	hostProhibited:  {exposure.Filtered, "host-prohibited"},
	netProhibited:   {exposure.Filtered, "net-prohibited"},
	synAck:          {exposure.Open, "syn-ack"},
}

// settled tells an answer that came from the other side.
func (a answer) settled() bool { return a >= reset }

// merge joins a new answer with what is known: a SYN-ACK wins whenever it
// comes, else the first answer from the other side stays.
func (a answer) merge(b answer) answer {
	if b == synAck || !a.settled() && b > a {
		return b
	}
	return a
}

// icmp4Answer reads an ICMP destination-unreachable code (RFC 792, RFC 1812).
func icmp4Answer(code byte) answer {
	switch code {
	case 1, 5, 7, 12:
		return hostUnreach
	case 2:
		return protoUnreach
	case 3:
		return portUnreach
	case 9:
		return netProhibited
	case 10:
		return hostProhibited
	case 13:
		return adminProhibited
	}
	return netUnreach
}

// icmp6Answer reads an ICMPv6 destination-unreachable code (RFC 4443).
func icmp6Answer(code byte) answer {
	switch code {
	case 1, 5, 6:
		return adminProhibited
	case 3:
		return hostUnreach
	case 4:
		return portUnreach
	}
	return netUnreach
}
