package osguess

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/osguess/synack"
)

// What a guess was made by (OSGuess.Via); databases give their own word.
const (
	ViaStack  = "tcp-stack"
	ViaBanner = "banner"
)

// Subject is one host with what a scan learned of it.
type Subject struct {
	Addr netip.Addr
	// Open is a TCP port found open, and Closed one found closed by a RST; 0
	// where there is none. Without Open only banners speak.
	Open, Closed uint16
	Services     []exposure.Service
	MAC          string // not used: a vendor of hardware is no system
}

// Database judges a print by somebody else's table. The Via of its guesses
// names the table.
type Database interface {
	Match(p synack.Print) []exposure.OSGuess
}

// Options say how the hosts are asked. The zero value is ready to use.
type Options struct {
	From  netip.Addr // source address
	Iface string     // interface
	// Parallel is how many hosts are waited for at once; 0 is
	// synack.DefaultParallel.
	Parallel int
	DBs      []Database
	// BannersOnly sends nothing.
	BannersOnly bool
}

// Guess asks every subject that has an open port and gives the guesses of each
// address, best first, at most five; an address that nothing is known of has
// no entry. What could not be asked is a gap and leaves the banners. The error
// is a context's, or a table's that cannot be read; guesses made before are
// given with it.
func Guess(ctx context.Context, subjects []Subject, opts Options) (map[netip.Addr][]exposure.OSGuess, []exposure.Gap, error) {
	stacks, err := loadStacks()
	if err != nil {
		return nil, nil, err
	}
	banners, err := loadBanners()
	if err != nil {
		return nil, nil, err
	}
	prints, gaps, err := measure(ctx, subjects, opts)
	out := map[netip.Addr][]exposure.OSGuess{}
	for _, s := range subjects {
		all := stacks.judge(prints[s.Addr.Unmap()], opts.DBs)
		all = append(all, claims(banners.read(s.Services))...)
		if found := stacks.combine(all); len(found) > 0 {
			out[s.Addr] = found
		}
	}
	return out, gaps, err
}

// judge lets the own table and the databases speak of one print.
func (t *stacks) judge(p synack.Print, dbs []Database) []guess {
	if p.SYNACK == nil {
		return nil
	}
	found := t.guess(p)
	for _, db := range dbs {
		found = append(found, db.Match(p)...)
	}
	all := make([]guess, len(found))
	for i, g := range found {
		all[i] = guess{g, t.familyOf(g.Name)}
	}
	return all
}

// measure asks the subjects with an open port. Only a context's end is an
// error: everything else leaves the banners.
func measure(ctx context.Context, subjects []Subject, opts Options) (map[netip.Addr]synack.Print, []exposure.Gap, error) {
	var targets []synack.Target
	for _, s := range subjects {
		if s.Open != 0 {
			targets = append(targets, synack.Target{Addr: s.Addr, Open: s.Open, Closed: s.Closed})
		}
	}
	if len(targets) == 0 || opts.BannersOnly {
		return nil, nil, ctx.Err()
	}
	prints := map[netip.Addr]synack.Print{}
	var refused refusals
	asker := synack.Asker{From: opts.From, Iface: opts.Iface, Parallel: opts.Parallel}
	err := asker.Ask(ctx, targets, func(p synack.Print) {
		prints[p.Addr] = p
		refused.note(p.Err)
	})
	gaps := refused.gaps()
	switch {
	case err == nil:
		return prints, gaps, nil
	case ctx.Err() != nil:
		return prints, append(gaps, unfinished(len(targets)-len(prints))), ctx.Err()
	}
	return prints, append(gaps, exposure.Gap{View: "network", Why: bannersAlone(err)}), nil
}

func unfinished(hosts int) exposure.Gap {
	return exposure.Gap{View: "network", Why: fmt.Sprintf("the operating systems of %d hosts were not asked: interrupted", hosts)}
}

// bannersAlone says why the hosts' headers could not be seen and what would
// show them.
func bannersAlone(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "operating systems are guessed from banners alone: the headers of an answer are seen with CAP_NET_RAW only: " + err.Error()
	case errors.Is(err, synack.ErrUnsupported):
		return "operating systems are guessed from banners alone: " + err.Error()
	}
	return "operating systems are guessed from banners alone where a host's headers were not seen: " + err.Error()
}

// refusals are the hosts that could not be asked: how many, and why the first.
type refusals struct {
	hosts int
	first error
}

func (r *refusals) note(err error) {
	if err == nil {
		return
	}
	if r.hosts++; r.first == nil {
		r.first = err
	}
}

func (r *refusals) gaps() []exposure.Gap {
	if r.hosts == 0 {
		return nil
	}
	return []exposure.Gap{{View: "network", Why: fmt.Sprintf("the operating systems of %d hosts are guessed from banners alone, as their headers could not be asked for: %v", r.hosts, r.first)}}
}
