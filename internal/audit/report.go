package audit

import (
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Report is the audit's answer (schema portreeve.audit/1).
type Report struct {
	Taken      time.Time          `json:"taken"`
	Host       string             `json:"host"`
	Incomplete []exposure.Gap     `json:"incomplete"`
	Endpoints  []Endpoint         `json:"endpoints"`
	Findings   []exposure.Finding `json:"findings"`
	Summary    Summary            `json:"summary"`
}

// Endpoint is one row.
type Endpoint struct {
	Proto       exposure.Proto       `json:"proto"`
	Addr        exposure.Address     `json:"addr"`
	Port        uint16               `json:"port"`
	Scope       exposure.Scope       `json:"scope"`
	Service     string               `json:"service"`
	Processes   []exposure.Process   `json:"processes"`
	Unit        string               `json:"unit"`
	Package     string               `json:"package"`
	Container   *exposure.Container  `json:"container"`
	Kernel      *exposure.KernelUser `json:"kernel"`
	Views       Views                `json:"views"`
	Verdict     exposure.Verdict     `json:"verdict"`
	Findings    []string             `json:"findings"`
	Why         []string             `json:"why"` // what the verdict rests on
	ActivatedBy string               `json:"activated_by"`
	DualStack   bool                 `json:"dual_stack"`
	Device      string               `json:"device"`
	Sockets     int                  `json:"sockets"`
	NetNS       exposure.NetNS       `json:"netns"`
	// OwnerUnknown says why there is no process.
	OwnerUnknown string `json:"owner_unknown,omitempty"`
	// SentTo is where DNAT or a redirect sends the port, as addr:port.
	SentTo string `json:"sent_to,omitempty"`
	// Firewall are the rules that decide, as text.
	Firewall []string `json:"firewall_rules,omitempty"`
	// UsedBy are addresses of clients, as many as were kept.
	UsedBy []netip.Addr `json:"used_by,omitempty"`
	// Identified is what spoke at the port, if anything did.
	Identified *exposure.Service `json:"identified,omitempty"`
}

// Name is proto/addr:port.
func (e *Endpoint) Name() string {
	return exposure.Endpoint{Proto: e.Proto, Addr: e.Addr, Port: e.Port}.String()
}

// Views is one column per witness.
type Views struct {
	Host     string                 `json:"host"`    // listening, absent, unknown
	Network  string                 `json:"network"` // a port state or unknown
	Firewall exposure.PermitVerdict `json:"firewall"`
	Traffic  *TrafficView           `json:"traffic"`
}

// Host view words.
const (
	Listening = "listening"
	Absent    = "absent"
	Unknown   = "unknown"
)

// TrafficView is who used the endpoint: Clients counts distinct addresses,
// Last is null when nobody came.
type TrafficView struct {
	Clients int        `json:"clients"`
	Packets uint64     `json:"packets"`
	Last    *time.Time `json:"last"`
	// AtLeast: there may have been more clients.
	AtLeast bool `json:"at_least,omitempty"`
}

// Watch is what the traffic view rests on.
type Watch struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds float64   `json:"watched_seconds"`
	Source  string    `json:"source"`
	Packets uint64    `json:"packets"`
	Dropped uint64    `json:"dropped"`
	Grade   string    `json:"grade"` // of the capture, A to F; "" where there was none
	// Doubts are why it was not used to say that nobody came.
	Doubts []string `json:"doubts"`
	Cannot []string `json:"cannot_know"`
}

// Summary is the first line in numbers.
type Summary struct {
	Endpoints int                       `json:"endpoints"`
	Reachable int                       `json:"reachable"`
	Attention int                       `json:"attention"` // ports with a finding of low or above
	Verdicts  map[exposure.Verdict]int  `json:"verdicts"`
	Findings  map[exposure.Severity]int `json:"findings"`
	Addresses int                       `json:"addresses"`
	Asked     int                       `json:"ports_asked"` // TCP ports asked per address
	Seconds   float64                   `json:"scan_seconds"`
	// ShortLived are ports that opened or closed while the audit ran:
	// noted, never alarmed.
	ShortLived []string `json:"short_lived"`
	Notes      []string `json:"notes"`
	Vantages   []string `json:"vantages"` // names of outside views that covered this host
	// Traffic is null when nobody watched.
	Traffic *Watch `json:"traffic"`
	// Evidence are the files that were judged instead of this host.
	Evidence []Evidence `json:"evidence,omitempty"`
	// Reach is an address at which other machines may scan this host; empty
	// when it has none but loopback.
	Reach string `json:"reach,omitempty"`
}
