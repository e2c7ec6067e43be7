package source

import (
	"io"
	"regexp"
	"sync"

	"github.com/portreeve/portreeve/internal/firewall/dialect/aws"
	"github.com/portreeve/portreeve/internal/firewall/dialect/azure"
	"github.com/portreeve/portreeve/internal/firewall/dialect/cisco"
	"github.com/portreeve/portreeve/internal/firewall/dialect/gcp"
	"github.com/portreeve/portreeve/internal/firewall/dialect/iptables"
	"github.com/portreeve/portreeve/internal/firewall/dialect/kubernetes"
	"github.com/portreeve/portreeve/internal/firewall/dialect/nftables"
	"github.com/portreeve/portreeve/internal/firewall/dialect/pf"
	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/dialect/windows"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// format is one format.
type format struct {
	name, what string
	// fits is the first look.
	fits func(t *text) bool
	read func(t *text) (*ruleset.RuleSet, []problem.Problem, error)
	// none is the error by which the reader says that it found nothing of its
	// kind.
	none error
	// like are words of such documents, by which one that cannot be read is
	// known; "" where fits tells enough.
	like string
}

// formats are tried in this order: those that cannot be taken for another
// first.
var formats = []format{
	{"rules", "a rule file of this program (YAML)", looks(`(?m)^(schema:\s*["']?portreeve\.rules/|rules:\s*(#.*)?$)`), readRuleFile, errNotOurs, ""},
	{"nftables-json", "nft -j list ruleset", looks(`^\s*\{\s*"nftables"`), readNftJSON, nftables.ErrFormat, `"nftables"\s*:`},
	{"nftables", "nft list ruleset, nft.conf", looks(nftLook), readNftText, nftables.ErrText, ""},
	{"iptables", "iptables-save, ip6tables-save, iptables -S, with ipset save", looks(iptablesLook), readIptables, iptables.ErrFormat, ""},
	{"aws", "EC2 security groups and network ACLs (JSON)", looksJSON, simple(aws.Read, aws.Options{}), aws.ErrFormat, `"(SecurityGroups?|SecurityGroupRules|NetworkAcls?|IpPermissions(Egress)?|NetworkAclId|GroupId)"\s*:`},
	{"azure", "network security groups (JSON)", looksJSON, simple(azure.Read, azure.Options{}), azure.ErrFormat, `"(securityRules|defaultSecurityRules|networkSecurityGroups?)"\s*:|Microsoft\.Network`},
	{"gcp", "VPC firewall rules and policies (JSON, YAML)", looks(`^\s*[\[{]|(?m)^(- |---|[A-Za-z]+:)`), simple(gcp.Read, gcp.Options{}), gcp.ErrFormat, `compute#firewall|googleapis\.com/compute|"(sourceRanges|targetTags|allowed|denied)"\s*:`},
	{"kubernetes", "NetworkPolicy (YAML, JSON)", looks(`NetworkPolicy`), simple(kubernetes.Read, kubernetes.Options{}), kubernetes.ErrFormat, `NetworkPolicy`},
	{"cisco", "IOS, NX-OS, XR, ASA, EOS configuration; show access-lists", looks(ciscoLook), simple(cisco.Read, cisco.Options{}), cisco.ErrFormat, ""},
	{"pf", "pf.conf, pfctl -sr", looks(pfLook), simple(pf.Read, pf.Options{}), pf.ErrFormat, ""},
	{"windows", "netsh advfirewall, Get-NetFirewallRule, firewall registry export", looksWindows, simple(windows.Read, windows.Options{}), windows.ErrFormat, ""},
}

const (
	nftLook = `(?m)^[ \t]*(#!.*\bnft\b|(add[ \t]+|create[ \t]+|destroy[ \t]+|delete[ \t]+)?table[ \t]+((ip|ip6|inet|arp|bridge|netdev)[ \t]+)?[\w.-]+|` +
		`flush[ \t]+(ruleset|table)|(add|insert)[ \t]+(rule|chain|set|map|element)\b)`
	iptablesLook = `(?m)^(\*(filter|nat|mangle|raw|security)\b|(\[\d+:\d+\][ \t]+)?(iptables[ \t]+)?-[AIPN][ \t]+\S+|Chain \S+ \((policy|\d+ references))`
	ciscoLook    = `(?im)^[ \t]*((no[ \t]+)?(ip |ipv4 |ipv6 )?access-list[ \t]|((standard|extended|reflexive)[ \t]+)?ip(v4|v6)?[ \t]+access[ \t]+list[ \t]|object-group[ \t]|access-group[ \t]|clear configure access-list)`
	pfLook       = `(?m)^[ \t]*(@\d+[ \t]+)?(pass|block|match|antispoof|scrub|anchor|rdr|nat|rdr-anchor|nat-anchor|set[ \t]+skip|table[ \t]+<)\b?`
)

func looks(pattern string) func(*text) bool {
	re := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
	return func(t *text) bool { return re().Match(t.head) }
}

// looksWindows leaves Windows' many listings, some in UTF-16, to their reader.
func looksWindows(*text) bool { return true }

// looksJSON reports an object or a list.
func looksJSON(t *text) bool {
	for _, c := range t.head {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == '{' || c == '['
	}
	return false
}

// simple makes the reader of a dialect that has the common shape.
func simple[O any](read func(io.Reader, O) (*ruleset.RuleSet, []problem.Problem, error), o O) func(*text) (*ruleset.RuleSet, []problem.Problem, error) {
	return func(t *text) (*ruleset.RuleSet, []problem.Problem, error) { return read(t.reader(), o) }
}
