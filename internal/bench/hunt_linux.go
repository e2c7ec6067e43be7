package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// scanner is one side of a hunt.
type scanner struct {
	what  string
	argv  []string
	shown string
	tells func(out []byte) (finding, error)
	most  int // rounds at most, for the slow; 0: all
	// patience ends a run that is not done by then, and it is not run again; 0:
	// a run that takes too long is an error.
	patience time.Duration
}

// ourScanner is our program; exit 3 (done in part) is judged by what it found.
func ourScanner(o options, what string, args ...string) scanner {
	args = append([]string{"scan", "-Pn", "-n", "--json"}, args...)
	return scanner{what: what, argv: append([]string{o.bin}, args...), shown: "portreeve " + abridged(args), tells: ourScan}
}

func nmapScanner(what string, args ...string) scanner {
	argv := append([]string{"nmap", "-n", "-Pn"}, args...)
	return scanner{what: what, argv: argv, shown: abridged(argv), tells: nmapScan}
}

// masscanScanner sends from the scanner's own address to the target's; the
// kernel resets what it opens, as it does for ours.
func masscanScanner(args ...string) scanner {
	argv := append([]string{"masscan", "-e", "s0", "--adapter-ip", scannerAddr, "--router-mac", targetMAC, "--wait", "2"}, args...)
	return scanner{what: "masscan", argv: argv, shown: abridged(argv), tells: masscanScan}
}

// abridged shortens port lists: they are in the section's text.
func abridged(argv []string) string {
	words := slices.Clone(argv)
	for i, w := range words {
		if strings.Count(w, ",") > 4 {
			words[i] = "LIST"
		}
	}
	return strings.Join(words, " ")
}

// hunt lets scanners look for what is known to be there, in turns; the order
// is reversed every round.
type hunt struct {
	truth    answer
	scanners []scanner
	rounds   int
	rest     time.Duration // before every run, so that each meets the same target
	meter    meter         // nil: arrivals are not counted
}

// meter counts what arrives at the target until it is stopped.
type meter func() (stop func() (perSecond float64, err error))

func (h hunt) run(ctx context.Context) ([]trials, error) {
	sides := make([]trials, len(h.scanners))
	order := make([]int, len(h.scanners))
	for i, s := range h.scanners {
		sides[i], order[i] = trials{what: s.what, shown: s.shown}, i
	}
	for round := range h.rounds {
		for _, i := range order {
			s := h.scanners[i]
			if s.most > 0 && round >= s.most || sides[i].givenUp() {
				continue
			}
			t, err := h.try(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("round %d: %s: %w", round+1, s.shown, err)
			}
			fmt.Printf("%3d  %-26s %s\n", round+1, s.what, t)
			sides[i].runs = append(sides[i].runs, t)
		}
		slices.Reverse(order)
	}
	return sides, nil
}

// try runs one scanner once.
func (h hunt) try(ctx context.Context, s scanner) (trial, error) {
	time.Sleep(h.rest)
	stop := func() (float64, error) { return 0, nil }
	if h.meter != nil {
		stop = h.meter()
	}
	limited, cancel := context.WithTimeout(ctx, cmp.Or(s.patience, tooLong))
	defer cancel()
	m, err := runOnce(limited, s.argv)
	arrived, counted := stop()
	if limited.Err() != nil && ctx.Err() == nil && s.patience > 0 {
		return trial{took: s.patience, unfinished: true}, counted
	}
	if err := errors.Join(err, counted); err != nil {
		return trial{}, err
	}
	said, err := s.tells(m.out)
	if err != nil {
		return trial{}, err
	}
	t := judge(h.truth, said.open)
	said.open = nil
	t.took, t.peakKiB, t.said, t.arrived = m.took, m.peakKiB, said, arrived
	return t, nil
}

// measured is a command that ran.
type measured struct {
	took    time.Duration
	peakKiB int64
	out     []byte
}

// tooLong ends a run that hangs.
const tooLong = 10 * time.Minute

// runOnce runs a command with its output to a file, timed, under GNU time for
// its peak of memory (tool.peak says why).
func runOnce(ctx context.Context, argv []string) (measured, error) {
	dir, err := os.MkdirTemp("", "portreeve-bench")
	if err != nil {
		return measured{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	peak, outPath := filepath.Join(dir, "peak"), filepath.Join(dir, "out")
	out, err := os.Create(outPath)
	if err != nil {
		return measured{}, err
	}
	defer func() { _ = out.Close() }()
	cmd := inGroup(exec.CommandContext(ctx, "time", append([]string{"-f", "%M", "-o", peak}, argv...)...))
	cmd.Stdout = out
	var m measured
	begun := time.Now()
	err = cmd.Run()
	m.took = time.Since(begun)
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) {
		return m, fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	if m.peakKiB, err = readPeak(peak); err != nil {
		return m, err
	}
	m.out, err = os.ReadFile(outPath)
	return m, err
}

// inGroup lets a command end together with what it started.
func inGroup(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// readPeak reads GNU time's report; "Command exited with non-zero status"
// may stand before the figure.
func readPeak(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	words := strings.Fields(string(text))
	if len(words) == 0 {
		return 0, errors.New("GNU time reported nothing")
	}
	return strconv.ParseInt(words[len(words)-1], 10, 64)
}
