package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/dialect/iptables"
	"github.com/portreeve/portreeve/internal/firewall/dialect/nftables"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Options are the seams of Read; the zero value reads the machine.
type Options struct {
	// Run runs a program in this network namespace and gives its standard
	// output. Its error wraps exec.ErrNotFound when there is no such program.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
	// Proc is where proc(5) is mounted; "/proc" when empty.
	Proc string
	// Kernel answers by netlink; nil for the kernel of this machine.
	Kernel Kernel
}

// Kernel is what the kernel itself says of this network namespace.
type Kernel interface {
	// Tables lists the tables of nftables. Its error wraps ErrPrivilege or
	// ErrNoNftables where that is the reason.
	Tables() (Tables, error)
	// Network lists addresses and bridges.
	Network() (Network, error)
	// Route looks up the way to an address.
	Route(netip.Addr) (ruleset.Route, error)
}

// Tables are the tables of nftables and what nft may not print of them.
type Tables struct {
	All []nftables.TableID
	nftables.Facts
}

// Network is what Kernel says of addresses and links.
type Network struct {
	// Interfaces are the addresses by interface, in the kernel's order and
	// without zones, loopback included.
	Interfaces map[string][]netip.Addr
	// Inner are bridges that no outside interface belongs to.
	Inner []string
}

// Reasons of a Kernel.
var (
	ErrPrivilege   = errors.New("no privilege (CAP_NET_ADMIN shows it)")
	ErrNoNftables  = errors.New("the kernel has no nftables")
	ErrUnsupported = errors.New("reading rule sets is not supported on this system")
)

// Read reads every rule set of this network namespace. It never fails as a
// whole: what could not be read is a gap, and makes the verdicts that it
// could change unknown.
func Read(ctx context.Context, o Options) (*Wall, []exposure.Gap) {
	if o.Run == nil {
		o.Run = run
	}
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	if o.Kernel == nil {
		o.Kernel = thisKernel()
	}
	r := &reading{o: o, ctx: ctx, rules: &ruleset.RuleSet{}}
	r.nft()
	r.legacy(ruleset.IPv4, "ip_tables_names", "iptables")
	r.legacy(ruleset.IPv6, "ip6_tables_names", "ip6tables")
	return newWall(r.rules, r.facts()), r.gaps
}

// both are the packets of either family.
const both = ruleset.IPv4 | ruleset.IPv6

// reading is one Read under way.
type reading struct {
	o     Options
	ctx   context.Context
	rules *ruleset.RuleSet
	gaps  []exposure.Gap
	sets  iptables.Sets
	asked bool // for IP sets
}

// run is the default Options.Run.
func run(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, findProgram(name), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && stderr.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, firstLine(stderr.String()))
	}
	return out, err
}

// findProgram looks where administrators' programs are even when PATH does
// not.
func findProgram(name string) string {
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return name
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// missing notes a part of the rules that could not be read.
func (r *reading) missing(f ruleset.Families, why string) {
	r.gap(why)
	r.rules.Missing = append(r.rules.Missing, ruleset.Missing{Families: f, Why: why})
}

func (r *reading) gap(why string) {
	r.gaps = append(r.gaps, exposure.Gap{View: "firewall", Why: why})
}

// nft reads nftables.
func (r *reading) nft() {
	known, err := r.o.Kernel.Tables()
	switch {
	case errors.Is(err, ErrNoNftables):
		return
	case errors.Is(err, ErrPrivilege):
		r.missing(both, "nftables rules could not be read: "+ErrPrivilege.Error())
		return
	case errors.Is(err, ErrUnsupported):
		r.missing(both, ErrUnsupported.Error())
		return
	case err == nil && len(known.All) == 0:
		return
	}
	out, runErr := r.o.Run(r.ctx, "nft", "-j", "list", "ruleset")
	if runErr != nil {
		r.withoutNft(known, err == nil, runErr)
		return
	}
	if err != nil {
		r.gap("nftables: dormant tables and devices of ingress chains were not checked: " + err.Error())
	}
	tables, err := nftables.Read(bytes.NewReader(out), known.Facts)
	if err != nil {
		r.missing(both, "nftables rules were not understood: "+err.Error())
		return
	}
	for _, t := range tables {
		r.add(r.nftTable(t))
	}
}

func (r *reading) add(chains []*ruleset.Chain) { r.rules.Chains = append(r.rules.Chains, chains...) }

// nftTable gives a table's chains; those whose rules nft does not show in
// full are read from iptables-nft-save.
func (r *reading) nftTable(t *nftables.Table) []*ruleset.Chain {
	if !t.Extensions {
		return t.Chains
	}
	id := t.TableID
	if isIptables(id) && !hasOtherChains(t) {
		chains, err := r.iptablesNft(id)
		if err == nil {
			return chains
		}
		r.gap(fmt.Sprintf("table %s %s uses x_tables extensions whose arguments nft does not show: %v", id.Family, id.Name, err))
		return t.Chains
	}
	r.gap(fmt.Sprintf("table %s %s uses x_tables extensions whose arguments no tool shows", id.Family, id.Name))
	return t.Chains
}

// isIptables reports a table that iptables-nft may have made.
func isIptables(id nftables.TableID) bool {
	return (id.Family == "ip" || id.Family == "ip6") && slices.Contains([]string{"filter", "nat", "mangle", "raw", "security"}, id.Name)
}

// hasOtherChains reports base chains that iptables does not have, which its
// listing would leave out.
func hasOtherChains(t *nftables.Table) bool {
	for _, ch := range t.Chains {
		if ch.Hook != ruleset.NoHook && ch.Name != strings.ToUpper(ch.Name) {
			return true
		}
	}
	return false
}

// errNoTool is given when no installed program shows a table.
var errNoTool = errors.New("no program here shows them")

// iptablesNft reads a table of nftables that iptables made.
func (r *reading) iptablesNft(id nftables.TableID) ([]*ruleset.Chain, error) {
	prefix := "iptables"
	families := ruleset.IPv4
	if id.Family == "ip6" {
		prefix, families = "ip6tables", ruleset.IPv6
	}
	out, err := r.save(prefix, "nft", "nf_tables", id.Name)
	if err != nil {
		return nil, err
	}
	tables, err := r.parseSave(out, families, prefix)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if t.Name == id.Name {
			return t.Chains, nil
		}
	}
	return nil, fmt.Errorf("%s-nft-save does not show the table", prefix)
}

// save runs the saving program of a variant, under its own name or under the
// plain one where that is the variant.
func (r *reading) save(prefix, variant, mark, table string) ([]byte, error) {
	name := prefix + "-" + variant + "-save"
	out, err := r.o.Run(r.ctx, name, "-t", table)
	if !errors.Is(err, exec.ErrNotFound) {
		return out, wrapRun(name, err)
	}
	plain := prefix + "-save"
	version, verr := r.o.Run(r.ctx, plain, "-V")
	if verr != nil || !strings.Contains(string(version), mark) {
		return nil, fmt.Errorf("%w: neither %s nor %s of that variant is installed (Debian package iptables)", errNoTool, name, plain)
	}
	out, err = r.o.Run(r.ctx, plain, "-t", table)
	return out, wrapRun(plain, err)
}

func wrapRun(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

func (r *reading) parseSave(out []byte, families ruleset.Families, title string) ([]*iptables.Table, error) {
	if bytes.Contains(out, []byte("--match-set")) {
		r.ipsets()
	}
	tables, problems, err := iptables.Read(bytes.NewReader(out), iptables.Options{Families: families, Title: title, Sets: r.sets})
	for _, p := range problems {
		r.gap(title + "-save: " + p.String())
	}
	return tables, err
}

// ipsets reads the IP sets that rules refer to, once.
func (r *reading) ipsets() {
	if r.asked {
		return
	}
	r.asked = true
	out, err := r.o.Run(r.ctx, "ipset", "save")
	if errors.Is(err, exec.ErrNotFound) {
		r.gap("rules refer to IP sets, and the program ipset that shows them is not installed (Debian package ipset)")
		return
	}
	if err != nil {
		r.gap("rules refer to IP sets: " + wrapRun("ipset save", err).Error())
		return
	}
	sets, problems, err := iptables.ReadSets(bytes.NewReader(out))
	for _, p := range problems {
		r.gap("ipset save: " + p.String())
	}
	if err != nil {
		r.gap(err.Error())
		return
	}
	r.sets = sets
}

// withoutNft reads what it can when nft does not run: tables that iptables
// made can be shown by iptables-nft-save.
func (r *reading) withoutNft(known Tables, listed bool, runErr error) {
	why := "nftables rules exist and could not be read: nft: " + runErr.Error()
	if errors.Is(runErr, exec.ErrNotFound) {
		why = "nftables rules exist and the program nft that shows them is not installed (Debian package nftables)"
	}
	if !listed {
		r.missing(both, strings.Replace(why, "rules exist and", "rules", 1))
		return
	}
	for _, id := range known.All {
		families := tableFamilies(id.Family)
		if families == 0 || known.Dormant[id] {
			continue
		}
		if isIptables(id) {
			if chains, err := r.iptablesNft(id); err == nil {
				r.add(chains)
				continue
			}
		}
		r.missing(families, why+": table "+id.Family+" "+id.Name)
	}
}

func tableFamilies(family string) ruleset.Families {
	switch family {
	case "ip":
		return ruleset.IPv4
	case "ip6":
		return ruleset.IPv6
	case "inet", "netdev":
		return both
	}
	return 0
}

// legacy reads the x_tables of a family. Only tables that exist are asked
// for: the legacy programs create what they are asked for.
func (r *reading) legacy(families ruleset.Families, names, prefix string) {
	data, err := os.ReadFile(filepath.Join(r.o.Proc, "thread-self", "net", names))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return // the kernel has no legacy tables, or never loaded them
	case errors.Is(err, os.ErrPermission):
		r.missing(families, "legacy "+prefix+" rules could not be read: "+ErrPrivilege.Error())
		return
	case err != nil:
		r.missing(families, "legacy "+prefix+" rules could not be read: "+err.Error())
		return
	}
	for _, table := range strings.Fields(string(data)) {
		r.legacyTable(families, prefix, table)
	}
}

func (r *reading) legacyTable(families ruleset.Families, prefix, table string) {
	out, err := r.save(prefix, "legacy", "legacy", table)
	if err == nil {
		var tables []*iptables.Table
		if tables, err = r.parseSave(out, families, prefix); err == nil {
			for _, t := range tables {
				r.add(t.Chains)
			}
			return
		}
	}
	r.missing(families, fmt.Sprintf("the legacy %s table %s exists and could not be read: %v", prefix, table, err))
}
