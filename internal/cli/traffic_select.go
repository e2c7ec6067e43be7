package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/filter"
	"github.com/portreeve/portreeve/internal/traffic/wire"
	"golang.org/x/net/bpf"
)

// selection is the filter of a run, compiled for each link type that comes.
type selection struct {
	text string
	o    filter.Options
}

// selection compiles the filter once, so that a refused one is told before
// anything is opened.
func (f *trafficFlags) selection(ctx context.Context) (*selection, error) {
	live := f.read == ""
	if f.filterText == "" {
		return nil, nil
	}
	sel := &selection{text: f.filterText, o: filter.Options{
		Host: func(name string) ([]netip.Addr, error) { return resolveHost(ctx, name) },
		Service: func(name, proto string) (uint16, bool) {
			port, err := net.DefaultResolver.LookupPort(ctx, proto, name)
			return uint16(port), err == nil
		},
	}}
	if _, err := sel.compile(wire.LinkEthernet, live); err != nil && !never(err) {
		return nil, refusedFilter(err)
	}
	return sel, nil
}

func resolveHost(ctx context.Context, name string) ([]netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

func (s *selection) compile(link wire.LinkType, live bool) (*filter.Program, error) {
	o := s.o
	o.Link, o.VLANMeta, o.PacketInfo, o.File = link, live, live, !live
	return filter.Compile(s.text, o)
}

// refusedFilter shows where in the expression the trouble is, and what to
// write instead.
func refusedFilter(err error) error {
	var fe *filter.Error
	if !errors.As(err, &fe) {
		return &exitError{code: exitUsage, err: fmt.Errorf("filter: %w", err), hint: "docs/filters.md lists what filters can say"}
	}
	hint := fe.Mark()
	if fe.Hint != "" {
		hint += "\n" + report.Escape(fe.Hint)
	}
	return &exitError{code: exitUsage, err: fe, hint: hint}
}

// matcher is the run's filter for packets from a file; nil without one.
func (s *selection) matcher() func(wire.LinkType) (traffic.Matcher, error) {
	if s == nil {
		return nil
	}
	return func(link wire.LinkType) (traffic.Matcher, error) {
		p, err := s.compile(link, false)
		switch {
		case never(err):
			return matchNothing{}, nil
		case err != nil:
			return nil, refusedFilter(err)
		}
		return programMatcher{p}, nil
	}
}

// never tells an expression that is sound, but that no frame of the link type
// can match.
func never(err error) bool {
	var fe *filter.Error
	return errors.As(err, &fe) && fe.Never
}

type matchNothing struct{}

func (matchNothing) Match(*capture.Packet) bool { return false }

type programMatcher struct{ p *filter.Program }

func (m programMatcher) Match(c *capture.Packet) bool {
	return m.p.Match(c.Data, c.Wire, filter.Meta{HasVLAN: c.HasVLAN, VLANTCI: c.VLANTCI, VLANProto: c.VLANProto, Interface: c.Interface})
}

// kernelFilter is the run's filter as the kernel runs it; nil without one.
func (s *selection) kernelFilter() func(wire.LinkType) ([]bpf.RawInstruction, error) {
	if s == nil {
		return nil
	}
	return func(link wire.LinkType) ([]bpf.RawInstruction, error) {
		p, err := s.compile(link, true)
		if err != nil {
			return nil, refusedFilter(err)
		}
		return p.Instructions(), nil
	}
}
