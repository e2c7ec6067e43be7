package learn

import (
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// DefaultMaxRules is how many rules a person still reads, and the number by
// which the quality of learning is judged.
const DefaultMaxRules = 20

// DefaultTightness generalises clients to the segments that they were seen in
// and leaves servers as they are.
const DefaultTightness = 0.5

// Options say how far learning may go. Take Defaults and change them.
type Options struct {
	// Tightness is from 0 (widest) to 1 (nothing but what was seen); see
	// Tightness levels in the package comment.
	Tightness float64
	// MaxRules is the most rules there may be; 0: DefaultMaxRules, where a few
	// more are made rather than permits wider than the evidence; negative: as
	// many as there are.
	MaxRules int
	Policy   Policy
	// Registry names a port's service; may be nil.
	Registry func(proto exposure.Proto, port uint16) string
	// From and To are the window that was watched; zero: the flows' own first
	// and last time.
	From, To time.Time
	// Made goes into the file.
	Made time.Time
	// Sources are named in the file.
	Sources []string
	// Losses are sentences on what the capture missed, for the file.
	Losses []string
	// Sampled: the log of denials is a sample (rate limits), counts are at
	// least what is told.
	Sampled bool
	// Heard, when set, is asked for the last three once all flows were taken:
	// much of it is known only then.
	Heard func() (sources, losses []string, sampled bool)
	// LocalLink also makes rules of multicast and broadcast, which no router
	// passes: for a host's own firewall.
	LocalLink bool
	// MaxPairs bounds memory: so many different (service, client, server) are
	// kept, about 150 bytes each; 0: DefaultMaxPairs.
	MaxPairs int
}

// DefaultMaxPairs keeps a learner under about 1 GB where no two pairs have a
// host in common, and under a third of that in real networks.
const DefaultMaxPairs = 1 << 20

// Defaults are the options to begin with.
func Defaults() Options { return Options{Tightness: DefaultTightness} }

// Policy is what people have said about their network.
type Policy struct {
	// Segments are named networks: what is generalised is generalised to them.
	Segments []Segment
	// Owned are further networks of one's own, beside the private ranges.
	Owned []netip.Prefix
	// Protected ports keep a permit whatever the evidence says.
	Protected []Protected
	// Operators are where the operator comes from: access that no rule set may
	// cut.
	Operators []Operator
}

// Segment is a named network.
type Segment struct {
	Name     string
	Prefixes []netip.Prefix
}

// Protected is a port, or a range, that must stay reachable.
type Protected struct {
	Proto       exposure.Proto
	First, Last uint16
	Reason      string
}

// Operator is the operator's own access. An empty Ports is tcp 22.
type Operator struct {
	From   netip.Prefix
	Ports  []uint16
	Reason string
}

// level is what Tightness means in numbers.
type level struct {
	// clients that make a segment of them; 0: never.
	clients int
	// servers that make a segment of them, and the share of the segment's
	// known hosts that they must be.
	servers int
	share   float64
	// internet is how many different networks (/16, /32) stand for all.
	internet int
	// private: clients of a segment that nobody named stand for every network
	// of one's own that nobody named.
	private bool
}

// levelOf turns the dial. The thresholds' reasons are in the package comment.
func levelOf(t float64) level {
	switch {
	case t >= 0.95:
		return level{internet: 1 << 30}
	case t >= 0.7:
		return level{clients: 5, servers: 10, share: 0.75, internet: 8}
	case t >= 0.3:
		return level{clients: 3, servers: 5, share: 0.5, internet: 4}
	case t >= 0.1:
		return level{clients: 1, servers: 3, share: 0.3, internet: 2, private: true}
	}
	return level{clients: 1, servers: 1, internet: 1, private: true}
}
