package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/report"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/spf13/cobra"
)

type auditFlags struct {
	json, verbose, deep bool
	policy, failOn      string
	vantages, from      []string
	host                string
	observe             time.Duration
	since               string
	record              bool
	fix                 bool
	yesFile             string
}

func newAudit(s *streams) *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Everything open here, judged, with reasons and how to close it",
		Long: `Lists this host's listeners, asks every TCP port of every address of this
network namespace, lists again, reads the firewall, and joins it all: one row
per service, findings with their reasons, and what to type. Changes nothing.

A self-scan does not pass the firewall hooks that a stranger's packets meet.
Scan this host from another one and give the result with --vantage.`,
		Example: `  portreeve audit
  portreeve audit -v                           every reason and every fix
  portreeve audit --policy ports.yaml --fail-on medium
  portreeve audit --observe 10m                who uses what, too
  portreeve audit --since 7d                   what is new since a week ago
  portreeve audit --fix                        ask about each finding, close it
  nmap -Pn -p- -oX v.xml HOST                  on another host, then here:
  portreeve audit --vantage v.xml --json > audit.json
  portreeve audit --from host.json --from web.pcap    another host`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runAudit(cmd.Context(), s, f) },
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document (portreeve.audit/1)")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "all evidence, all fixes, findings of severity info")
	cmd.Flags().BoolVar(&f.deep, "deep", false, "cross-check the kernel's own sources and try to bind every port")
	cmd.Flags().StringVar(&f.policy, "policy", "", "a policy file: what should be open (YAML, see docs/policy.md)")
	cmd.Flags().StringVar(&f.failOn, "fail-on", "", "exit 1 when a finding is at or above: low, medium or high")
	cmd.Flags().StringArrayVar(&f.vantages, "vantage", nil, "a scan of this host made elsewhere (nmap XML or portreeve scan --json; - is stdin; may repeat)")
	cmd.Flags().DurationVar(&f.observe, "observe", 0, "also watch who connects for this long, as 30s or 10m")
	cmd.Flags().StringArrayVar(&f.from, "from", nil, "judge this evidence instead of this host: captures, portreeve's host, scan and flow JSON, nmap XML (- is stdin; may repeat)")
	cmd.Flags().StringVar(&f.host, "host", "", "with --from: the addresses of the host that is meant, as ADDR[,ADDR] or NAME=ADDR[,ADDR]")
	cmd.Flags().StringVar(&f.since, "since", "", "mark what is new since a saved snapshot, or since 12h, 7d, a date or a time")
	cmd.Flags().BoolVar(&f.fix, "fix", false, "go through the findings one by one, and ask what to close")
	cmd.Flags().StringVar(&f.yesFile, "yes-file", "", "with --fix: close what this file names (lines RULE ENDPOINT), ask nothing")
	cmd.Flags().BoolVar(&f.record, "record", false, "keep this audit's listeners and findings in the history")
	return cmd
}

func runAudit(ctx context.Context, s *streams, f auditFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.checkFix(s); err != nil {
		return err
	}
	pol, err := readPolicy(s, f.policy)
	if err != nil {
		return err
	}
	vantages, err := readVantages(s, f.vantages)
	if err != nil {
		return err
	}
	past, err := f.openPast(ctx)
	if err != nil {
		return err
	}
	in, err := f.gather(ctx, s)
	if err != nil {
		return err
	}
	past.use(ctx, s, in)
	in.Policy, in.Vantages = pol.For(in.Host, ownIPs(in.Addrs)), append(in.Vantages, vantages...)
	rep := audit.Judge(in)
	if len(in.Vantages) > 0 && len(rep.Summary.Vantages) == 0 {
		fmt.Fprintln(s.err, "note: no host in the vantage file has an address of this host; it was not used")
	}
	past.compare(ctx, in, &rep)
	if err := printAudit(s, &rep, f, past); err != nil {
		return writeError(err)
	}
	if err := past.keep(ctx, in, &rep); err != nil {
		return err
	}
	if f.fix {
		return f.fixAll(ctx, s, in.Policy, &rep)
	}
	return auditEnd(s, &rep, f)
}

// gather looks at this host, or at the files that stand for another one.
func (f *auditFlags) gather(ctx context.Context, s *streams) (*audit.Input, error) {
	if len(f.from) > 0 {
		return gatherEvidence(ctx, s, f)
	}
	g := newGatherer(s)
	g.deep, g.observe = f.deep, f.observe
	in, err := g.gather(ctx)
	if err != nil {
		return nil, hostError(err)
	}
	return in, nil
}

// checkFrom: evidence stands for a host that is not looked at.
func (f *auditFlags) checkFrom() error {
	stdin := 0
	for _, name := range slices.Concat(f.from, f.vantages, []string{f.policy}) {
		if name == "-" {
			stdin++
		}
	}
	switch {
	case stdin > 1:
		return usage("write all but one to files", "standard input was named %d times and can be read once", stdin)
	case len(f.from) == 0 && f.host != "":
		return usage("without --from, this host is audited, and its addresses are known", "--host needs --from")
	case len(f.from) > 0 && f.observe > 0:
		return usage("leave --observe away, or give a longer capture with --from", "--observe watches this host, and with --from it is left alone")
	case len(f.from) > 0 && f.deep:
		return usage("leave --deep away", "--deep asks this host's kernel, and with --from it is left alone")
	case len(f.from) > 0 && (f.since != "" || f.record):
		return usage("leave it away; host documents are compared with portreeve baseline diff", "--since and --record are about this host's history, and with --from it is left alone")
	}
	return nil
}

func (f *auditFlags) check() error {
	if f.failOn != "" && exposure.Severity(f.failOn).Rank() < exposure.Low.Rank() {
		return usage("write --fail-on low, medium or high", "--fail-on %q is no severity", f.failOn)
	}
	if f.observe < 0 {
		return usage("write it as in --observe 30s", "--observe %s is negative", f.observe)
	}
	return f.checkFrom()
}

// auditDocument is the contract's JSON document.
type auditDocument struct {
	Schema string `json:"schema"`
	audit.Report
	*auditSince
}

func printAudit(s *streams, rep *audit.Report, f auditFlags, past *auditPast) error {
	if f.json {
		return report.JSON(s.out, auditDocument{"portreeve.audit/1", *rep, past.since})
	}
	if err := report.AuditText(s.out, rep, s.style(f.verbose)); err != nil || past.since == nil {
		return err
	}
	return past.text(s, rep, f.verbose)
}

// auditEnd chooses the code: findings win over a view that was missing.
func auditEnd(s *streams, rep *audit.Report, f auditFlags) error {
	end := s.finish(nil, rep.Incomplete)
	if f.failOn == "" {
		return end
	}
	limit := exposure.Severity(f.failOn).Rank()
	if slices.ContainsFunc(rep.Findings, func(x exposure.Finding) bool { return x.Severity.Rank() >= limit }) {
		return &exitError{code: exitFindings}
	}
	return end
}

// readPolicy reads a policy file with all its roles: Policy.For is what holds
// for one host, Policy.ForAll for a network. No name gives nil.
func readPolicy(s *streams, name string) (*policy.Policy, error) {
	if name == "" {
		return nil, nil
	}
	b, err := readInput(s, name, policy.MaxBytes+1)
	if err != nil {
		return nil, usage("nothing was sent or changed; give a readable policy file", "read the policy: %w", err)
	}
	p, err := policy.Parse(b)
	if err != nil {
		return nil, usage("nothing was sent or changed; correct the file (docs/policy.md shows its form)", "policy %s: %w", name, err)
	}
	return p, nil
}

// ownIPs are the addresses by which others know a host.
func ownIPs(own []exposure.OwnAddress) []netip.Addr {
	var out []netip.Addr
	for _, a := range own {
		if !a.IP.IsLoopback() {
			out = append(out, a.IP)
		}
	}
	return out
}

func readVantages(s *streams, names []string) ([]exposure.Scan, error) {
	var out []exposure.Scan
	for _, name := range names {
		sc, err := readVantage(s, name)
		if err != nil {
			return nil, usage("nothing was audited; a vantage is nmap's XML (-oX) or `portreeve scan --json`", "vantage %s: %w", name, err)
		}
		out = append(out, sc)
	}
	return out, nil
}

func readVantage(s *streams, name string) (exposure.Scan, error) {
	r, err := openInput(s, name)
	if err != nil {
		return exposure.Scan{}, err
	}
	defer r.Close()
	return scan.ReadVantage(r, name)
}

var errTooLarge = errors.New("the file is larger than what is read")

// readInput reads a whole file, or standard input for "-", up to a limit.
func readInput(s *streams, name string, limit int64) ([]byte, error) {
	r, err := openInput(s, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = errTooLarge
	}
	return b, err
}

// openInput opens a file, or standard input for "-".
func openInput(s *streams, name string) (io.ReadCloser, error) {
	if name == "-" {
		return decompress(io.NopCloser(s.in), name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return decompress(f, name)
}
