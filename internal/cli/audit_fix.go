package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy"
	"github.com/portreeve/portreeve/internal/remedy/closing"
	"github.com/portreeve/portreeve/internal/report"
)

// closable are the findings whose remedy is to close or narrow the port.
var closable = []string{"exposed-datastore", "exposed-admin-service", "cleartext-service", "exposed-beyond-need",
	"unused-listener", "not-in-policy", "unknown-service", "unruled-listener", "service-mismatch", "expired-entry"}

// fixer goes through the findings one by one.
type fixer struct {
	s    *streams
	pol  *policy.Policy
	dir  string
	yes  map[string]bool // "RULE ENDPOINT" answered yes beforehand; nil: ask
	in   *bufio.Reader
	done map[string]bool // endpoints that are closed by now
	// failed: a closing that was wanted did not come about.
	failed bool
}

// checkFix: fixing asks, so somebody must be there to answer.
func (f *auditFlags) checkFix(s *streams) error {
	file, ok := s.in.(*os.File)
	switch {
	case !f.fix && f.yesFile == "":
		return nil
	case !f.fix:
		return usage("add --fix", "--yes-file answers what --fix asks")
	case f.json || len(f.from) > 0:
		return usage("leave --json and --from away", "--fix changes this host and asks before it does")
	case f.yesFile == "" && !(ok && term.IsTerminal(int(file.Fd()))):
		return usage("run it in a terminal, or name what may be closed in a file: --yes-file FILE, one line `RULE ENDPOINT` for each finding", "--fix asks a question for each finding, and there is no terminal to answer it")
	}
	return nil
}

// fix walks the findings.
func (f *auditFlags) fixAll(ctx context.Context, s *streams, pol *policy.Policy, rep *audit.Report) error {
	dir, err := stateDir()
	if err != nil {
		return err
	}
	x := &fixer{s: s, pol: pol, dir: dir, in: bufio.NewReader(untilDone(ctx, s.in)), done: map[string]bool{}}
	if x.yes, err = readYes(s, f.yesFile); err != nil {
		return err
	}
	if err := recoverClosings(ctx, s, dir); err != nil {
		return err
	}
	for i := range rep.Findings {
		fd := &rep.Findings[i]
		if len(fd.Fix) == 0 || x.done[fd.Endpoint] {
			continue
		}
		if more, err := x.finding(ctx, fd); err != nil || !more {
			return err
		}
	}
	x.unmatched(rep)
	if x.failed {
		return &exitError{code: exitPartial}
	}
	return nil
}

// unmatched says which answers no finding asked for: a slip, or done already.
func (x *fixer) unmatched(rep *audit.Report) {
	for _, answer := range slices.Sorted(maps.Keys(x.yes)) {
		if !slices.ContainsFunc(rep.Findings, func(f exposure.Finding) bool { return f.Rule+" "+f.Endpoint == answer }) {
			fmt.Fprintf(x.s.err, "note: --yes-file: there is no finding %s now, so nothing was done for it\n", report.Escape(answer))
		}
	}
}

// readYes reads the answers; nil without a file.
func readYes(s *streams, name string) (map[string]bool, error) {
	if name == "" {
		return nil, nil
	}
	b, err := readInput(s, name, 1<<20)
	if err != nil {
		return nil, usage("nothing was changed", "read --yes-file: %w", err)
	}
	out := map[string]bool{}
	for i, line := range strings.Split(string(b), "\n") {
		line, _, _ = strings.Cut(line, "#")
		w := strings.Fields(line)
		switch len(w) {
		case 0:
		case 2:
			out[w[0]+" "+w[1]] = true
		default:
			return nil, usage("one line for each finding, as: exposed-datastore tcp/0.0.0.0:6379", "--yes-file %s, line %d: a rule and an endpoint belong there", name, i+1)
		}
	}
	return out, nil
}

// finding shows one finding, and does what is answered. more is false when
// the person wants no more.
func (x *fixer) finding(ctx context.Context, fd *exposure.Finding) (more bool, err error) {
	if x.yes != nil && !x.yes[fd.Rule+" "+fd.Endpoint] {
		return true, nil
	}
	fmt.Fprintf(x.s.out, "\n%s  %s  %s\n  %s\n", strings.ToUpper(string(fd.Severity)), report.Escape(fd.Endpoint), fd.Rule, report.Escape(fd.Title))
	plan := x.plan(ctx, fd)
	if plan == nil {
		x.byHand(fd)
		return true, nil
	}
	if err := closeText(x.s, plan); err != nil {
		return false, writeError(err)
	}
	for {
		switch answer, err := x.ask(ctx); {
		case err != nil:
			return false, err
		case answer == "y":
			return true, x.close(ctx, fd, plan)
		case answer == "q":
			return false, nil
		case answer == "d":
			reasons(x.s.out, "because", fd.Because)
			reasons(x.s.out, "why it may be safe", fd.SafeBecause)
			x.byHand(fd)
		default:
			return true, nil
		}
	}
}

// plan is how close would do it; nil where a person has to.
func (x *fixer) plan(ctx context.Context, fd *exposure.Finding) *closing.Plan {
	port, ok := endpointPort(fd.Endpoint)
	if !ok || !slices.Contains(closable, fd.Rule) {
		return nil
	}
	hows := []closing.How{closing.Best}
	if fd.Rule == "exposed-beyond-need" {
		hows = []closing.How{closing.Rebind, closing.Firewall}
	}
	var err error
	for _, how := range hows {
		var p *closing.Plan
		o := closing.Options{StateDir: x.dir, Ports: []closing.Port{port}, How: how, Policy: x.pol, Usage: pastClients(ctx, x.s, []closing.Port{port})}
		if p, err = closing.Prepare(ctx, o); err == nil {
			err = p.Err()
		}
		if err == nil && len(p.Steps) > 0 {
			return p
		}
	}
	if err != nil {
		report.Notes(x.s.out, []string{"It is not closed from here: " + err.Error()}, x.s.style(false))
	}
	return nil
}

// endpointPort reads "tcp/0.0.0.0:22".
func endpointPort(endpoint string) (closing.Port, bool) {
	proto, rest, ok := strings.Cut(endpoint, "/")
	i := strings.LastIndexByte(rest, ':')
	if !ok || i < 0 {
		return closing.Port{}, false
	}
	port, p, ok := parsePort(rest[i+1:] + "/" + proto)
	return closing.Port{Proto: p, Port: port}, ok
}

func (x *fixer) byHand(fd *exposure.Finding) {
	for _, f := range fd.Fix {
		fmt.Fprintf(x.s.out, "  %s\n", report.Escape(f.What))
		if f.Command != "" {
			fmt.Fprintf(x.s.out, "       %s\n", report.Escape(f.Command))
		}
	}
}

func reasons(w io.Writer, head string, lines []string) {
	for _, l := range lines {
		fmt.Fprintf(w, "  %s: %s\n", head, report.Escape(l))
	}
}

// ask wants y, n, q or d.
func (x *fixer) ask(ctx context.Context) (string, error) {
	if x.yes != nil {
		return "y", nil
	}
	for {
		fmt.Fprint(x.s.out, "Do it? [y]es, [n]o, [d]etails, [q]uit: ")
		line, err := x.in.ReadString('\n')
		if err != nil {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			return "q", nil // nobody answers any more
		}
		switch word := strings.ToLower(strings.TrimSpace(line)); word {
		case "y", "yes", "n", "no", "q", "quit", "d", "details":
			return word[:1], nil
		}
	}
}

func (x *fixer) close(ctx context.Context, fd *exposure.Finding, p *closing.Plan) error {
	done, err := p.Apply(ctx)
	if err != nil {
		x.failed = true
		fmt.Fprintf(x.s.err, "portreeve: %s\n", report.Escape(err.Error()))
		var e *remedy.Error
		if errors.As(err, &e) && e.Reason == remedy.NotRestored {
			return remedyError(err)
		}
		return nil
	}
	x.done[fd.Endpoint] = true
	for _, e := range p.Also {
		x.done[e] = true
	}
	report.Notes(x.s.out, done.Notes, x.s.style(false))
	_, err = fmt.Fprintf(x.s.out, "Closed. To open it again: portreeve close undo %s\n", done.ID)
	return writeOrNil(err)
}
