package drift

import (
	"github.com/portreeve/portreeve/internal/exposure"
)

// HostSchema is the schema of the rows that can be compared.
const HostSchema = "portreeve.host/1"

// Namespaces that a snapshot covers, as in `portreeve host --netns`; anything
// else is the name of one.
const (
	AllNetNS  = "all"
	SelfNetNS = "self"
)

// View says with which eyes a snapshot was taken. The zero value is "not
// known": a document that does not say.
type View struct {
	// Schema is that of the rows; "" is HostSchema.
	Schema string `json:"schema,omitempty"`
	// NetNS is AllNetNS, SelfNetNS or a namespace's name; "" not known.
	NetNS string `json:"netns,omitempty"`
	// Boot names the run of the kernel (its boot_id): namespaces and
	// processes of two runs have nothing to do with each other.
	Boot string `json:"boot,omitempty"`
	// UID is the reader's effective user; Caps its effective capabilities
	// (a bit each, linux/capability.h), none when they hold in a user
	// namespace only. Both are meaningless unless Known.
	UID   uint32 `json:"uid"`
	Caps  uint64 `json:"caps"`
	Known bool   `json:"known"`
	// FirstClient and LastClient are the ports that the kernel gives to
	// clients (ip_local_port_range); 0: Linux's defaults.
	FirstClient uint16 `json:"first_client_port,omitempty"`
	LastClient  uint16 `json:"last_client_port,omitempty"`
	// Incidental: taken by something else than a person's baseline (watch, an
	// audit); `diff` without arguments does not compare with it.
	Incidental bool `json:"incidental,omitempty"`
}

// Capabilities that show more of the host (linux/capability.h).
const (
	capDACReadSearch = 1 << 2
	capNetAdmin      = 1 << 12
	capSysPtrace     = 1 << 19
	capSysAdmin      = 1 << 21
	capPerfmon       = 1 << 38
	capBPF           = 1 << 39

	seeingCaps = capDACReadSearch | capNetAdmin | capSysPtrace | capSysAdmin | capPerfmon | capBPF
)

// Linux's default ip_local_port_range.
const firstClient, lastClient = 32768, 60999

// Snapshot is what was open, and the view of it.
type Snapshot struct {
	exposure.Snapshot
	View View
}

// tellsClients: clients' datagram sockets were told from servers' and left
// out, which takes BPF (see package host). Of a reader that is not known a
// listing without gaps was taken by one who could.
func (s *Snapshot) tellsClients() bool {
	if !s.View.Known {
		return len(s.Gaps) == 0
	}
	return s.View.Caps&capSysAdmin != 0 || s.View.Caps&(capBPF|capPerfmon) == capBPF|capPerfmon
}

// clientPort: the kernel may have chosen the port for a client.
func (s *Snapshot) clientPort(port uint16) bool {
	first, last := s.View.FirstClient, s.View.LastClient
	if last == 0 {
		first, last = firstClient, lastClient
	}
	return first <= port && port <= last
}

// unequal: one reader may have seen what the other could not.
func unequal(a, b *Snapshot) bool {
	if a.View.Known && b.View.Known && a.View.Caps&seeingCaps != b.View.Caps&seeingCaps {
		return true
	}
	return len(onlyIn(a, b)) > 0 || len(onlyIn(b, a)) > 0
}

// onlyIn are the gaps of a that b has not; numbers in them do not count.
func onlyIn(a, b *Snapshot) []exposure.Gap {
	has := map[exposure.Gap]bool{}
	for _, g := range b.Gaps {
		has[unnumbered(g)] = true
	}
	var out []exposure.Gap
	for _, g := range a.Gaps {
		if !has[unnumbered(g)] {
			out = append(out, g)
		}
	}
	return out
}

// unnumbered makes "owners of 3 socket(s)" and "owners of 4 socket(s)" one gap.
func unnumbered(g exposure.Gap) exposure.Gap {
	text := make([]byte, 0, len(g.Why))
	for i := range len(g.Why) {
		if c := g.Why[i]; c < '0' || c > '9' {
			text = append(text, c)
		}
	}
	return exposure.Gap{View: g.View, Why: string(text)}
}
