package closing

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/remedy"
	"github.com/portreeve/portreeve/internal/scan"
)

// look lists every socket of this namespace, without this program's own.
func look(ctx context.Context) (exposure.Snapshot, error) {
	snap, err := new(host.Reader).Snapshot(ctx, host.Options{All: true, NetNS: host.SelfNetNS})
	snap.Sockets = slices.DeleteFunc(snap.Sockets, func(s exposure.Socket) bool {
		return len(s.Processes) > 0 && !slices.ContainsFunc(s.Processes, func(p exposure.Process) bool { return p.PID != os.Getpid() })
	})
	return snap, err
}

// ask gives the endpoints that answer as open ones do, each asked twice. UDP
// that only keeps silent does not answer. All are asked at the same time: one
// that is dropped is waited for, and a host may have many addresses.
func ask(ctx context.Context, eps []exposure.Endpoint) (open []exposure.Endpoint, err error) {
	answers, errs := make([][]scan.Answer, len(eps)), make([]error, len(eps))
	var all sync.WaitGroup
	places := make(chan struct{}, mostAsked)
	for i := range eps {
		places <- struct{}{}
		all.Go(func() {
			answers[i], errs[i] = scan.Ask(ctx, eps[i:i+1], scan.AskOptions{Tries: 2, Method: scan.Connect})
			<-places
		})
	}
	all.Wait()
	for _, a := range slices.Concat(answers...) {
		if a.Opens > 0 {
			open = append(open, a.Endpoint)
		}
	}
	return open, errors.Join(errs...)
}

// mostAsked is how many endpoints are asked at the same time.
const mostAsked = 64

// seen is what Prepare knows of this host.
type seen struct {
	snap      exposure.Snapshot
	published []exposure.PublishedPort
	sessions  *remedy.Found
	addrs     []netip.Addr // of interfaces that are up
}

func see(ctx context.Context, m Machine) (*seen, []exposure.Gap, error) {
	s := &seen{}
	var err error
	if s.snap, err = m.Look(ctx); err != nil {
		return nil, nil, fail(remedy.Failed, "the sockets of this host could not be listed", err)
	}
	gaps := slices.Clone(s.snap.Gaps)
	addrs, err := host.Addresses(ctx)
	if err != nil {
		return nil, nil, fail(remedy.Failed, "the addresses of this host could not be read", err)
	}
	for _, a := range addrs {
		if a.Up && !a.Tentative {
			s.addrs = append(s.addrs, a.Addr)
		}
	}
	wall, more := firewall.Read(ctx, firewall.Options{})
	gaps = append(gaps, more...)
	if wall != nil {
		s.published = wall.Published()
	}
	if s.sessions, err = remedy.Sessions(ctx, m.Machine); err != nil {
		return nil, nil, err
	}
	return s, gaps, nil
}

// listeners lists the sockets that strangers may knock at.
func (s *seen) listeners() (out []*exposure.Socket) {
	for i := range s.snap.Sockets {
		if x := &s.snap.Sockets[i]; x.IsListener() {
			out = append(out, x)
		}
	}
	return out
}

// clients counts who is connected to a port now, other than over loopback by
// this host itself; local counts those.
func (s *seen) clients(proto exposure.Proto, port uint16) (far []netip.Addr, local int) {
	for i := range s.snap.Sockets {
		x := &s.snap.Sockets[i]
		connected := x.State == exposure.Established || x.State == exposure.Connected
		if !connected || x.Port != port || x.Proto != proto || !x.PeerAddr.IP.IsValid() {
			continue
		}
		peer := x.PeerAddr.IP.Unmap().WithZone("")
		switch {
		case peer.IsLoopback() || slices.Contains(s.addrs, peer):
			local++
		case !slices.Contains(far, peer):
			far = append(far, peer)
		}
	}
	return far, local
}
