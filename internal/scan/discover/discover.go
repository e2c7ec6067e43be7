package discover

import (
	"errors"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Targets are the addresses to ask, each once.
type Targets interface {
	Len() uint64
	At(i uint64) netip.Addr
}

// Host is a host that is up.
type Host struct {
	Addr netip.Addr
	// Reason is arp-response, nd-response, echo-reply, timestamp-reply, syn-ack,
	// reset, conn-refused, localhost-response, or that of an ICMP error
	// (port-unreach, admin-prohibited, …).
	Reason string
	RTT    time.Duration // 0: not known
	TTL    uint8         // of the answer; 0: not known
	MAC    string        // of a host on the link
}

// Method is how hosts are asked.
type Method uint8

// Methods.
const (
	Auto    Method = iota // Raw where permitted, else Connect
	Raw                   // own packets: needs CAP_NET_RAW
	Connect               // connect(2) and ping sockets: needs nothing
)

// Options of a search; the zero value is a sensible one.
type Options struct {
	From    netip.Addr // source address; zero: the kernel's choice
	Iface   string     // outgoing interface; "": the kernel's choice
	Method  Method
	Rate    float64 // probes a second, kept; 0: the default of each kind of link
	MaxRate float64 // no more than that; 0: no limit
	Tries   int     // of every probe to a silent target; 0: two, of large ranges a sample first
	// Progress is told a few times a second how many of the targets are done.
	Progress func(done, total uint64)
}

// Default rates, probes a second.
const (
	linkRate    = 10_000
	beyondRate  = 5_000
	connectRate = 2_000
)

// rate is what the options make of a default.
func (o *Options) rate(usual float64) float64 {
	if o.Rate > 0 {
		usual = o.Rate
	}
	if o.MaxRate > 0 {
		usual = min(usual, o.MaxRate)
	}
	return usual
}

// Summary is what a search amounted to.
type Summary struct {
	Targets, Up uint64
	Asked       uint64 // targets settled; the others are in Gaps
	NoHost      uint64 // broadcast and multicast addresses, never asked
	Connected   bool   // some were asked without CAP_NET_RAW, which sees less
	Stats       exposure.ScanStats
	Gaps        []exposure.Gap
}

// ErrUnsupported is the answer to Raw on systems where it is not built.
var ErrUnsupported = errors.New("host discovery with own packets works on Linux only")

// Reasons in nmap's words that are not those of an ICMP error.
const (
	reasonARP       = "arp-response"
	reasonND        = "nd-response"
	reasonEcho      = "echo-reply"
	reasonTimestamp = "timestamp-reply"
	reasonSYNACK    = "syn-ack"
	reasonReset     = "reset"
	reasonRefused   = "conn-refused"
	reasonLocal     = "localhost-response"
)

// Ports asked, as nmap does by default: open or closed, they are the ones
// that firewalls let through most often.
const (
	portSYN = 443
	portACK = 80
)
