package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/portreeve/portreeve/internal/scan/order"
	"github.com/portreeve/portreeve/internal/scan/target"
)

// scanRequest is what is scanned, as it is saved with the scan's state.
type scanRequest struct {
	Ranges      []string          `json:"ranges"` // "first last" addresses
	Names       map[string]string `json:"names,omitempty"`
	TCP         []uint16          `json:"tcp,omitempty"`
	UDP         []uint16          `json:"udp,omitempty"`
	Method      string            `json:"method"`
	Rate        string            `json:"rate"`
	MaxRate     float64           `json:"max_rate,omitempty"`
	HalfOpen    int               `json:"half_open,omitempty"`
	NoDiscovery bool              `json:"no_discovery,omitempty"`
	Identify    bool              `json:"identify,omitempty"`
	OS          bool              `json:"os,omitempty"`
	FromAddr    string            `json:"from_addr,omitempty"`
	Iface       string            `json:"iface,omitempty"`
	Shard       order.Shard       `json:"shard,omitzero"`

	targets *namedSet
	state   *scan.State // to go on from
	file    string      // of the state
	notes   []string
	gaps    []exposure.Gap
}

// namedSet is a set of addresses with the names that were typed.
type namedSet struct {
	*target.Set
	names map[netip.Addr]string
}

func (n *namedSet) Name(a netip.Addr) string { return n.names[a] }

// request reads what the person wants: typed, or from a saved scan, or both.
func (f *scanFlags) request(ctx context.Context, s *streams, args []string) (*scanRequest, error) {
	saved, err := f.saved(s)
	if err != nil {
		return nil, err
	}
	if saved != nil && len(args) == 0 && len(f.lists) == 0 {
		return f.alone(saved)
	}
	req, err := f.typed(ctx, s, args)
	if err != nil || saved == nil {
		return req, err
	}
	if !req.same(saved) {
		return nil, scanError(fmt.Errorf("go on with %s: %w", f.resume, scan.ErrStateElse))
	}
	req.state = saved.state
	return req, nil
}

// alone goes on with a saved scan whose targets are not typed again: speed may
// change, scope may not.
func (f *scanFlags) alone(saved *scanRequest) (*scanRequest, error) {
	if len(f.exclude) > 0 || len(f.excludeLists) > 0 || f.policy != "" || f.ports != "" {
		return nil, usage("repeat the whole command, targets included; or leave --exclude, --policy and -p out",
			"--resume alone goes on with the targets and ports that %s holds", f.resume)
	}
	if f.rate != scan.Auto {
		saved.Rate = f.rate
	}
	if f.maxRate > 0 {
		saved.MaxRate = f.maxRate
	}
	if f.halfOpen > 0 {
		saved.HalfOpen = f.halfOpen
	}
	return saved, nil
}

// typed reads the command line.
func (f *scanFlags) typed(ctx context.Context, s *streams, args []string) (*scanRequest, error) {
	r := &scanRequest{Method: f.method, Rate: f.rate, MaxRate: f.maxRate, HalfOpen: f.halfOpen, NoDiscovery: f.noDiscovery,
		Identify: f.identify, OS: f.os, FromAddr: f.fromAddr, Iface: f.iface, file: f.resume}
	if !slices.Contains([]string{scan.Auto, scan.SYN, scan.Connect}, f.method) {
		return nil, usage("write --method auto, syn or connect", "--method %q is not known", f.method)
	}
	if err := f.aim(ctx, s, r, args); err != nil {
		return nil, err
	}
	if err := f.choosePorts(r); err != nil {
		return nil, err
	}
	return r, f.cut(r)
}

// cut reads --shard.
func (f *scanFlags) cut(r *scanRequest) error {
	if f.shard == "" {
		return nil
	}
	k, n, ok := strings.Cut(f.shard, "/")
	a, errA := strconv.ParseUint(k, 10, 32)
	b, errB := strconv.ParseUint(n, 10, 32)
	if !ok || errA != nil || errB != nil || a < 1 || a > b || b > 1<<16 {
		return usage("write it as --shard 3/16: the third of 16 parts", "--shard %q is not K/N", f.shard)
	}
	r.Shard = order.Shard{K: a, N: b}
	return nil
}

// aim reads targets, exclusions and policy, and minds the scope.
func (f *scanFlags) aim(ctx context.Context, s *streams, r *scanRequest, args []string) error {
	pol, err := readPolicy(s, f.policy)
	if err != nil {
		return err
	}
	ask := target.Request{Specs: args, Exclude: splitExcludes(f.exclude), Zone: f.iface, CanonicalZone: canonicalZone}
	var owned []netip.Prefix
	if pol != nil {
		ask.Never, owned = pol.NeverScanPrefixes(), pol.OwnedPrefixes()
	}
	if f.six {
		ask.Family = target.OnlyIPv6
	}
	closers, err := openLists(s, map[*[]target.File][]string{&ask.Files: f.lists, &ask.ExcludeFiles: f.excludeLists})
	defer closers()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	found, err := target.Parse(ctx, ask, net.DefaultResolver)
	if err != nil {
		return usage("nothing was scanned; see: portreeve scan --help", "%w", err)
	}
	r.notes, r.gaps = found.Notes, found.Gaps
	if err := guard(found.Set, owned, f.confirmScope); err != nil {
		return err
	}
	r.take(found.Set)
	return nil
}

// splitExcludes cuts lists at commas, where every part is a whole target:
// within one, commas list octets (10.0.0.1,2).
func splitExcludes(list []string) []string {
	var out []string
	for _, item := range list {
		parts := strings.Split(item, ",")
		whole := func(p string) bool {
			return strings.Count(p, ".") >= 3 || strings.ContainsAny(p, ":abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
		}
		if slices.ContainsFunc(parts, func(p string) bool { return !whole(strings.TrimSpace(p)) }) {
			parts = []string{item}
		}
		for _, p := range parts {
			out = append(out, strings.TrimSpace(p))
		}
	}
	return out
}

// guard refuses a scope that the person has not confirmed.
func guard(set *target.Set, owned []netip.Prefix, confirmed bool) error {
	err := target.Guard(set, owned)
	var scope *target.ScopeError
	if confirmed || !errors.As(err, &scope) {
		return nil
	}
	return &exitError{code: exitRefused, err: scope, hint: scope.Hint()}
}

// take keeps the set with its names.
func (r *scanRequest) take(set *target.Set) {
	r.targets = &namedSet{set, map[netip.Addr]string{}}
	r.Names = map[string]string{}
	for g := range set.Ranges() {
		r.Ranges = append(r.Ranges, g.First.String()+" "+g.Last.String())
		if g.Len() > 1<<12 {
			continue // nobody types names for so many
		}
		for a := g.First; ; a = a.Next() {
			if name := set.Name(a); name != "" {
				r.targets.names[a], r.Names[a.String()] = name, name
			}
			if a == g.Last {
				break
			}
		}
	}
}

// canonicalZone gives an interface's name.
func canonicalZone(zone string) (string, error) {
	if index, err := strconv.Atoi(zone); err == nil {
		i, err := net.InterfaceByIndex(index)
		if err != nil {
			return "", err
		}
		return i.Name, nil
	}
	if _, err := net.InterfaceByName(zone); err != nil {
		return "", err
	}
	return zone, nil
}

// openLists opens files of targets; the function closes them.
func openLists(s *streams, lists map[*[]target.File][]string) (closeAll func(), err error) {
	var open []io.Closer
	closeAll = func() {
		for _, c := range open {
			_ = c.Close()
		}
	}
	for into, names := range lists {
		for _, name := range names {
			r, err := openInput(s, name)
			if err != nil {
				return closeAll, usage("nothing was scanned; give a readable list", "read the list %s: %w", name, err)
			}
			open = append(open, r)
			*into = append(*into, target.File{Name: name, Reader: r})
		}
	}
	return closeAll, nil
}
