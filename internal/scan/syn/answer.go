package syn

import (
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/unreach"
)

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
	noRoute
	beyondScope
	rejectRoute
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
	noRoute:         {exposure.Filtered, "no-route"},
	beyondScope:     {exposure.Filtered, "beyond-scope"},
	rejectRoute:     {exposure.Filtered, "reject-route"},
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

// refusal is the answer that an ICMP destination-unreachable message gives.
func refusal(v6 bool, kind, code byte) (answer, bool) {
	reason, ok := unreach.Reason(v6, kind, code)
	if !ok {
		return unasked, false
	}
	for a := portUnreach; a < synAck; a++ {
		if meaning[a].reason == reason {
			return a, true
		}
	}
	return netUnreach, true
}
