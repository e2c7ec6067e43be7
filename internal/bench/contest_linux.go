package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// tool is one side of a contest.
type tool struct {
	shown  string   // as the page shows it
	argv   []string // as it is timed
	read   reading  // its answer; nil when asked is
	asked  []string // what is run for the answer when argv gives none that can be read
	accept []int    // exit codes besides 0 that are no failure
}

// contest is one row to measure.
type contest struct {
	what         string
	ours, theirs tool
	goal         goal
	rounds       int
}

// enoughTime bounds the rounds of one slow contest; at least three are run.
const enoughTime = 75 * time.Second

// run compares the answers, then the times, then the memory.
func (c contest) run(ctx context.Context) (row, error) {
	r := row{what: c.what, ours: c.ours.shown, theirs: c.theirs.shown, goal: c.goal}
	fail := func(err error) (row, error) {
		return row{}, fmt.Errorf("%s: %s against %s: %w", c.what, c.ours.shown, c.theirs.shown, err)
	}
	var err error
	if r.answers, err = c.sameAnswer(ctx); err != nil {
		return fail(err)
	}
	if r.timing, err = c.race(ctx); err != nil {
		return fail(err)
	}
	if r.oursKiB, err = c.ours.peak(ctx); err != nil {
		return fail(err)
	}
	if r.theirsKiB, err = c.theirs.peak(ctx); err != nil {
		return fail(err)
	}
	fmt.Printf("%-28s %-34s %8s  %-34s %8s  %5.3g×\n", r.what, r.ours, seconds(r.timing.ours), r.theirs, seconds(r.timing.theirs), r.timing.ratio)
	return r, nil
}

func (c contest) sameAnswer(ctx context.Context) (string, error) {
	ours, err := c.ours.answer(ctx)
	if err != nil {
		return "", err
	}
	theirs, err := c.theirs.answer(ctx)
	if err != nil {
		return "", err
	}
	return compare(ours, theirs)
}

// race runs both in turns; the one that begins changes every round. The
// answers were the warm-up.
func (c contest) race(ctx context.Context) (timing, error) {
	var pairs []pair
	begun := time.Now()
	for len(pairs) < 3 || len(pairs) < c.rounds && time.Since(begun) < enoughTime {
		p, err := c.round(ctx, len(pairs)%2 == 0)
		if err != nil {
			return timing{}, err
		}
		pairs = append(pairs, p)
	}
	return sumUp(pairs), nil
}

func (c contest) round(ctx context.Context, oursFirst bool) (pair, error) {
	var p pair
	first, second := c.ours, c.theirs
	into := []*time.Duration{&p.ours, &p.theirs}
	if !oursFirst {
		first, second = second, first
		slices.Reverse(into)
	}
	var err1, err2 error
	*into[0], err1 = first.time(ctx)
	*into[1], err2 = second.time(ctx)
	return p, errors.Join(err1, err2)
}

// time runs the tool with its output to /dev/null.
func (t tool) time(ctx context.Context) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, t.argv[0], t.argv[1:]...)
	begun := time.Now()
	err := cmd.Run() // nil Stdout and Stderr are /dev/null
	took := time.Since(begun)
	return took, t.failure(err)
}

// answer runs the tool once into memory and reads what it says.
func (t tool) answer(ctx context.Context) (answer, error) {
	argv := t.argv
	if t.asked != nil {
		argv = t.asked
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err := t.failure(err); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, errOut.Bytes())
	}
	return t.read(out)
}

// peak is the maximum resident set, as GNU time gives it: a parent as large as
// this program would hide a small child's (getrusage(2), RUSAGE_CHILDREN keeps
// the size before exec).
func (t tool) peak(ctx context.Context) (int64, error) {
	report, err := os.CreateTemp("", "portreeve-bench")
	if err != nil {
		return 0, err
	}
	defer func() { _ = report.Close(); _ = os.Remove(report.Name()) }()
	args := append([]string{"-f", "%M", "-o", report.Name()}, t.argv...)
	if err := t.failure(exec.CommandContext(ctx, "time", args...).Run()); err != nil {
		return 0, err
	}
	return readPeak(report.Name())
}

// failure keeps the errors that are none out.
func (t tool) failure(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && slices.Contains(t.accept, exit.ExitCode()) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", t.shown, err)
	}
	return nil
}

// contests runs a list of them.
func contests(ctx context.Context, list []contest) ([]row, error) {
	var rows []row
	for _, c := range list {
		r, err := c.run(ctx)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}
