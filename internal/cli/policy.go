package cli

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/report"
)

func newPolicy(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "What should be open: write a first policy, check one",
		Long: `A policy says what should be open on a host and why, what nobody may close, and
until when. The same file serves audit, watch, scan and rules learn, for one
host or for many by roles. Its form is in docs/policy.md.`,
		Example: `  portreeve policy init -o policy.yaml     from what listens here now
  portreeve policy check policy.yaml
  portreeve audit --policy policy.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyInit(s), newPolicyCheck(s))
	return cmd
}

type policyCheckFlags struct {
	json             bool
	at, soon, failOn string
	host             string
	roles            []string
	day              time.Time
	ahead            time.Duration
	named            hostFlag
	file             string
}

func newPolicyCheck(s *streams) *cobra.Command {
	var f policyCheckFlags
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Is the policy right, and what in it says nothing or is due?",
		Long: `Reads a policy as the audit does and tells what is wrong, with its place: what
cannot be read (exit 2), and what can be read and is not good: reasons to be
filled in, entries that can never match or that an earlier one covers, days
that have passed or soon will, roles that contradict each other.

--host shows the policy as one host has it, --role as a host with that role.`,
		Example: `  portreeve policy check policy.yaml
  portreeve policy check policy.yaml --fail-on medium   for a pipeline
  portreeve policy check policy.yaml --at 2027-01-01    what is due by then
  portreeve policy check policy.yaml --host web-01=10.0.1.7`,
		Args: oneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			f.file = args[0]
			return runPolicyCheck(s, &f)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.json, "json", false, "one JSON document (portreeve.policy-check/1)")
	fl.StringVar(&f.at, "at", "", "judge expiry as of this day, as 2027-01-31 (default today)")
	fl.StringVar(&f.soon, "soon", "30d", "tell of entries that end within this time")
	fl.StringVar(&f.failOn, "fail-on", "", "exit 1 when a finding is at or above: low, medium or high")
	fl.StringVar(&f.host, "host", "", "as this host has it: NAME, ADDR, or NAME=ADDR[,ADDR]")
	fl.StringArrayVar(&f.roles, "role", nil, "as a host with this role has it (may repeat)")
	return cmd
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("see: "+cmd.CommandPath()+" --help", "%s takes one file, got %d", cmd.Name(), len(args))
	}
	return nil
}

func runPolicyCheck(s *streams, f *policyCheckFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	whole, err := readPolicy(s, f.file)
	if err != nil {
		return err
	}
	if whole == nil {
		return usage("name the file; - is standard input", "policy check: no file was named")
	}
	p, err := f.view(whole)
	if err != nil {
		return err
	}
	c := &report.PolicyCheck{Taken: time.Now().UTC(), Host: hostname(), File: f.file, At: f.day, For: f.who(), Roles: p.Applied,
		Expect: len(p.Expect), Protected: len(p.Protected)}
	for _, r := range p.Roles {
		c.Expect, c.Protected = c.Expect+len(r.Expect), c.Protected+len(r.Protected)
		c.Roles = append(c.Roles, r.Name)
	}
	for _, x := range p.Check(policy.CheckOptions{At: f.day, Soon: f.ahead, Name: openBook().Name}) {
		c.Findings = append(c.Findings, report.PolicyFinding(x))
	}
	return f.tell(s, c)
}

func (f *policyCheckFlags) tell(s *streams, c *report.PolicyCheck) error {
	var err error
	if f.json {
		err = report.PolicyCheckJSON(s.out, c)
	} else {
		err = report.PolicyCheckText(s.out, c, s.style(false))
	}
	if err != nil {
		return writeError(err)
	}
	limit := exposure.Severity(f.failOn).Rank()
	if f.failOn != "" && slices.ContainsFunc(c.Findings, func(x report.PolicyFinding) bool { return x.Severity.Rank() >= limit }) {
		return &exitError{code: exitFindings}
	}
	return nil
}

func (f *policyCheckFlags) check() (err error) {
	if f.failOn != "" && exposure.Severity(f.failOn).Rank() < exposure.Low.Rank() {
		return usage("write --fail-on low, medium or high", "--fail-on %q is no severity", f.failOn)
	}
	f.day = time.Now().UTC()
	if f.at != "" {
		if f.day, err = time.Parse(time.DateOnly, f.at); err != nil {
			return usage("write it as --at 2027-01-31", "--at %q is no day", f.at)
		}
	}
	if f.ahead, err = days(f.soon); err != nil {
		return usage("write it as --soon 30d or --soon 36h", "--soon %q is no length of time", f.soon)
	}
	if f.host != "" && len(f.roles) > 0 {
		return usage("give one of them", "--host and --role both say which roles hold")
	}
	if strings.ContainsAny(f.host, "=:") || strings.Count(f.host, ".") == 3 {
		f.named, err = parseHostFlag(f.host)
		return err
	}
	f.named.name = f.host
	return nil
}

// days reads 30d and what time.ParseDuration reads.
func days(text string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(text, "d"); ok {
		count, err := strconv.ParseUint(n, 10, 16)
		return time.Duration(count) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("negative")
	}
	return d, err
}

// view is the file as it holds for the host or the roles named.
func (f *policyCheckFlags) view(p *policy.Policy) (*policy.Policy, error) {
	if f.host != "" {
		return p.For(f.named.name, ownIPs(f.named.addrs)), nil
	}
	if len(f.roles) == 0 {
		return p, nil
	}
	var known []string
	for _, r := range p.Roles {
		known = append(known, r.Name)
	}
	for _, name := range f.roles {
		if !slices.Contains(known, name) {
			return nil, usage("its roles are: "+report.Escape(strings.Join(known, ", ")), "policy %s has no role %q", f.file, name)
		}
	}
	return p.ForRoles(f.roles...), nil
}

func (f *policyCheckFlags) who() string {
	switch {
	case f.host != "":
		return "host " + f.host
	case len(f.roles) > 0:
		return "role " + strings.Join(f.roles, ", ")
	}
	return ""
}

// policyHere reads a policy file and gives what of it holds for this host. No
// name gives nil.
func policyHere(ctx context.Context, s *streams, name string) (*policy.Policy, error) {
	p, err := readPolicy(s, name)
	if p == nil || err != nil {
		return nil, err
	}
	return forThisHost(ctx, p), nil
}

// forThisHost picks this host's roles, by its name alone where its addresses
// cannot be read.
func forThisHost(ctx context.Context, p *policy.Policy) *policy.Policy {
	own, _ := host.Addresses(ctx)
	var addrs []netip.Addr
	for _, a := range own {
		if !a.Loopback {
			addrs = append(addrs, a.Addr)
		}
	}
	return p.For(hostname(), addrs)
}
