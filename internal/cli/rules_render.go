package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/firewall/dialect/aws"
	"github.com/portreeve/portreeve/internal/firewall/dialect/cisco"
	"github.com/portreeve/portreeve/internal/firewall/dialect/iptables"
	"github.com/portreeve/portreeve/internal/firewall/dialect/kubernetes"
	"github.com/portreeve/portreeve/internal/firewall/dialect/nftables"
	"github.com/portreeve/portreeve/internal/firewall/dialect/pf"
	"github.com/portreeve/portreeve/internal/firewall/dialect/windows"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
	"github.com/portreeve/portreeve/internal/report"
)

type renderFlags struct {
	to        string
	output    string
	chains    []string
	helpers   bool
	family    int
	in        string
	group     string
	vpc       string
	terraform bool
	namespace string
	selector  map[string]string
	forNets   []string
	defaults  bool

	protects []netip.Prefix
}

// renderer writes a rule file for one firewall.
type renderer func(w io.Writer, f *rulefile.File) (notes []string, err error)

// renderNames are what --to takes.
func renderNames() []string {
	return []string{"nftables", "iptables", "ip6tables", "cisco-ios", "cisco-asa", "aws", "terraform", "windows", "pf", "kubernetes"}
}

func newRulesRender(s *streams) *cobra.Command {
	var f renderFlags
	cmd := &cobra.Command{
		Use:   "render RULES --to FORMAT",
		Short: "Write a rule file for a firewall",
		Long: `Writes a rule file as a configuration for one kind of firewall, with how to
load it, check it and undo it. What that firewall has no words for is refused
or left out, and said: nothing is ever widened. Nothing is changed here.`,
		Example: `  portreeve rules render rules.yaml --to nftables -o rules.nft
  portreeve rules render rules.yaml --to cisco-asa
  portreeve rules render rules.yaml --to aws --for 10.0.1.5
  portreeve rules render rules.yaml --to aws --terraform -o web.tf.json
  portreeve rules render rules.yaml --to windows`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runRender(s, &f, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.to, "to", "", strings.Join(renderNames(), ", "))
	fl.StringVarP(&f.output, "output", "o", "-", "where it goes (- is stdout)")
	fl.StringSliceVar(&f.chains, "chains", nil, "nftables: input, forward (both unless named)")
	fl.BoolVar(&f.helpers, "helpers", false, "nftables: connection tracking helpers for ftp, sip and the like")
	fl.IntVar(&f.family, "family", 0, "iptables: 4 or 6 (as --to iptables, ip6tables)")
	fl.StringVar(&f.in, "in", "", "cisco: the interface that the list is applied on")
	fl.StringVar(&f.group, "group", "", "aws: the security group, sg-… or a name")
	fl.StringVar(&f.vpc, "vpc", "", "aws: the network of new groups")
	fl.BoolVar(&f.terraform, "terraform", false, "aws: Terraform's JSON")
	fl.StringVar(&f.namespace, "namespace", "", "kubernetes: the namespace")
	fl.StringToStringVar(&f.selector, "selector", nil, "kubernetes: the pods' labels, as app=web")
	fl.StringSliceVar(&f.forNets, "for", nil, "aws, kubernetes, windows: the addresses that are protected")
	fl.BoolVar(&f.defaults, "keep-defaults", false, "windows: leave the profiles' default actions alone")
	return cmd
}

func runRender(s *streams, f *renderFlags, name string) error {
	for _, text := range f.forNets {
		p, err := prefixOf(text)
		if err != nil {
			return usage("write --for 10.0.1.5 or a network", "--for %q is no address", text)
		}
		f.protects = append(f.protects, p)
	}
	write, err := f.renderer()
	if err != nil {
		return err
	}
	file, err := readRuleFile(s, name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	notes, err := write(&b, file)
	if err != nil {
		return usage("", "write %s for %s: %w", inputName(name), f.to, err)
	}
	report.Notes(s.err, notes, s.noteStyle())
	if f.output == "-" {
		if _, err := s.out.Write(b.Bytes()); err != nil {
			return writeError(err)
		}
		return nil
	}
	return writeWhole(f.output, b.Bytes())
}

func (f *renderFlags) renderer() (renderer, error) {
	switch f.to {
	case "nftables", "nft":
		return f.nftables()
	case "iptables", "ip6tables":
		return f.iptables()
	case "cisco-ios":
		return f.cisco(cisco.IOS), nil
	case "cisco-asa":
		return f.cisco(cisco.ASA), nil
	case "aws", "terraform":
		return f.aws(), nil
	case "windows":
		return func(w io.Writer, file *rulefile.File) ([]string, error) {
			return windows.Render(w, file, windows.RenderOptions{For: f.protects, KeepDefaults: f.defaults})
		}, nil
	case "pf":
		return func(w io.Writer, file *rulefile.File) ([]string, error) {
			return pf.Render(w, file, pf.RenderOptions{})
		}, nil
	case "kubernetes":
		return func(w io.Writer, file *rulefile.File) ([]string, error) {
			return kubernetes.Render(w, file, kubernetes.RenderOptions{Namespace: f.namespace, PodSelector: f.selector, For: f.protects})
		}, nil
	case "":
		return nil, usage("add --to "+strings.Join(renderNames(), ", "), "for which firewall?")
	}
	return nil, usage("write --to "+strings.Join(renderNames(), ", "), "--to %q is not known", f.to)
}

func (f *renderFlags) nftables() (renderer, error) {
	o := nftables.RenderOptions{Helpers: f.helpers}
	for _, name := range f.chains {
		switch name {
		case "input":
			o.Chains |= nftables.InputChain
		case "forward":
			o.Chains |= nftables.ForwardChain
		default:
			return nil, usage("write --chains input,forward", "--chains %q is not known", name)
		}
	}
	return func(w io.Writer, file *rulefile.File) ([]string, error) { return nftables.Render(w, file, o) }, nil
}

func (f *renderFlags) iptables() (renderer, error) {
	o := iptables.RenderOptions{Families: ruleset.IPv4}
	if !slices.Contains([]int{0, 4, 6}, f.family) {
		return nil, usage("write --family 4 or 6", "--family %d is not known", f.family)
	}
	if f.family == 6 || f.family == 0 && f.to == "ip6tables" {
		o.Families = ruleset.IPv6
	}
	return func(w io.Writer, file *rulefile.File) ([]string, error) { return iptables.Render(w, file, o) }, nil
}

func (f *renderFlags) cisco(platform cisco.Platform) renderer {
	return func(w io.Writer, file *rulefile.File) ([]string, error) {
		return cisco.Render(w, file, cisco.RenderOptions{Platform: platform, In: f.in})
	}
}

func (f *renderFlags) aws() renderer {
	o := aws.RenderOptions{Terraform: f.terraform || f.to == "terraform" || strings.HasSuffix(f.output, ".tf.json"), VpcID: f.vpc, For: f.protects}
	if strings.HasPrefix(f.group, "sg-") {
		o.GroupID = f.group
	} else {
		o.GroupName = f.group
	}
	return func(w io.Writer, file *rulefile.File) ([]string, error) {
		notes, err := aws.Render(w, file, o)
		if errors.Is(err, aws.ErrSeveral) {
			err = fmt.Errorf("%w; leave --group and --for out, or name one address with --for", err)
		}
		return notes, err
	}
}
