package owner

import (
	"context"
	"net/netip"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Config holds the roots that a Describer reads from.
type Config struct {
	// ProcRoot is the proc file system; "" is /proc.
	ProcRoot string
	// Root is the host's own root directory; "" is /.
	Root string
}

// Description is what is known of one process.
type Description struct {
	// Process has every field but FD.
	Process exposure.Process
	// Unit is the systemd unit whose cgroup the process lives in.
	Unit string
	// ActivatedBy is the socket unit that starts Unit; "" when none does.
	ActivatedBy string
	// Container is nil for a process of the host itself.
	Container *exposure.Container
	// Package owns the executable; when it is empty PackageUnknown says why.
	Package, PackageUnknown string
}

// Describer tells programs, users, units, containers and packages of
// processes. It remembers what it read; make a new one for every snapshot.
type Describer struct {
	cfg  Config
	mu   sync.Mutex
	seen map[int32]*Description // nil: the process ended
}

// NewDescriber makes a Describer; it reads nothing yet.
func NewDescriber(cfg Config) *Describer {
	if cfg.ProcRoot == "" {
		cfg.ProcRoot = "/proc"
	}
	if cfg.Root == "" {
		cfg.Root = "/"
	}
	return &Describer{cfg: cfg, seen: map[int32]*Description{}}
}

// Describe describes many processes in one pass; processes that ended are
// not in the answer. Call it once with all holders, then Process is free.
func (d *Describer) Describe(ctx context.Context, pids []int32) map[int32]Description {
	out := make(map[int32]Description, len(pids))
	for _, pid := range pids {
		if desc, ok := d.Process(pid); ok {
			out[pid] = desc
		}
	}
	return out
}

// Process describes one process; false when it ended.
func (d *Describer) Process(pid int32) (Description, bool) {
	return Description{}, false
}

// SocketUnit names the systemd socket unit that listens on the endpoint and
// the service it starts.
func (d *Describer) SocketUnit(proto exposure.Proto, addr netip.Addr, port uint16) (socketUnit, service string, ok bool) {
	return "", "", false
}
