package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/portreeve/portreeve/internal/scan/order"
	"github.com/portreeve/portreeve/internal/scan/pace"
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
		return saved, nil
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

// saved reads the state file; none yet is no error.
func (f *scanFlags) saved(s *streams) (*scanRequest, error) {
	if f.resume == "" {
		return nil, nil
	}
	file, err := os.Open(f.resume)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, scanError(fmt.Errorf("read the saved scan: %w", err))
	}
	defer func() { _ = file.Close() }()
	state, err := scan.ReadState(file)
	if err != nil {
		return nil, scanError(fmt.Errorf("read %s: %w", f.resume, err))
	}
	req := &scanRequest{state: state, file: f.resume}
	if err := json.Unmarshal(state.Request, req); err != nil {
		return nil, scanError(fmt.Errorf("read %s: %w: %w", f.resume, scan.ErrState, err))
	}
	return req, req.restore()
}

// restore makes the set of the saved ranges.
func (r *scanRequest) restore() error {
	var ranges []target.Range
	for _, text := range r.Ranges {
		first, last, _ := strings.Cut(text, " ")
		a, errA := netip.ParseAddr(first)
		b, errB := netip.ParseAddr(last)
		if errA != nil || errB != nil {
			return scanError(fmt.Errorf("read %s: %w: range %.80q", r.file, scan.ErrState, text))
		}
		ranges = append(ranges, target.Range{First: a, Last: b})
	}
	set, err := target.NewSet(ranges...)
	if err != nil || set.Len() == 0 {
		return scanError(fmt.Errorf("read %s: %w: no targets", r.file, scan.ErrState))
	}
	r.targets = &namedSet{set, map[netip.Addr]string{}}
	for addr, name := range r.Names {
		if a, err := netip.ParseAddr(addr); err == nil {
			r.targets.names[a] = name
		}
	}
	return nil
}

// same tells whether two requests ask the same; how fast does not count.
func (r *scanRequest) same(o *scanRequest) bool {
	return slices.Equal(r.Ranges, o.Ranges) && slices.Equal(r.TCP, o.TCP) && slices.Equal(r.UDP, o.UDP) &&
		r.Shard == o.Shard && r.NoDiscovery == o.NoDiscovery
}

// save writes the state beside the old one and then in its place, so that an
// end at any moment leaves one of the two.
func (r *scanRequest) save(state *scan.State) error {
	var err error
	if state.Request, err = json.Marshal(r); err != nil {
		return err
	}
	b, err := json.Marshal(state)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(r.file), filepath.Base(r.file)+".*")
	if err != nil {
		return err
	}
	_, err = io.Copy(tmp, bytes.NewReader(b))
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), r.file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
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
	ask := target.Request{Specs: args, Exclude: f.exclude, Zone: f.iface, CanonicalZone: canonicalZone}
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

// wideTargets is up to how many addresses every TCP port is asked by default.
const wideTargets = 8

// choosePorts reads -p, --tcp and --udp.
func (f *scanFlags) choosePorts(r *scanRequest) error {
	tcp := f.tcp || !f.udp
	if f.ports == "" {
		r.usualPorts(tcp, f.udp)
		return nil
	}
	p, err := target.ParsePorts(f.ports, portsByName)
	if err != nil {
		return usage("write ports as 22,80,1000-2000 or all", "%w", err)
	}
	if p.Said {
		r.TCP, r.UDP = p.TCP.List(), p.UDP.List()
		return nil
	}
	if tcp {
		r.TCP = p.TCP.List()
	}
	if f.udp {
		r.UDP = p.UDP.List()
	}
	return nil
}

// usualPorts are asked where none were named: of few hosts all of TCP, else
// those that the knowledge base has something to say of.
func (r *scanRequest) usualPorts(tcp, udp bool) {
	if tcp {
		if r.targets.Len() <= wideTargets {
			r.TCP = target.PortList{{First: 1, Last: 65535}}.List()
		} else {
			r.TCP = advisedPorts(exposure.TCP, 1024)
			r.notes = append(r.notes, fmt.Sprintf("asking the %d best-known TCP ports of each host; -p all asks every one", len(r.TCP)))
		}
	}
	if udp {
		r.UDP = advisedPorts(exposure.UDP, 0)
		r.notes = append(r.notes, fmt.Sprintf("asking the %d best-known UDP ports of each host; -p names others", len(r.UDP)))
	}
}

// advisedPorts are the ports up to low and those that have advice.
func advisedPorts(proto exposure.Proto, low int) []uint16 {
	book, set := openBook(), map[uint16]bool{}
	for p := 1; p <= low; p++ {
		set[uint16(p)] = true
	}
	for _, a := range book.All() {
		for _, r := range a.Ports {
			if r.Proto == proto && int(r.Last)-int(r.First) <= 16 {
				for p := int(r.First); p <= int(r.Last); p++ {
					set[uint16(p)] = true
				}
			}
		}
	}
	var out []uint16
	for p := range set {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

func openBook() *knowledge.Book { return knowledge.Open() }

// portsByName looks a service name up in the registry.
func portsByName(name string) []target.PortRef {
	var out []target.PortRef
	for _, e := range openBook().ByName(name) {
		out = append(out, target.PortRef{Proto: e.Proto, Port: e.Port})
	}
	return out
}

// publicRate is the most that public targets are asked a second where nobody
// said otherwise: the path there is shared.
const publicRate = 5000

func (f *scanFlags) pace(r *scanRequest) (pace.Options, error) {
	o := pace.Options{MaxRate: r.MaxRate, HalfOpen: r.HalfOpen}
	if r.MaxRate < 0 || r.HalfOpen < 0 {
		return o, usage("give a positive number", "--max-rate and --max-half-open are counts")
	}
	if r.Rate != scan.Auto && r.Rate != "" {
		n, err := strconv.ParseFloat(r.Rate, 64)
		if err != nil || !(n > 0) || n > 1e8 {
			return o, usage("write --rate auto, or a number of probes a second", "--rate %q is no rate", r.Rate)
		}
		o.Rate = n
		return o, nil
	}
	if o.MaxRate == 0 && r.public() {
		o.MaxRate = publicRate
	}
	return o, nil
}

// public tells whether any target is an address of the public network.
func (r *scanRequest) public() bool {
	for g := range r.targets.Ranges() {
		for _, a := range []netip.Addr{g.First, g.Last} {
			if exposure.ScopeOf(a) == exposure.ScopePublic {
				return true
			}
		}
	}
	return false
}

func parseFrom(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, usage("write an address of this host", "--from-addr %q is no address", text)
	}
	return a, nil
}
