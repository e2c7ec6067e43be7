package audit

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/scan/identify"
)

// row is an endpoint while it is judged.
type row struct {
	Endpoint
	sock       *exposure.Socket // nil: nothing listens
	permit     exposure.Permit
	greeting   *exposure.Service
	advice     *knowledge.Advice   // what runs here, as far as is known
	byPort     *knowledge.Advice   // what the port is for
	portOf     []*knowledge.Advice // all that claim the port, byPort among them
	expected   bool                // a policy entry covers it
	outside    bool                // a vantage covers it
	onLoopback bool                // bound to the loopback device
	target     *exposure.Socket    // where DNAT leads, if that listener is known
	findings   []exposure.Finding
}

// rowsOf makes one row for each listener of the audited namespace.
func rowsOf(in *Input) []*row {
	var out []*row
	for i := range in.After.Sockets {
		s := &in.After.Sockets[i]
		if s.NetNS.ID == in.Self.ID && s.IsListener() {
			out = append(out, listenerRow(in, s))
		}
	}
	return out
}

func listenerRow(in *Input, s *exposure.Socket) *row {
	r := &row{sock: s, Endpoint: Endpoint{
		Proto: s.Proto, Addr: s.Addr, Port: s.Port, Scope: s.Scope,
		Processes: s.Processes, Unit: s.Unit, Package: s.Package, Container: s.Container, Kernel: s.Kernel,
		ActivatedBy: s.ActivatedBy, DualStack: s.DualStack, Device: s.Device, Sockets: s.Sockets,
		NetNS: s.NetNS, OwnerUnknown: s.OwnerUnknown,
	}}
	r.Views.Host = Listening
	r.onLoopback = s.Device != "" && in.isLoopbackDevice(s.Device)
	r.see(in)
	return r
}

// see fills what the other views say of a row.
func (r *row) see(in *Input) {
	r.greeting = in.greetingOf(r)
	r.Identified = r.greeting
	r.seeWall(in)
	r.seeNetwork(in)
	r.seeTraffic(in)
	r.learn(in.Book)
}

// learn decides what runs here: what spoke, else who holds it, else what the
// port is for.
func (r *row) learn(b Book) {
	r.byPort = b.Advice(r.Proto, r.Port)
	r.portOf = b.Candidates(r.Proto, r.Port)
	r.Service = b.Name(r.Proto, r.Port)
	r.advice = b.AdviceAt(r.Proto, r.Port, holderNames(r.Processes)...)
	if r.advice != nil && (r.byPort == nil || r.byPort.ID != r.advice.ID || slices.Contains(r.advice.Registered, r.Service)) {
		r.Service = r.advice.ID
	}
	if r.greeting != nil && r.greeting.Name != "" {
		r.learnGreeting(b)
	}
}

// learnGreeting lets what spoke correct what was believed, unless it says
// only how it speaks (http, tls), which tells less than a known process.
func (r *row) learnGreeting(b Book) {
	name := r.greeting.Name
	if r.advice != nil && (r.advice.ID == name || carrier(name) && slices.Contains(r.advice.Speaks, name)) {
		return
	}
	r.advice = b.AdviceAt(r.Proto, r.Port, name)
	if r.advice != nil && r.advice.ID != name && !speaksIt(r.advice.Speaks, r.greeting) && !slices.Contains(r.advice.Names, name) {
		r.advice = nil // only the port's owner was left, and that is not what spoke
	}
	r.Service = name
}

// speaksIt tells whether what spoke is one of the protocols, under its
// registry name or as the knowledge room calls it (domain is dns). IPP is HTTP.
func speaksIt(protocols []string, s *exposure.Service) bool {
	return slices.Contains(protocols, s.Name) || slices.Contains(protocols, identify.Protocol(s.Name)) ||
		s.Name == "ipp" && slices.Contains(protocols, "http")
}

// carrier protocols carry many services and tell little of which.
func carrier(protocol string) bool { return protocol == "http" || protocol == "tls" }

// carriers hold ports for others: their name says nothing of the service.
var carriers = []string{"systemd", "init", "inetd", "openbsd-inetd", "inetutils-inetd", "xinetd", "docker-proxy",
	"rootlessport", "rootlesskit", "slirp4netns", "pasta", "conmon", "socat", "nc", "ncat", "busybox"}

func holderNames(procs []exposure.Process) []string {
	var out []string
	for _, p := range procs {
		for _, n := range []string{baseName(p.Exe), p.Name} {
			if n != "" && !slices.Contains(carriers, n) && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// loopbackOnly reports a row that no other machine can address: a loopback
// address, or a socket bound to the loopback device.
func (r *row) loopbackOnly() bool { return r.Scope == exposure.ScopeLoopback || r.onLoopback }

// reachable reports a row at which strangers may knock, as far as is known.
func (r *row) reachable() bool {
	return !r.loopbackOnly() && r.Views.Firewall != exposure.Denied || r.outsideOpen()
}

func (r *row) outsideOpen() bool { return r.outside && r.Views.Network == string(exposure.Open) }

// serves reports a row behind which something listens, as far as is known.
func (r *row) serves() bool { return r.sock != nil || r.Views.Host == Unknown }

// kind reports whether what runs here is of one of the kinds.
func (r *row) kind(kinds ...knowledge.Kind) bool {
	return r.advice != nil && r.advice.Is(kinds...)
}

// isLoopbackDevice reports the device that holds a loopback address.
func (in *Input) isLoopbackDevice(name string) bool {
	return slices.ContainsFunc(in.Addrs, func(a exposure.OwnAddress) bool { return a.Interface == name && a.IP.IsLoopback() })
}

// greetingOf finds what spoke at an address that the row covers.
func (in *Input) greetingOf(r *row) *exposure.Service {
	for ep, svc := range in.Greetings {
		if ep.Proto == r.Proto && ep.Port == r.Port && r.takes(ep.Addr.IP) {
			if svc.Name == "" && svc.TLS {
				svc.Name = "tls" // what is inside did not say
			}
			return &svc
		}
	}
	return nil
}

// takes reports whether the row's endpoint is where packets to dst arrive.
func (r *row) takes(dst netip.Addr) bool { return reaches(r.Addr.IP, r.DualStack, dst) }
