package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan"
	"github.com/portreeve/portreeve/internal/watch"
)

// auditGroup is the name under which all scheduled audits bring findings.
const auditGroup = "audit"

// watchAudits runs audits by the clock, one at a time.
type watchAudits struct {
	s       *streams
	running sync.Mutex

	mu       sync.Mutex
	policy   *policy.Policy
	vantages map[string]freshScan
}

// freshScan is a vantage's last result and how long it may be used.
type freshScan struct {
	scan   exposure.Scan
	taken  time.Time
	maxAge time.Duration
}

func (a *watchAudits) setPolicy(p *policy.Policy) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.policy = p
}

// jobs are the configured audits and scans from outside.
func (w *watcher) jobs() []watch.Job {
	c := &w.config.Schedule
	quiet := &streams{in: w.s.in, out: io.Discard, err: io.Discard, color: "never"}
	w.audits = &watchAudits{s: quiet, policy: w.policy, vantages: map[string]freshScan{}}
	var out []watch.Job
	for i := range c.Audit {
		a := c.Audit[i]
		when, err := a.Times()
		if err != nil {
			continue // ParseConfig refused it already
		}
		out = append(out, watch.Job{Name: "scheduled audit", Group: auditGroup, Next: when.Next,
			Run: func(ctx context.Context) ([]exposure.Finding, error) { return w.audits.run(ctx, a.Deep) }})
	}
	for i := range c.Vantages {
		v := c.Vantages[i]
		when, err := v.Times()
		if err != nil {
			continue
		}
		out = append(out, watch.Job{Name: "vantage " + v.Name, Group: auditGroup, Next: when.Next,
			Run: func(ctx context.Context) ([]exposure.Finding, error) { return w.audits.fromOutside(ctx, &v) }})
	}
	return out
}

// run audits as `portreeve audit` does, with the scans from outside that are
// fresh enough.
func (a *watchAudits) run(ctx context.Context, deep bool) ([]exposure.Finding, error) {
	a.running.Lock()
	defer a.running.Unlock()
	g := newGatherer(a.s)
	g.deep = deep
	in, err := g.gather(ctx)
	if err != nil {
		return nil, fmt.Errorf("the audit found nothing out: %w", err)
	}
	if ctx.Err() != nil {
		return nil, errors.New("interrupted; its findings are not used")
	}
	new(auditPast).use(ctx, a.s, in)
	a.mu.Lock()
	in.Policy = a.policy
	for _, v := range a.vantages {
		if time.Since(v.taken) <= v.maxAge {
			in.Vantages = append(in.Vantages, v.scan)
		}
	}
	a.mu.Unlock()
	rep := audit.Judge(in)
	return rep.Findings, nil
}

// fromOutside takes a scan made elsewhere and audits with it.
func (a *watchAudits) fromOutside(ctx context.Context, v *watch.VantageConfig) ([]exposure.Finding, error) {
	sc, err := fetchVantage(ctx, v)
	if err != nil {
		return nil, err
	}
	taken := sc.Taken
	if taken.IsZero() {
		taken = time.Now()
	}
	age := v.MaxAge
	if age == 0 {
		age = watch.DefaultVantageAge
	}
	if old := time.Since(taken); old > age {
		return nil, fmt.Errorf("its scan is %s old, older than max-age %s; it was not used", old.Round(time.Minute), age)
	}
	a.mu.Lock()
	a.vantages[v.Name] = freshScan{sc, taken, age}
	a.mu.Unlock()
	return a.run(ctx, false)
}

func fetchVantage(ctx context.Context, v *watch.VantageConfig) (exposure.Scan, error) {
	if v.File != "" {
		f, err := os.Open(v.File)
		if err != nil {
			return exposure.Scan{}, fmt.Errorf("read the scan: %w", err)
		}
		defer f.Close()
		return readFresh(f, v.File)
	}
	out, err := runVantage(ctx, v)
	if err != nil {
		return exposure.Scan{}, err
	}
	return readFresh(bytes.NewReader(out), v.Name)
}

// maxVantage bounds what a vantage may print.
const maxVantage = 64 << 20

func readFresh(r io.Reader, name string) (exposure.Scan, error) {
	sc, err := scan.ReadVantage(io.LimitReader(r, maxVantage), name)
	if err != nil {
		return sc, fmt.Errorf("%s is no scan (portreeve scan --json, or nmap's XML): %w", name, err)
	}
	return sc, nil
}

// runVantage runs the command, without a shell and without input.
func runVantage(ctx context.Context, v *watch.VantageConfig) ([]byte, error) {
	within := v.Timeout
	if within == 0 {
		within = watch.DefaultVantageTimeout
	}
	ctx, stop := context.WithTimeout(ctx, within)
	defer stop()
	out, complaint := &bounded{limit: maxVantage}, &bounded{limit: 4096, cut: true}
	cmd := exec.CommandContext(ctx, v.Command[0], v.Command[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, complaint, time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("%s did not end within %s", v.Command[0], within)
	case out.over:
		return nil, fmt.Errorf("%s printed more than %d bytes", v.Command[0], maxVantage)
	case err != nil && out.Len() == 0:
		return nil, fmt.Errorf("%s: %w: %s", v.Command[0], err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.Bytes(), nil // a scan that saw only a part ends with 3
}

// bounded keeps the beginning of what is written; beyond it fails, or cuts.
type bounded struct {
	bytes.Buffer
	limit int
	cut   bool
	over  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - b.Len()
	if len(p) <= room {
		return b.Buffer.Write(p)
	}
	b.over = true
	b.Buffer.Write(p[:max(room, 0)])
	if b.cut {
		return len(p), nil
	}
	return 0, errTooLarge
}
