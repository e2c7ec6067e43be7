package logview

import "time"

// Kind is what a source was up to.
type Kind string

// Kinds. A scan asked for many ports, a sweep asked many targets, background
// is the internet's noise.
const (
	NoKind     Kind = ""
	Scan       Kind = "scan"
	Sweep      Kind = "sweep"
	Background Kind = "background"
)

// Thresholds of judgement, in distinct ports and targets of probes. There is
// no window: a scan over days is one (as psad's with persistence on).
//
//   - Zeek (policy/misc/scan.zeek) calls 15 ports of failed connections a port
//     scan and 25 hosts an address scan; CrowdSec (iptables-scan-multi_ports)
//     more than 15 ports. So many count of every source.
//   - scanlogd and netfilter's psd match call 7 privileged ports a scan,
//     Juniper's screen and Microsoft's TMG 10. A stranger to whom nothing at
//     all was permitted has no reason to ask for so many: 8 will do.
//   - psad begins to warn at 5 packets, snort's portscan2 at 5 targets, both
//     within a short time. 5 will do of such a stranger at one a minute or
//     more, and 10 targets of anybody at that pace: a machine inside asks for
//     several ports of one server when it starts (directory, files, names,
//     time), but not several machines.
const (
	ScanPorts       = 15
	SweepTargets    = 25
	StrangerScan    = 8
	StrangerBrisk   = 5
	BriskTargets    = 10
	BriskPerMinute  = 1
	PermitsExcuse   = 10 // so many permits for each probe excuse all
	GrossFactor     = 10 // times the threshold, which permits do not excuse
	FewProbes       = 20 // of background noise, or …
	FewProbesPerDay = 24
)

// look is what is judged.
type suspect struct {
	permits, probes      uint64
	uncommon             uint64
	ports, targets, both uint64 // distinct
	stranger             bool
	duration             time.Duration
	timed                bool
}

// kind judges. A client, gateway or monitor that mostly gets what it asks for
// is excused: ten permits for each probe excuse it altogether, as many permits
// as probes unless it exceeds a threshold tenfold.
func (s *suspect) kind() Kind {
	if s.probes == 0 {
		return NoKind
	}
	scan, sweep := s.scanned(), s.swept()
	switch {
	case s.excused():
		return NoKind
	case scan && sweep:
		return s.either()
	case scan:
		return Scan
	case sweep:
		return Sweep
	case s.noise():
		return Background
	}
	return NoKind
}

func (s *suspect) unknown() bool { return s.stranger && s.permits == 0 }

// brisk tells whether n things were new at a pace of one a minute or more.
func (s *suspect) brisk(n uint64) bool {
	return s.timed && float64(n) >= s.duration.Minutes()*BriskPerMinute
}

func (s *suspect) scanned() bool {
	return s.ports >= ScanPorts || s.unknown() &&
		(s.ports >= StrangerScan || s.ports >= StrangerBrisk && s.brisk(s.ports))
}

func (s *suspect) swept() bool {
	return s.targets >= SweepTargets || s.targets >= BriskTargets && s.brisk(s.targets) || s.unknown() &&
		(s.targets >= StrangerScan || s.targets >= StrangerBrisk && s.brisk(s.targets))
}

func (s *suspect) excused() bool {
	if s.permits >= PermitsExcuse*s.probes {
		return true
	}
	return s.permits >= s.probes && s.ports < GrossFactor*ScanPorts && s.targets < GrossFactor*SweepTargets
}

// either parts scans of many targets from sweeps with several ports: by how
// many ports a target was asked for, then by which there are more of.
func (s *suspect) either() Kind {
	if s.both >= ScanPorts*s.targets || s.ports > s.targets {
		return Scan
	}
	return Sweep
}

// noise is a stranger's few probes for what is always asked for.
func (s *suspect) noise() bool {
	if !s.unknown() || s.uncommon > 0 {
		return false
	}
	return s.probes <= FewProbes || s.timed && float64(s.probes) <= FewProbesPerDay*s.duration.Hours()/24
}

// Note says why a source without a kind has none, where its events tell.
type Note string

// Notes.
const (
	NoNote        Note = ""
	OnlyChatter   Note = "chatter"        // broadcast, multicast, discovery
	OnlyLate      Note = "late-answers"   // from services, to connections no longer known
	BlockedClient Note = "blocked-client" // of common services outside
	Excused       Note = "permitted"      // would be a scan or a sweep, but mostly was permitted
)

func (s *suspect) note(m *sourceMore, events uint64) Note {
	switch {
	case s.excused() && (s.scanned() || s.swept()):
		return Excused
	case uint64(m.classes[chatter]) == events:
		return OnlyChatter
	case m.classes[late] > 0 && uint64(m.classes[late]+m.classes[chatter]) == events:
		return OnlyLate
	case m.classes[client] > 0 && uint64(m.classes[client]+m.classes[chatter]) == events:
		return BlockedClient
	}
	return NoNote
}

func (v *View) suspect(n uint32) suspect {
	r := &v.sources.rows[n]
	m := &r.more
	return suspect{
		permits: r.permit, probes: uint64(m.classes[probe]), uncommon: uint64(m.uncommon),
		ports:    v.sources.count(n, probedPorts).N,
		targets:  v.sources.count(n, probedTargets).N,
		both:     v.sources.count(n, probedBoth).N,
		stranger: m.outside,
		duration: time.Duration(max(m.last-m.first, 0)),
		timed:    m.first != 0,
	}
}
