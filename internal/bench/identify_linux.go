package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endpointToName is a port of a daemon that runs.
type endpointToName struct {
	daemonPort
	daemon  daemon
	version string // upstream's, as installed
}

// scanIdentify asks real daemons what they are.
func scanIdentify(ctx context.Context, o options) (result, error) {
	list, err := parseDaemons(daemonTable)
	if err != nil {
		return result{}, err
	}
	present, missing := installed(ctx, list)
	var res result
	err = inLab(func(l lab) error {
		return l.withDaemons(ctx, present, func() error {
			if err := awaitPorts(ctx, present); err != nil {
				return err
			}
			res, err = recognise(ctx, o, present)
			return err
		})
	})
	for _, d := range missing {
		res.notes = append(res.notes, fmt.Sprintf("Not measured, for it is not installed: %s (package %s).", d.program, strings.Join(d.packages, ", ")))
	}
	return res, err
}

// installed parts the daemons that can be run from those that cannot.
func installed(ctx context.Context, list []daemon) (present []endpointToName, missing []daemon) {
	for _, d := range list {
		out, err := exec.CommandContext(ctx, "dpkg-query", append([]string{"-W", "-f", "${db:Status-Abbrev} ${Version}\n"}, d.packages...)...).Output()
		if err != nil || strings.Count(string(out), "ii ") != len(d.packages) {
			missing = append(missing, d)
			continue
		}
		version := upstream(strings.Fields(string(out))[1])
		for _, p := range d.ports {
			present = append(present, endpointToName{p, d, version})
		}
	}
	return present, missing
}

// withDaemons runs fn while each daemon runs at the target.
func (l lab) withDaemons(ctx context.Context, list []endpointToName, fn func() error) (err error) {
	dir, err := os.MkdirTemp("", "portreeve-bench")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // some give up root
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	defer func() { err = errors.Join(err, l.endAll()) }()
	begun := map[string]bool{}
	for _, e := range list {
		if begun[e.daemon.program] {
			continue
		}
		begun[e.daemon.program] = true
		if err := l.startDaemon(ctx, e.daemon, filepath.Join(dir, e.daemon.program)); err != nil {
			return err
		}
	}
	return fn()
}

func (l lab) startDaemon(ctx context.Context, d daemon, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	cmd := inGroup(exec.CommandContext(ctx, "sh", "-euc", "umask 022\n"+d.script))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "D="+dir)
	if err := l.atTarget(cmd.Start); err != nil {
		return fmt.Errorf("start %s: %w", d.program, err)
	}
	go func() { _ = cmd.Wait() }() // endAll ends it
	return nil
}

// endAll ends every process in the target's namespace but this one: daemons,
// and what they left behind. The namespace is ours, so they are too.
func (l lab) endAll() error {
	return l.atTarget(func() error {
		here, err := os.Readlink("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		for range 20 {
			left := processesIn(here)
			if len(left) == 0 {
				return nil
			}
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			time.Sleep(50 * time.Millisecond)
		}
		return errors.New("daemons of the target's namespace do not end")
	})
}

// processesIn lists the processes of a network namespace, without this one.
func processesIn(namespace string) []int {
	links, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	var pids []int
	for _, link := range links {
		to, err := os.Readlink(link)
		pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
		if err == nil && to == namespace && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitPorts waits until every daemon listens; to install a database takes a
// while.
func awaitPorts(ctx context.Context, list []endpointToName) error {
	for _, e := range list {
		at := net.JoinHostPort(targetAddr, strconv.Itoa(e.port))
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			if err := sh("exec 2>/dev/null; bash -c '</dev/tcp/" + targetAddr + "/" + strconv.Itoa(e.port) + "'"); err == nil {
				break
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if time.Now().After(end) {
				return fmt.Errorf("%s does not listen at %s", e.daemon.program, at)
			}
		}
	}
	return nil
}

// recogniser is one side of the section.
type recogniser struct {
	what, shown string
	argv        []string
	tells       func(out []byte) (map[int]service, error)
}

func recognisers(o options, list string) [2]recogniser {
	args := []string{"scan", "-Pn", "-n", "-p", list, "--identify", "--json", targetAddr}
	nmap := []string{"nmap", "-n", "-Pn", "-sV", "-p", list, "-oX", "-", targetAddr}
	return [2]recogniser{
		{"ours", "portreeve " + abridged(args), append([]string{o.bin}, args...), ourServices},
		{"nmap", abridged(nmap), nmap, nmapServices},
	}
}

// recognition is what one side said in its rounds.
type recognition struct {
	runs            []trial
	names, versions []float64 // right ones of each round
	last            map[int]service
}

func recognise(ctx context.Context, o options, list []endpointToName) (result, error) {
	var ports []int
	for _, e := range list {
		ports = append(ports, e.port)
	}
	sides := recognisers(o, commas(ports))
	var said [2]recognition
	for round := range max(3, o.scans/5) {
		for turn := range sides {
			i := (turn + round) % 2
			if err := said[i].ask(ctx, sides[i], list); err != nil {
				return result{}, err
			}
		}
	}
	return identifyResult(sides, said, list), nil
}

// ask runs one side once and counts what it said rightly.
func (r *recognition) ask(ctx context.Context, side recogniser, list []endpointToName) error {
	ctx, cancel := context.WithTimeout(ctx, tooLong)
	defer cancel()
	m, err := runOnce(ctx, side.argv)
	if err != nil {
		return err
	}
	if r.last, err = side.tells(m.out); err != nil {
		return err
	}
	names, versions := 0.0, 0.0
	for _, e := range list {
		s := r.last[e.port]
		if e.rightName(s) {
			names++
		} else {
			fmt.Printf("     %s at %d: named %q\n", e.daemon.program, e.port, s)
		}
		if e.daemon.rightVersion(s, e.version) {
			versions++
		}
	}
	fmt.Printf("     %-26s %8s %9s  names %v, versions %v\n", side.what, seconds(m.took), memory(m.peakKiB), names, versions)
	r.runs = append(r.runs, trial{took: m.took, peakKiB: m.peakKiB})
	r.names, r.versions = append(r.names, names), append(r.versions, versions)
	return nil
}

func identifyResult(sides [2]recogniser, said [2]recognition, list []endpointToName) result {
	ours, theirs := trials{runs: said[0].runs, shown: sides[0].shown}, trials{runs: said[1].runs, shown: sides[1].shown}
	versus := ours.against(theirs)
	summary := grid{head: []string{"scanner", "command", "takes", "peak", fmt.Sprintf("names right of %d, median", len(list)), fmt.Sprintf("versions right of %d that tell one", tellers(list))}}
	for i, took := range []time.Duration{versus.ours, versus.theirs} {
		summary.rows = append(summary.rows, []string{sides[i].what, "`" + sides[i].shown + "`", seconds(took),
			memory(said[i].runs[0].peakKiB), fmt.Sprint(median(said[i].names)), fmt.Sprint(median(said[i].versions))})
	}
	names, versions := median(said[0].names)-median(said[1].names), median(said[0].versions)-median(said[1].versions)
	return result{
		situation: "Daemons of Debian's at the other end of a veth, some at ports that are not theirs (LIST). A name counts where it was recognised from what was said, not from the port's number; a version where it is that of the installed package (for rsync its protocol's, for PostgreSQL a range that holds it).",
		grids:     []grid{summary, identifyGrid(said, list)},
		goals: []reached{
			{fmt.Sprintf("names no worse than nmap's −1: %+g", names), names >= -1},
			{fmt.Sprintf("versions no worse than nmap's −2: %+g", versions), versions >= -2},
			{fmt.Sprintf("in less time: %.3g× as fast (%.3g–%.3g, %d rounds)", versus.ratio, versus.least, versus.most, versus.rounds), versus.ratio > 1},
		},
	}
}

// tellers counts the endpoints whose protocol tells a version.
func tellers(list []endpointToName) int {
	n := 0
	for _, e := range list {
		if e.daemon.version != "-" {
			n++
		}
	}
	return n
}

// identifyGrid is what both said in their last round.
func identifyGrid(said [2]recognition, list []endpointToName) grid {
	g := grid{head: []string{"daemon", "port", "installed", "ours says", "nmap says"}}
	for _, e := range list {
		cells := []string{e.daemon.program, strconv.Itoa(e.port), e.version}
		for _, side := range said {
			s := side.last[e.port]
			word := strings.ReplaceAll(s.String(), "|", `\|`)
			if !e.rightName(s) {
				word = strings.TrimSpace("**" + word + "** (wrong)")
			}
			cells = append(cells, word)
		}
		g.rows = append(g.rows, cells)
	}
	return g
}
