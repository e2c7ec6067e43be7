package remedy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/host"
)

// Plan is what Apply would do, checked. Nothing was changed yet.
type Plan struct {
	Parts  []Part
	Within time.Duration
	// Sessions would all be let in by the new rules.
	Sessions []Session
	// Refused are known uses of this host that the new rules would refuse.
	Refused []Use
	// Notes are sentences for whoever decides.
	Notes []string

	o   Options
	all []Session // judged or not
}

// Part is what one backend would change. Now and Will are our rules as the
// tool lists them, now and then; Diff compares them.
type Part struct {
	Backend   string
	Now, Will []byte
	Diff      []Line
	// Untried says why the rules could not be loaded on trial; "" when they
	// were.
	Untried string

	backend      Backend
	want         []byte
	before, then *Present
}

// Prepare checks the rules and makes the plan. It changes nothing.
func Prepare(ctx context.Context, o Options) (*Plan, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	if err := privileged(); err != nil {
		return nil, err
	}
	p := &Plan{Within: o.Within, o: o}
	for _, l := range o.Load {
		if err := p.part(ctx, l); err != nil {
			return nil, err
		}
	}
	backup, err := backups(ctx, o.Machine)
	if err != nil {
		return nil, err
	}
	h, err := thisHost(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.protect(ctx, h, p.then()); err != nil {
		return nil, err
	}
	p.refused(h)
	p.notes(backup)
	return p, nil
}

// part checks one text.
func (p *Plan) part(ctx context.Context, l Load) error {
	b, err := backendNamed(l.Backend, p.o.Proc)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.Parts, func(x Part) bool { return x.Backend == l.Backend }) {
		return fail(Invalid, "there are two texts for "+l.Backend, nil)
	}
	x := Part{Backend: l.Backend, backend: b}
	if x.want, err = b.Accept(l.Text); err != nil {
		return fmt.Errorf("%s: %w", l.Backend, err)
	}
	if x.before, err = b.Read(ctx, p.o.Run); err != nil {
		return err
	}
	if err := x.try(ctx, p.o.Machine); err != nil {
		return err
	}
	x.Now, x.Will = x.before.Text, x.then.Text
	x.Diff = difference(x.Now, x.Will)
	p.Parts = append(p.Parts, x)
	return nil
}

// then is what would be loaded.
func (p *Plan) then() (out []*Present) {
	for _, x := range p.Parts {
		out = append(out, x.then)
	}
	return out
}

// try loads the rules on trial, and what is there now, which must come back
// as it was: else it could not be put back. Then the kernel of this namespace
// is asked.
func (x *Part) try(ctx context.Context, m Machine) error {
	furnish, err := furniture(ctx, m, x.want)
	if err != nil {
		return err
	}
	err = inScratch(func() error { return x.trial(ctx, m.Run, furnish) })
	var none *noScratch
	if errors.As(err, &none) {
		x.Untried, err = none.Error(), nil
	}
	if checked := x.backend.Put(ctx, m.Run, x.want, true); checked != nil {
		return checked
	}
	if _, sure := x.backend.(nft); sure && ReasonOf(err) == Invalid {
		// It would load here, though not there: nft -c asks the kernel in
		// full, which iptables-restore --test does not.
		x.Untried, err = err.Error(), nil
	}
	if x.Untried != "" {
		x.then = modelled(x.backend, x.want)
	}
	return err
}

func (x *Part) trial(ctx context.Context, run Runner, furnish func(Runner)) error {
	furnish(run)
	if err := x.backend.Put(ctx, run, x.want, false); err != nil {
		return err
	}
	then, err := x.backend.Read(ctx, run)
	if err != nil {
		return err
	}
	if len(then.Normal) == 0 {
		return fail(Invalid, "the rules load, and nothing is there then", nil)
	}
	x.then = then
	if len(x.before.Normal) == 0 {
		return nil
	}
	if err := x.backend.Put(ctx, run, x.before.Saved, false); err != nil {
		return fail(State, "what is loaded now could not be put back later", err)
	}
	again, err := x.backend.Read(ctx, run)
	if err == nil && !bytes.Equal(again.Normal, x.before.Normal) {
		return fail(State, "what is loaded now would not come back as it is", nil)
	}
	return err
}

// furniture makes a trial namespace look like this one as far as rules can
// refer to it: IP sets and the names of interfaces.
func furniture(ctx context.Context, m Machine, want []byte) (func(Runner), error) {
	var sets []byte
	if bytes.Contains(want, []byte("--match-set")) {
		var err error
		if sets, err = m.Run(ctx, nil, "ipset", "save"); err != nil && !missing(err) {
			return nil, fail(Failed, "the IP sets could not be read", err)
		}
	}
	addrs, err := host.Addresses(ctx)
	if err != nil {
		return nil, fail(Failed, "the interfaces could not be read", err)
	}
	var batch strings.Builder
	seen := map[string]bool{}
	for _, a := range addrs {
		if !a.Loopback && !seen[a.Interface] && bytes.Contains(want, []byte(a.Interface)) {
			seen[a.Interface] = true
			for _, kind := range []string{"dummy", "bridge"} { // whichever the kernel has
				fmt.Fprintf(&batch, "link add %s type %s\n", a.Interface, kind)
			}
		}
	}
	return func(run Runner) {
		// Best effort: where it fails, loading says what is missing.
		if len(sets) > 0 {
			_, _ = run(ctx, sets, "ipset", "restore")
		}
		if batch.Len() > 0 {
			_, _ = run(ctx, []byte(batch.String()), "ip", "-force", "-batch", "-")
		}
	}, nil
}

// thisHost is what the model must know of the machine.
func thisHost(ctx context.Context) (*ruleset.Host, error) {
	addrs, err := host.Addresses(ctx)
	if err != nil {
		return nil, fail(Failed, "the addresses of this host could not be read", err)
	}
	h := &ruleset.Host{Own: []netip.Addr{}, Interfaces: map[string][]netip.Addr{}, RouteLocalnet: map[string]bool{}}
	for _, a := range addrs {
		h.Own = append(h.Own, a.Addr)
		h.Interfaces[a.Interface] = append(h.Interfaces[a.Interface], a.Addr.WithZone(""))
		h.RouteLocalnet["lo"] = true
	}
	return h, nil
}

// protect finds the sessions of now and refuses what would cut one.
func (p *Plan) protect(ctx context.Context, h *ruleset.Host, loaded []*Present) error {
	f, err := sessions(ctx, p.o.Machine)
	if err != nil {
		return err
	}
	p.all = f.sessions
	for _, n := range f.notes {
		p.noteOnce(n)
	}
	return p.keep(h, loaded)
}

// keep judges the sessions by what is, or would be, loaded.
func (p *Plan) keep(h *ruleset.Host, loaded []*Present) error {
	p.Sessions = nil
	j := newJudge(h, loaded)
	for _, s := range p.all {
		ok, why := j.session(s)
		switch {
		case ok:
			p.Sessions = append(p.Sessions, s)
		case !s.Own && p.o.MayCutOthers:
			p.noteOnce(fmt.Sprintf("The session %s would be cut: %s.", s, why))
		default:
			return refusal(s, why)
		}
	}
	return nil
}

func refusal(s Session, why string) error {
	whose := "another session"
	if s.Own {
		whose = "your own session"
	}
	return fail(Refused, fmt.Sprintf("this would cut %s, %s: %s", whose, s, why), nil).
		hint(fmt.Sprintf("add a rule that permits tcp from %s to port %d, and what belongs to established connections", s.Peer.Addr(), s.Local.Port()))
}
