package exposure

import (
	"net/netip"
	"time"
)

// PortStateName is what a port answered, in nmap's terms.
type PortStateName string

// Port states.
const (
	Open         PortStateName = "open"
	Closed       PortStateName = "closed"
	Filtered     PortStateName = "filtered"
	OpenFiltered PortStateName = "open|filtered"
	Unfiltered   PortStateName = "unfiltered"
)

// PortState is one port's answer from one vantage.
type PortState struct {
	Addr    netip.Addr    `json:"-"`
	Port    uint16        `json:"port"`
	Proto   Proto         `json:"proto"`
	State   PortStateName `json:"state"`
	Reason  string        `json:"reason"` // syn-ack, conn-refused, reset, no-response, port-unreach, …
	RTT     time.Duration `json:"-"`
	RTTus   int64         `json:"rtt_us,omitempty"`
	TTL     uint8         `json:"ttl,omitempty"` // of the answer, where the transport sees it
	Service *Service      `json:"service,omitempty"`
}

// Endpoint is where the probe went.
func (p PortState) Endpoint() Endpoint {
	return Endpoint{Proto: p.Proto, Addr: IPAddress(p.Addr), Port: p.Port}
}

// Service is what spoke at a port. Name is a registry name (ssh, http, …);
// Via says how it was recognised (banner, probe, tls, table).
type Service struct {
	Name    string `json:"name"`
	Product string `json:"product,omitempty"`
	Version string `json:"version,omitempty"`
	Info    string `json:"info,omitempty"`
	CPE     string `json:"cpe,omitempty"`
	TLS     bool   `json:"tls,omitempty"`
	// TLSDetail is what the TLS handshake told, where one was made.
	TLSDetail *TLSDetail `json:"tls_detail,omitempty"`
	Via       string     `json:"via,omitempty"`
	// Auth says what the greeting told about authentication without any
	// credential being tried: "required", "none" or "".
	Auth string `json:"auth,omitempty"`
	// Banner is the first bytes that it said, bounded, hostile input.
	Banner string `json:"banner,omitempty"`
}

// TLSDetail is what a server told in a TLS handshake; nothing of it was
// verified. Texts are hostile input.
type TLSDetail struct {
	Version    string    `json:"version"`            // TLS 1.3
	ALPN       string    `json:"alpn,omitempty"`     // protocol chosen (RFC 7301)
	StartTLS   bool      `json:"starttls,omitempty"` // reached from cleartext by STARTTLS or its like
	Subject    string    `json:"subject,omitempty"`  // common name of the certificate
	Names      []string  `json:"names,omitempty"`    // its subjectAltName entries
	Issuer     string    `json:"issuer,omitempty"`   // common name, else organisation
	NotAfter   time.Time `json:"not_after,omitzero"` // end of validity
	SelfSigned bool      `json:"self_signed,omitempty"`
}

// OSGuess is a guess at the operating system; Accuracy is 0–100 and Via says
// by what (tcp-stack, banner, nmap-os-db, p0f).
type OSGuess struct {
	Name     string `json:"name"`
	Accuracy int    `json:"accuracy"`
	Via      string `json:"via"`
}

// HostScan is everything that one host answered.
type HostScan struct {
	Addr              netip.Addr            `json:"addr"`
	Name              string                `json:"name"`
	Up                bool                  `json:"up"`
	EverythingAnswers bool                  `json:"everything_answers"`
	Ports             []PortState           `json:"ports"`
	States            map[PortStateName]int `json:"states"`
	// Reason says by what the host was found up (arp-response, echo-reply,
	// syn-ack, …) or why nothing was asked of it.
	Reason string    `json:"reason,omitempty"`
	MAC    string    `json:"mac,omitempty"` // hardware address of a host on the link
	OS     []OSGuess `json:"os,omitempty"`
	// Asked is how many ports of each protocol were asked; nil where the
	// source does not say.
	Asked map[Proto]int `json:"-"`
}

// Scan is the network view from one vantage. Vantage is "self" for a
// self-scan, else the name of the evidence (a file).
type Scan struct {
	Vantage string     `json:"-"`
	Taken   time.Time  `json:"taken"`
	Hosts   []HostScan `json:"hosts"`
	Stats   ScanStats  `json:"stats"`
	Gaps    []Gap      `json:"incomplete"`
	// Notes are for people: what a state does not tell by itself.
	Notes []string `json:"notes,omitempty"`
}

// ScanStats counts probes.
type ScanStats struct {
	Sent     int64    `json:"sent"`
	Received int64    `json:"received"`
	Seconds  float64  `json:"seconds"`
	Loss     ScanLoss `json:"loss"`
}

// ScanLoss is measured with probes whose answer is known (canaries).
type ScanLoss struct {
	CanarySent int64   `json:"canary_sent"`
	CanaryLost int64   `json:"canary_lost"`
	Estimate   float64 `json:"estimate"` // 0–1
}
