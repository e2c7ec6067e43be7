package closing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/remedy"
)

// verify looks at the ports as a stranger would, and at what must go on. It
// waits for servers that take their time.
func (p *Plan) verify(ctx context.Context, r *run) error {
	r.Step("verify")
	var last error
	ok := wait(ctx, r.Machine, func() bool {
		last = p.listed(ctx, r)
		return last == nil
	})
	if !ok {
		return orCancelled(ctx, last)
	}
	ok = wait(ctx, quick(r.Machine), func() bool {
		last = p.answered(ctx, r)
		return last == nil
	})
	if !ok {
		return orCancelled(ctx, last)
	}
	// What something starts again is often started again a moment later.
	r.Clock.Sleep(ctx, min(settleTime, r.Patience/10))
	if err := p.listed(ctx, r); err != nil {
		return err
	}
	return orCancelled(ctx, nil)
}

const settleTime = 300 * time.Millisecond

func orCancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// listed asks the kernel: what was to be gone is gone, what was to stay stays.
func (p *Plan) listed(ctx context.Context, r *run) error {
	snap, err := r.Look(ctx)
	if err != nil {
		return fail(remedy.Unverified, "the sockets could not be listed again", err)
	}
	for i := range snap.Sockets {
		s := &snap.Sockets[i]
		if !s.IsListener() || s.Scope == exposure.ScopeLoopback && p.mayStay(s) {
			continue
		}
		for _, c := range p.Closures {
			if c.How != Firewall && c.How != Manual && c.covers(s.Proto, s.Port) {
				return fail(remedy.Unverified, fmt.Sprintf("%s is still open, or open again, held by %s", s.Endpoint(), ownerText(s)), nil)
			}
		}
	}
	for _, k := range p.kept {
		if !slices.ContainsFunc(snap.Sockets, func(s exposure.Socket) bool { return s.IsListener() && takes(&s, k) }) {
			return fail(remedy.Unverified, fmt.Sprintf("nothing listens on %s, which was to go on", k), nil)
		}
	}
	for _, x := range p.seen.sessions.Sessions {
		if !x.Own || p.overridden(ownSession) {
			continue
		}
		still := func(s exposure.Socket) bool {
			return s.IsListener() && s.Proto == exposure.TCP && s.Port == x.Local.Port()
		}
		if slices.ContainsFunc(p.seen.snap.Sockets, still) && !slices.ContainsFunc(snap.Sockets, still) {
			return fail(remedy.Unverified, fmt.Sprintf("nothing listens any more on port %d, by which you came", x.Local.Port()), nil)
		}
	}
	return nil
}

func (p *Plan) overridden(name string) bool {
	return slices.ContainsFunc(p.Refused, func(r Refusal) bool { return r.Name == name && r.Overridden })
}

// mayStay: bound to loopback is what rebinding leaves.
func (p *Plan) mayStay(s *exposure.Socket) bool {
	return slices.ContainsFunc(p.Closures, func(c Closure) bool {
		return (c.How == Rebind || c.How == Firewall) && c.covers(s.Proto, s.Port)
	})
}

// takes reports a listener that packets to an endpoint reach.
func takes(s *exposure.Socket, e exposure.Endpoint) bool {
	if s.Proto != e.Proto || s.Port != e.Port {
		return false
	}
	ip := s.Addr.IP.Unmap()
	return ip == e.Addr.IP || ip.IsUnspecified() && (ip.Is4() == e.Addr.IP.Is4() || s.DualStack)
}

// answered asks every address of this host that strangers may know; where the
// port is to be gone, loopback too.
func (p *Plan) answered(ctx context.Context, r *run) error {
	addrs, err := host.Addresses(ctx)
	if err != nil {
		return fail(remedy.Unverified, "the addresses of this host could not be read", err)
	}
	var eps []exposure.Endpoint
	for _, x := range p.toAsk() {
		for _, a := range addrs {
			local := a.Loopback || loopback(a.Addr)
			if a.Up && !a.Tentative && (!local || !x.mayAnswerLocally) {
				eps = append(eps, exposure.Endpoint{Proto: x.proto, Addr: exposure.IPAddress(a.Addr), Port: x.port})
			}
		}
	}
	if len(eps) == 0 {
		return nil
	}
	open, err := r.Ask(ctx, eps)
	if err != nil {
		return fail(remedy.Unverified, "this host's own ports could not be asked", err)
	}
	if len(open) > 0 {
		var names []string
		for _, e := range open {
			names = append(names, e.String())
		}
		return fail(remedy.Unverified, "it still answers at "+strings.Join(names, ", "), nil)
	}
	return p.goesOn(ctx, r)
}

// goesOn asks what must still answer.
func (p *Plan) goesOn(ctx context.Context, r *run) error {
	var eps []exposure.Endpoint
	for _, k := range p.kept {
		if k.Proto == exposure.TCP {
			eps = append(eps, k)
		}
	}
	if len(eps) == 0 {
		return nil
	}
	open, err := r.Ask(ctx, eps)
	if err != nil || len(open) == len(eps) {
		return err
	}
	return fail(remedy.Unverified, fmt.Sprintf("of %d ports of loopback that were to go on answering, %d do", len(eps), len(open)), nil)
}

type asking struct {
	proto            exposure.Proto
	port             uint16
	mayAnswerLocally bool
}

// toAsk are the ports asked for, by protocol; only TCP and UDP can be asked.
// A port whose rule sends it elsewhere while its listener is stopped still
// answers, and that was said.
func (p *Plan) toAsk() (out []asking) {
	for i := range p.Closures {
		c := &p.Closures[i]
		if c.How == Manual || len(c.published) > 0 && c.How != Firewall {
			continue
		}
		for _, w := range wallPorts(c) {
			if w.Proto == exposure.TCP || w.Proto == exposure.UDP {
				out = append(out, asking{w.Proto, w.Port, c.How == Firewall || c.How == Rebind})
			}
		}
	}
	return out
}
