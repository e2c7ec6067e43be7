package rulefile

import "time"

// Schema is the first line of every rule file.
const Schema = "portreeve.rules/1"

// File is a rule file.
type File struct {
	Schema string `yaml:"schema"`
	// Made says when and from what it was made.
	Made    time.Time `yaml:"made,omitempty"`
	Sources []string  `yaml:"sources,omitempty"`
	// Window is the time that the evidence covers.
	Window *Window `yaml:"window,omitempty"`
	// CannotKnow says in sentences what the evidence does not show.
	CannotKnow []string `yaml:"cannot_know,omitempty"`
	// Name names chains, tables and access lists in what is rendered
	// ("portreeve").
	Name string `yaml:"name,omitempty"`
	// Rules are taken in order, the first that fits decides; what none fits is
	// denied.
	Rules []Rule `yaml:"rules"`
}

// Window is a time that was watched.
type Window struct {
	From time.Time `yaml:"from"`
	To   time.Time `yaml:"to"`
}

// Rule permits or denies new connections.
type Rule struct {
	Name   string `yaml:"name,omitempty"`
	Action string `yaml:"action"` // permit, deny; ask: proposed, waits for a person's word, does nothing
	// Proto is tcp, udp, sctp, udplite, dccp, icmp, icmp6, a protocol number,
	// or any.
	Proto string `yaml:"proto"`
	// From and To are addresses, prefixes and ranges (a-b); empty: any.
	From []string `yaml:"from,omitempty"`
	To   []string `yaml:"to,omitempty"`
	// Ports are destination ports, "443" or "8000-8010"; empty: all. Types are
	// ICMP types, "8" or "3/4" (type/code). FromPorts are source ports.
	Ports     []string `yaml:"ports,omitempty"`
	FromPorts []string `yaml:"from_ports,omitempty"`
	Types     []string `yaml:"types,omitempty"`
	// In and Out are interfaces; a trailing * stands for any ending.
	In  string `yaml:"in,omitempty"`
	Out string `yaml:"out,omitempty"`
	// Service is what it is for (a registry name). Dynamic names a protocol
	// that agrees further ports in band (ftp, tftp, sip, rpc, msrpc …): its
	// helper or port range belongs to the rule.
	Service string `yaml:"service,omitempty"`
	Dynamic string `yaml:"dynamic,omitempty"`
	Comment string `yaml:"comment,omitempty"`
	// Protected rules are kept whatever the evidence says (the operator's own
	// access, protected ports).
	Protected string    `yaml:"protected,omitempty"` // why
	Evidence  *Evidence `yaml:"evidence,omitempty"`

	// Line is where the rule begins in the file it was read from; 0 for a rule
	// that was made. It is not written.
	Line int `yaml:"-"`
}

// Evidence is what a rule was learned from.
type Evidence struct {
	Flows      uint64    `yaml:"flows"`             // connections
	Denied     uint64    `yaml:"denied,omitempty"`  // denials, for a proposal from a deny log
	Packets    uint64    `yaml:"packets,omitempty"` // both directions
	Bytes      uint64    `yaml:"bytes,omitempty"`
	Clients    int       `yaml:"clients,omitempty"` // distinct addresses
	Servers    int       `yaml:"servers,omitempty"`
	First      time.Time `yaml:"first,omitempty"`
	Last       time.Time `yaml:"last,omitempty"`
	Days       int       `yaml:"days,omitempty"`       // distinct days with such a flow
	Peers      []string  `yaml:"peers,omitempty"`      // a few, the busiest first: "client -> server:port (flows)"
	Confidence string    `yaml:"confidence,omitempty"` // high, medium, low
	Why        string    `yaml:"why,omitempty"`        // how it was generalised, and why this confidence
}
