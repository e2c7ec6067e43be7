package owner

import (
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner/identity"
	"github.com/portreeve/portreeve/internal/host/owner/inetd"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
	"github.com/portreeve/portreeve/internal/host/owner/runtimes"
	"github.com/portreeve/portreeve/internal/host/owner/units"
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
	// Unit is the systemd unit that the process runs in, as the host's
	// systemd or, with UnitUser, a user's own manager names it.
	Unit string
	// UnitUser is the number of that user as text; "" for the system's.
	UnitUser string
	// InnerUnit is the unit within the container's own systemd.
	InnerUnit string
	// ActivatedBy is the enabled socket unit with an IP address that starts
	// Unit; "" when there is none. SocketUnit is surer for one endpoint.
	ActivatedBy string
	// Container is nil for a process of the host itself.
	Container *exposure.Container
	// Pod is the uid of the Kubernetes pod.
	Pod string
	// Package owns the executable; when it is empty PackageUnknown says why.
	Package, PackageUnknown string
}

// Describer tells programs, users, units, containers and packages of
// processes. It remembers what it read; make a new one for every snapshot.
type Describer struct {
	cfg Config

	boot    func() time.Time
	host    func() *world
	sockets func() units.Sockets
	namer   func() *runtimes.Namer
	inetd   func() inetd.Services

	mu   sync.Mutex // held while describing
	seen map[int32]*Description
}

// NewDescriber makes a Describer; it reads nothing yet.
func NewDescriber(cfg Config) *Describer {
	if cfg.ProcRoot == "" {
		cfg.ProcRoot = "/proc"
	}
	if cfg.Root == "" {
		cfg.Root = "/"
	}
	d := &Describer{cfg: cfg, seen: map[int32]*Description{}}
	d.boot = sync.OnceValue(func() time.Time { return identity.BootTime(cfg.ProcRoot) })
	d.host = sync.OnceValue(d.openHost)
	d.sockets = sync.OnceValue(d.readSockets)
	d.namer = sync.OnceValue(d.newNamer)
	d.inetd = sync.OnceValue(d.readInetd)
	return d
}

// openHost is nil when the host's root cannot be opened.
func (d *Describer) openHost() *world {
	files, err := rootfs.Open(d.cfg.Root)
	if err != nil {
		return nil
	}
	return newWorld(files, true)
}

func (d *Describer) readSockets() units.Sockets {
	host := d.host()
	if host == nil {
		return units.Sockets{}
	}
	return units.Read(host.files)
}

func (d *Describer) readInetd() inetd.Services {
	host := d.host()
	if host == nil {
		return inetd.Services{}
	}
	return inetd.Read(host.files)
}

func (d *Describer) newNamer() *runtimes.Namer {
	host := d.host()
	if host == nil {
		return nil
	}
	return runtimes.New(runtimes.Config{Files: host.files, Root: d.cfg.Root, Home: host.home})
}

// home is a user's home folder by number, as text.
func (w *world) home(uid string) string {
	n, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return ""
	}
	user, _ := w.users.ByID(uint32(n))
	return user.Home
}

// Process gives what Describe learned of a process; one that Describe was not
// asked for is described now, which reads the package database for it alone
// and is bounded by the limits of what it asks (runtimes.TimeLimit, the rpm
// program's). False when the process ended.
func (d *Describer) Process(pid int32) (Description, bool) {
	desc, ok := d.Describe(bounded{}, []int32{pid})[pid]
	return desc, ok
}

// bounded is the context of a question that bounds itself.
type bounded struct{}

// Deadline is none.
func (bounded) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done never comes.
func (bounded) Done() <-chan struct{} { return nil }

// Err is none.
func (bounded) Err() error { return nil }

// Value is none.
func (bounded) Value(any) any { return nil }

// SocketUnit names the systemd socket unit that listens on the endpoint and
// the service it starts, by the host's unit files. An enabled unit is
// preferred; that it runs is certain only where systemd (process 1) holds the
// socket. With Accept=yes the service is a template, "foo@.service".
func (d *Describer) SocketUnit(proto exposure.Proto, addr netip.Addr, port uint16) (socketUnit, service string, ok bool) {
	unit, ok := d.sockets().Find(proto, addr, port)
	return unit.Name, unit.Service, ok
}

// InetdService names the service, and the program that it starts, for which a
// super-server (a process named inetd, xinetd or the like) holds the endpoint,
// by the host's configuration files. False for any other process.
func (d *Describer) InetdService(process string, proto exposure.Proto, port uint16) (service, program string, ok bool) {
	if !strings.HasSuffix(process, "inetd") {
		return "", "", false
	}
	s, ok := d.inetd().Find(process, proto, port)
	return s.Name, s.Program, ok
}
