package exposure

import (
	"net/netip"
	"time"
)

// PermitVerdict is the firewall's answer for a stranger's new packet.
type PermitVerdict string

// Firewall verdicts. Partial depends on the packet's source or interface;
// Unknown means a rule was not understood or no rule set could be read.
const (
	Permitted     PermitVerdict = "permit"
	Denied        PermitVerdict = "deny"
	Partial       PermitVerdict = "partial"
	UnknownPermit PermitVerdict = "unknown"
)

// Permit is what the firewall says of a stranger's new packet to one
// endpoint. What loopback alone may do does not count.
type Permit struct {
	Verdict PermitVerdict
	// Rules are the rules (or default policies) that decide, as text fit for
	// a person, the deciding one last.
	Rules []string
	// Why is one sentence for an unknown or partial verdict.
	Why string
	// Target is where DNAT or a redirect sends the packet; nil without one.
	Target *Translation
	// ByDefault: decided by a default policy or by the absence of rules; no
	// rule named this port.
	ByDefault bool
	// NamesPort: a deciding rule, or one that led to it, names the port.
	NamesPort bool
	// PartlySent says on what it depends whether a permitted packet is sent on
	// to Target; "" when all or none are.
	PartlySent string
}

// PermitRule is a rule on the way in that accepts new packets to named
// destination ports. Addr is invalid when it holds for every address.
type PermitRule struct {
	Proto       Proto
	Addr        netip.Addr
	First, Last uint16
	Rule        string
}

// OwnAddress is one address of this host's network namespace. IP carries the
// zone when it is link-local.
type OwnAddress struct {
	IP        netip.Addr
	Interface string
}

// Translation is a destination rewrite (DNAT, redirect).
type Translation struct {
	Addr netip.Addr // invalid: the packet's own address (redirect)
	Port uint16     // 0: the packet's own port
	Rule string
}

// PublishedPort is a port that a rule set sends elsewhere, listener or not.
// Addr is invalid when the rule holds for every address of the host. Local is
// true when the host's own connections meet the rule too (output hook).
type PublishedPort struct {
	Proto  Proto
	Addr   netip.Addr
	First  uint16
	Last   uint16
	Target Translation
	Local  bool
	Rule   string
	// OnlyLocal: only the host's own connections meet the rule.
	OnlyLocal bool
}

// Usage is who really used an endpoint: the traffic view.
type Usage struct {
	Endpoint Endpoint
	// Clients are the distinct client addresses seen (at most a bounded
	// number of them; Count is the full number).
	Clients []netip.Addr
	Count   int
	Packets uint64
	Last    time.Time
	// AtLeast: there may have been more clients than Count.
	AtLeast bool
}

// Traffic is the traffic view: who used what between From and To. A listener
// without a Usage is one of which nothing is known.
type Traffic struct {
	From, To time.Time
	Source   string // "connections in the kernel's table", "packets seen", …
	Usage    []Usage
	// Watched is how much of the time between From and To was watched; 0: all.
	Watched time.Duration
	// Packets were looked at, Dropped were missed, as far as is known. Grade
	// is the capture's, A to F; "" where there was none.
	Packets, Dropped uint64
	Grade            string
	// Doubts are why it must not be concluded from this that nobody else came,
	// one sentence each. Cannot is what it cannot know by its nature.
	Doubts, Cannot []string
}

// Window is how long was watched.
func (t *Traffic) Window() time.Duration {
	if t.Watched > 0 {
		return t.Watched
	}
	return t.To.Sub(t.From)
}
