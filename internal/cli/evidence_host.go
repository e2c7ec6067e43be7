package cli

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
)

const hostSchema = "portreeve.host/1"

// hostDocument is what portreeve host --json writes. Older ones have neither
// netns nor addresses.
type hostDocument struct {
	Taken     time.Time         `json:"taken"`
	Host      string            `json:"host"`
	NetNS     exposure.NetNS    `json:"netns"`
	Addresses []listedAddress   `json:"addresses"`
	Sockets   []exposure.Socket `json:"sockets"`
	Gaps      []exposure.Gap    `json:"incomplete"`
}

type listedAddress struct {
	Addr      netip.Addr `json:"addr"`
	Interface string     `json:"interface"`
}

func (e *evidence) addHost(name string, b []byte) error {
	var d hostDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return refused(name, fmt.Errorf("a host document that does not keep to its schema: %w", err))
	}
	e.note(name, kindHost, fmt.Sprintf("the sockets of %s, listed %s", orHost(d.Host), d.Taken.UTC().Format(time.DateTime)))
	e.hosts = append(e.hosts, d)
	return nil
}

func orHost(name string) string {
	if name == "" {
		return "a host"
	}
	return name
}

// hostFlag is --host [NAME=]ADDR[,ADDR]: which addresses are the host's.
type hostFlag struct {
	name  string
	addrs []exposure.OwnAddress
}

func parseHostFlag(text string) (hostFlag, error) {
	var h hostFlag
	if text == "" {
		return h, nil
	}
	list := text
	if name, rest, has := strings.Cut(text, "="); has {
		h.name, list = name, rest
	}
	for one := range strings.SplitSeq(list, ",") {
		ip, err := netip.ParseAddr(strings.TrimSpace(one))
		if err != nil || ip.IsUnspecified() || ip.IsMulticast() {
			return h, usage("write --host ADDR[,ADDR] or --host NAME=ADDR[,ADDR]", "--host %q: %q is no address of a host", text, one)
		}
		h.addrs = append(h.addrs, exposure.OwnAddress{IP: ip.Unmap()})
	}
	return h, nil
}

// settleHost decides whose evidence it is, and what listens there.
func (e *evidence) settleHost() {
	in := e.in
	in.HostUnknown = len(e.hosts) == 0
	if !in.HostUnknown {
		slices.SortStableFunc(e.hosts, func(a, b hostDocument) int { return a.Taken.Compare(b.Taken) })
		first, last := &e.hosts[0], &e.hosts[len(e.hosts)-1]
		in.Host, in.Self = last.Host, e.namespace(last)
		in.Before = exposure.Snapshot{Taken: first.Taken, Host: first.Host, Self: in.Self, Sockets: first.Sockets}
		in.After = exposure.Snapshot{Taken: last.Taken, Host: last.Host, Self: in.Self, Sockets: last.Sockets, Gaps: last.Gaps}
	}
	own, sure := e.addresses()
	in.Addrs = own
	if e.named.name != "" {
		in.Host = e.named.name
	}
	if in.Host == "" && len(own) > 0 {
		in.Host = own[0].IP.String()
	}
	e.use = audit.NewFlowUsage(audit.UseOptions{Own: own, AllKnown: sure, Servers: in.HostUnknown})
	e.use.Listen(in.Self, in.After.Sockets)
}

// namespace is the one that a document is about: said, the only one, or the
// one without name and containers that has the most sockets.
func (e *evidence) namespace(d *hostDocument) exposure.NetNS {
	count := map[exposure.NetNS]int{}
	for i := range d.Sockets {
		s := &d.Sockets[i]
		n := 1
		if s.NetNS.Name != "" || s.Container != nil {
			n = 0
		}
		count[s.NetNS] += n
	}
	best := d.NetNS
	if best.ID != "" || len(count) == 0 {
		return best
	}
	most := -1
	for ns, n := range count {
		if n > most || n == most && ns.ID < best.ID {
			best, most = ns, n
		}
	}
	if len(count) > 1 {
		e.inform("the host document has %d network namespaces and does not say which it is about; namespace %s was judged", len(count), best.ID)
	}
	return best
}

// addresses are the host's, as far as is known; all tells that it has no
// others.
func (e *evidence) addresses() (own []exposure.OwnAddress, all bool) {
	if len(e.named.addrs) > 0 {
		return e.named.addrs, true
	}
	for _, d := range e.hosts {
		for _, a := range d.Addresses {
			own = addAddress(own, exposure.OwnAddress{IP: a.Addr, Interface: a.Interface})
		}
	}
	if len(own) > 0 {
		return own, true
	}
	for _, d := range e.hosts {
		for i := range d.Sockets {
			if s := &d.Sockets[i]; s.NetNS.ID == e.in.Self.ID && s.State != exposure.Packet && s.State != exposure.Raw {
				own = addAddress(own, exposure.OwnAddress{IP: s.Addr.IP})
			}
		}
	}
	return e.scannedAddress(own), false
}

// scannedAddress adds what was scanned: with several hosts in the files, only
// where nothing else tells which one is meant.
func (e *evidence) scannedAddress(own []exposure.OwnAddress) []exposure.OwnAddress {
	var up []exposure.OwnAddress
	for _, v := range e.in.Vantages {
		for _, h := range v.Hosts {
			up = addAddress(up, exposure.OwnAddress{IP: h.Addr})
		}
	}
	switch {
	case len(up) == 1:
		own = addAddress(own, up[0])
	case len(own) == 0 && len(up) > 1:
		own = up
		e.inform("the scans hold %d hosts, and all were taken for one; --host ADDR names the one that is meant", len(up))
	}
	return own
}

// addAddress adds what can be a host's address to others, once. Loopback is
// everybody's.
func addAddress(own []exposure.OwnAddress, a exposure.OwnAddress) []exposure.OwnAddress {
	a.IP = a.IP.Unmap()
	if !a.IP.IsValid() || a.IP.IsUnspecified() || a.IP.IsMulticast() || a.IP.IsLoopback() && a.Interface == "" || slices.Contains(own, a) {
		return own
	}
	return append(own, a)
}
