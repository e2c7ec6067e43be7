package mirror

import (
	"maps"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// Verdict is what the interface is.
type Verdict uint8

const (
	// NothingSeen: no packet at all.
	NothingSeen Verdict = iota
	// OwnOnly: only packets of this host.
	OwnOnly
	// NotMirrored: what any switch port gets, broadcast and flooding.
	NotMirrored
	// TooLittle: foreign unicast, but not enough to tell.
	TooLittle
	// OneDirection: copies of one direction of conversations.
	OneDirection
	// BothWays: copies of both directions.
	BothWays
)

func (v Verdict) String() string {
	return [...]string{"nothing-seen", "own-traffic-only", "not-mirrored", "too-little", "one-direction-only", "mirrored-both-ways"}[v]
}

// Carrier tells whether the interface has a link.
type Carrier uint8

const (
	CarrierUnknown Carrier = iota
	NoCarrier
	HasCarrier
)

// Port is what is known of the interface besides its packets.
type Port struct {
	Name    string
	Carrier Carrier
	// Promiscuous: frames for others were let through.
	Promiscuous bool
	// Listened is for how long; 0: from the first packet to the last.
	Listened time.Duration
	Stats    capture.Stats
}

// VLAN is how many packets had a tag.
type VLAN struct {
	ID      uint16
	Packets uint64
}

// Result is the judgement and what it rests on. Packets are Foreign, Group,
// Own, Through and both kinds of duplicates together.
type Result struct {
	Verdict Verdict
	// Because are sentences that give the reasons, Next what to do.
	Because, Next []string

	Packets, Bytes uint64  // bytes on the wire
	Seconds        float64 // listened
	Rate           float64 // packets a second

	Foreign, Group, Own, Through uint64
	// Tunnelled of Foreign came in ERSPAN, addressed to this host.
	Tunnelled uint64
	// ForeignSeconds is in how many calendar seconds there was any.
	ForeignSeconds uint64

	// Conversations are foreign; Telling of them can tell their directions,
	// TwoWay were seen both ways within a second, Firm of them several times.
	// Handshakes are TCP handshakes seen whole. Untracked packets are of
	// conversations for which there was no room.
	Conversations, Telling, TwoWay, Firm, Handshakes int
	Untracked                                        uint64
	// Senders and Receivers are distinct MACs of foreign packets, 4096 at
	// most; MostFrom and MostTo are how many packets the busiest of each has.
	Senders, Receivers int
	MostFrom, MostTo   uint64

	// VLANs are the outermost tags, by number.
	VLANs []VLAN
	// Duplicates are exact copies, RoutedDuplicates those with another TTL.
	Duplicates, RoutedDuplicates uint64

	Dropped, IfDropped uint64
}

// Least amounts for a verdict.
const (
	enoughForeign = 20 // packets
	enoughTwoWay  = 3  // conversations, or one that is beyond doubt
	firm          = 3  // answers in a conversation beyond doubt
	enoughOneWay  = 5  // conversations
)

// Verdict judges what was added so far. It may be asked again later.
func (j *Judge) Verdict(port Port) Result {
	r := j.r
	r.Seconds = port.Listened.Seconds()
	if port.Listened == 0 {
		r.Seconds = float64(j.last-j.first) / 1e9
	}
	if r.Seconds > 0 {
		r.Rate = float64(r.Packets) / r.Seconds
	}
	r.ForeignSeconds = j.seconds
	r.Senders, r.Receivers = len(j.senders), len(j.receivers)
	r.MostFrom, r.MostTo = most(j.senders), most(j.receivers)
	r.Dropped, r.IfDropped = port.Stats.Dropped, port.Stats.IfDropped
	for _, id := range slices.Sorted(maps.Keys(j.vlans)) {
		r.VLANs = append(r.VLANs, VLAN{id, j.vlans[id]})
	}
	j.countTalks(&r)
	r.Verdict = r.judge()
	r.explain(port)
	return r
}

func most(counts map[[6]byte]uint64) (n uint64) {
	for _, c := range counts {
		n = max(n, c)
	}
	return n
}

func (j *Judge) countTalks(r *Result) {
	r.Conversations = len(j.talks)
	for _, t := range j.talks {
		if t.tells {
			r.Telling++
		}
		if t.turns > 0 {
			r.TwoWay++
		}
		if t.turns >= firm {
			r.Firm++
		}
		if t.stage == complete {
			r.Handshakes++
		}
	}
}

func (r *Result) judge() Verdict {
	switch {
	case r.Packets == 0:
		return NothingSeen
	case r.Foreign == 0 && r.Group == 0:
		return OwnOnly
	case r.Foreign == 0:
		return NotMirrored
	case r.twoWays():
		return BothWays
	case r.flooded():
		return NotMirrored
	case r.Foreign < enoughForeign || r.Telling < enoughOneWay:
		return TooLittle
	}
	return OneDirection
}

// twoWays: at least half of what can be told, and more than chance.
func (r *Result) twoWays() bool {
	much := r.TwoWay >= enoughTwoWay || r.Handshakes > 0 || r.Firm > 0
	return r.Foreign >= enoughForeign && much && 2*r.TwoWay >= r.Telling
}

// flooded: foreign unicast is little beside what any port gets, or comes in
// bursts with long silence between.
func (r *Result) flooded() bool {
	if r.TwoWay > 0 && 10*r.TwoWay >= r.Telling {
		return false // flooding does not do that
	}
	little := 10*r.Foreign < r.Group+r.Foreign
	bursts := r.Seconds >= 5 && 4*float64(r.ForeignSeconds) < r.Seconds
	return little || bursts
}
