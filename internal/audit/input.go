package audit

import (
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
)

// Wall answers for the firewall: may a stranger's new packet come in? AskAny
// asks for a socket that is bound to every address of the families named.
type Wall interface {
	Ask(proto exposure.Proto, dst netip.Addr, port uint16) exposure.Permit
	AskAny(proto exposure.Proto, v4, v6 bool, port uint16) exposure.Permit
}

// Book answers what a port or a service means.
type Book interface {
	Name(proto exposure.Proto, port uint16) string
	Advice(proto exposure.Proto, port uint16) *knowledge.Advice
	AdviceAt(proto exposure.Proto, port uint16, hints ...string) *knowledge.Advice
	Candidates(proto exposure.Proto, port uint16) []*knowledge.Advice
}

// Input is all the evidence of one audit.
type Input struct {
	Host  string
	Taken time.Time
	Self  exposure.NetNS        // the namespace that is audited
	Addrs []exposure.OwnAddress // its addresses

	// Before and After stand around the scan; After is judged. They cover
	// all namespaces that could be read and hold packet and raw sockets.
	Before, After exposure.Snapshot
	// Seen are listeners met at any moment of the re-check.
	Seen []exposure.Endpoint

	Scan      *exposure.Scan                         // self-scan; nil: none was made
	Rechecked []exposure.PortState                   // the last word on suspects and on DNAT targets
	Greetings map[exposure.Endpoint]exposure.Service // what spoke, by the endpoint that was asked
	Vantages  []exposure.Scan                        // scans of this host made elsewhere

	Wall        Wall // nil: no rule set could be read
	Published   []exposure.PublishedPort
	PermitRules []exposure.PermitRule

	Traffic *exposure.Traffic // nil: nobody watched
	// Past is who used the listeners in a long time, by the history; nil
	// without one. Its usage counts for a port at any address that the
	// listener takes, and one without clients stands in it too.
	Past *exposure.Traffic
	// Evidence are the files that stand for a host that was not looked at
	// itself; empty when this host was audited.
	Evidence []Evidence
	// HostUnknown: nobody listed the sockets; rows are what was seen serving.
	HostUnknown   bool
	Notes         []string // more that a reader must know
	Book          Book
	Policy        *policy.Policy // nil: none given
	Disagreements []Disagreement
	Gaps          []exposure.Gap
}

// Evidence is one file that was read instead of the host itself.
type Evidence struct {
	File string `json:"file"`
	Kind string `json:"kind"` // capture, flows, traffic, host, scan
	What string `json:"what"` // in words, with its time
}

// Disagreement is one endpoint on which the kernel's own sources differ after
// a re-check (--deep).
type Disagreement struct {
	Endpoint exposure.Endpoint
	Seen     []string // sources that list it
	Missing  []string // sources that do not
	Why      string
}
