package closing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy"
)

// ref names one process beyond doubt: the number may be given again, the
// moment of its start (clock ticks since boot, proc(5)) with it is not.
type ref struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// record is all that starting a process again takes.
type record struct {
	ref
	Exe  string   `json:"exe"`
	Argv []string `json:"argv"`
	// Title is what the process shows in place of its command line; Argv is
	// empty then, unless the title tells it.
	Title  string   `json:"title,omitempty"`
	Cwd    string   `json:"cwd"`
	Env    []string `json:"env"`
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups"`
	// Stdio are the files behind its input, output and errors, where those
	// are plain files; "" is /dev/null.
	Stdio [3]string `json:"stdio"`
	// Low: it holds a port below 1024 without being root, as a server does
	// that was root when it began. It is given the right to bind such ports,
	// and not made root again.
	Low bool `json:"low"`
	// Since is when the closing began, as ref's Start: what began before is no
	// later copy of the process, but a child of it.
	Since uint64 `json:"since"`
}

// processStep ends processes.
type processStep struct {
	// Roots are those that are told to end; All are those that must be gone.
	Roots []record `json:"roots"`
	All   []ref    `json:"all"`
	Force bool     `json:"force"`
	// Boot names the run of the kernel in which the numbers hold.
	Boot string `json:"boot"`
}

// end takes a socket's holders into the work.
func (p *Plan) end(w *work, s *exposure.Socket, why string) (How, string, error) {
	if len(s.Processes) == 0 {
		return "", "", hinted(fail(remedy.NoPrivilege, fmt.Sprintf("which process holds %s is not known (%s), so none can be ended", s.Endpoint(), orElse(s.OwnerUnknown, "no process")), nil), "run it as root, or keep others out with --how firewall")
	}
	if slices.ContainsFunc(s.Processes, func(x exposure.Process) bool { return x.PID == 1 }) {
		return "", "", hinted(fail(remedy.Invalid, fmt.Sprintf("%s is held by process 1, which cannot be ended", s.Endpoint()), nil), "keep others out with --how firewall")
	}
	w.ends = append(w.ends, s)
	return Kill, why, nil
}

// processSteps makes one step of all processes.
func (p *Plan) processSteps(_ context.Context, w *work) error {
	if len(w.ends) == 0 {
		return nil
	}
	s := &processStep{Force: p.o.Force}
	s.Boot, _ = p.o.Clock.Boot()
	pids := map[int]string{}
	for _, x := range w.ends {
		for _, q := range x.Processes {
			pids[q.PID] = q.Name
		}
		p.sameHolders(x)
	}
	since, _ := started(filepath.Join(p.o.Proc, "self"))
	for _, pid := range sortedKeys(pids) {
		r, err := recordOf(p.o.Proc, pid)
		if errors.Is(err, os.ErrNotExist) {
			continue // it ended meanwhile
		}
		if err != nil {
			return fail(remedy.NoPrivilege, fmt.Sprintf("how process %d (%s) was started cannot be read, so it could not be started again", pid, pids[pid]), err)
		}
		r.Since = since
		s.All = append(s.All, r.ref)
		r.Low = r.UID != 0 && slices.ContainsFunc(w.ends, func(x *exposure.Socket) bool { return x.Port < lowPort })
		parent := parentOf(p.o.Proc, pid)
		if _, known := pids[parent]; !known {
			s.Roots = append(s.Roots, *r)
			p.keeper(pids[pid], parent)
		}
	}
	p.Steps = append(p.Steps, s.step(p))
	return nil
}

// lowPort is the first port that any user may bind (ip(7)).
const lowPort = 1024

// keeper says when something may start the process again.
func (p *Plan) keeper(name string, parent int) {
	comm, err := os.ReadFile(filepath.Join(p.o.Proc, strconv.Itoa(parent), "comm"))
	if err == nil && parent > 1 {
		p.note(fmt.Sprintf("%s was started by process %d (%s): if that starts it again, the port opens again, and this is taken back", name, parent, strings.TrimSpace(string(comm))))
	}
}

func (s *processStep) step(p *Plan) Step {
	out := Step{Kind: "process", Processes: s}
	for _, r := range s.Roots {
		out.What = "end " + r.name() + ", process " + strconv.Itoa(r.PID)
		out.Commands = append(out.Commands, "kill "+strconv.Itoa(r.PID))
		if len(r.Argv) == 0 {
			out.Undo = append(out.Undo, "# it cannot be started again by this program: the process has overwritten its command line (it shows "+quote(r.Title)+")")
			p.note(fmt.Sprintf("undo cannot start %s again: it has overwritten its command line with %q. Note how it is started before you go on", r.name(), r.Title))
			continue
		}
		out.Undo = append(out.Undo, "cd "+quote(r.Cwd)+" && "+command(r.Argv...))
		p.note(fmt.Sprintf("%s is managed by nothing known: undo starts it again by the command line, folder, user and environment that it runs with now (%s)", r.name(), r.names()))
	}
	if n := len(s.Roots); n > 1 {
		out.What = fmt.Sprintf("end %d processes", n)
	}
	return out
}

func (r *record) name() string {
	if first := strings.Fields(r.Title); len(first) > 0 { // one program may go by several names
		return strings.TrimSuffix(first[0], ":")
	}
	return filepath.Base(r.Exe)
}

// names lists the names of the environment; the values may be secret.
func (r *record) names() string {
	var out []string
	for _, e := range r.Env {
		k, _, _ := strings.Cut(e, "=")
		out = append(out, k)
	}
	if len(out) == 0 {
		return "no environment"
	}
	const most = 12
	if n := len(out); n > most {
		out = append(out[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return "environment: " + strings.Join(out, ", ")
}

// alive reports that this very process runs; a zombie does not.
func (x ref) alive(proc string) bool {
	f, err := statFields(filepath.Join(proc, strconv.Itoa(x.PID)))
	if err != nil || f[0] == "Z" || f[0] == "X" {
		return false
	}
	start, _ := strconv.ParseUint(f[19], 10, 64)
	return start == x.Start
}

func (x ref) signal(proc string, sig os.Signal) error {
	p, err := os.FindProcess(x.PID) // a pidfd where the kernel has them: it cannot hit another
	if err != nil {
		return nil
	}
	defer func() { _ = p.Release() }()
	if !x.alive(proc) {
		return nil
	}
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

func (s *processStep) do(ctx context.Context, r *run) error {
	for _, x := range s.Roots {
		r.Step("end " + strconv.Itoa(x.PID))
		if err := x.signal(r.Proc, syscall.SIGTERM); err != nil {
			return fail(remedy.NoPrivilege, fmt.Sprintf("process %d (%s) could not be told to end", x.PID, x.name()), err)
		}
	}
	if s.gone(ctx, r) {
		return nil
	}
	if !s.Force {
		return hinted(fail(remedy.Failed, fmt.Sprintf("process %d was told to end (SIGTERM) and still runs after %s", s.left(r).PID, r.Patience), nil),
			"--force ends it by SIGKILL, which gives it no time to write what it holds")
	}
	for _, x := range s.All {
		r.Step("kill " + strconv.Itoa(x.PID))
		if err := x.signal(r.Proc, syscall.SIGKILL); err != nil {
			return fail(remedy.NoPrivilege, fmt.Sprintf("process %d could not be killed", x.PID), err)
		}
	}
	if s.gone(ctx, r) {
		return nil
	}
	return fail(remedy.Failed, fmt.Sprintf("process %d is still there after SIGKILL", s.left(r).PID), nil)
}

func (s *processStep) left(r *run) ref {
	for _, x := range s.All {
		if x.alive(r.Proc) {
			return x
		}
	}
	return ref{}
}

// gone waits until all have ended.
func (s *processStep) gone(ctx context.Context, r *run) bool {
	return wait(ctx, r.Machine, func() bool { return s.left(r) == ref{} })
}

// wait asks again and again until it is so, or for as long as patience lasts.
func wait(ctx context.Context, m Machine, so func() bool) bool {
	const pause = 50 * time.Millisecond
	for range int(m.Patience/pause) + 1 {
		if so() {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		m.Clock.Sleep(ctx, pause)
	}
	return so()
}

// undo starts again what was ended and does not run.
func (s *processStep) undo(ctx context.Context, r *run) error {
	if boot, err := r.Clock.Boot(); err == nil && boot != s.Boot {
		r.note("the machine has been restarted since: processes that nothing manages are not started again")
		return nil
	}
	claimed := map[int]bool{}
	var missing []*record
	for i := range s.Roots { // all are looked for before one is started: they may be twins
		x := &s.Roots[i]
		switch pid := x.runs(ctx, r, claimed); pid {
		case 0:
			missing = append(missing, x)
		default:
			claimed[pid] = true
		}
	}
	for _, x := range missing {
		if err := x.again(r); err != nil {
			return err
		}
	}
	return nil
}

// runs finds the process, or one like it that stands for no other; 0 without.
func (x *record) runs(ctx context.Context, r *run, claimed map[int]bool) int {
	if x.alive(r.Proc) && !wait(ctx, quick(r.Machine), func() bool { return !x.alive(r.Proc) }) {
		r.note(fmt.Sprintf("%s, process %d, still runs: it was not started again", x.name(), x.PID))
		return x.PID
	}
	pid := x.like(r.Proc, claimed)
	if pid != 0 {
		r.note(fmt.Sprintf("%s runs again already, process %d", x.name(), pid))
	}
	return pid
}

// again starts one process.
func (x *record) again(r *run) error {
	// What cannot be started again now never can: it is said, and does not
	// keep the journal open for ever.
	if len(x.Argv) == 0 {
		r.lose(fmt.Sprintf("%s cannot be started again by this program: it had overwritten its command line with %q; it ran in %s. Start it by hand", x.name(), x.Title, x.Cwd))
		return nil
	}
	if _, err := os.Stat(x.Exe); err != nil {
		r.lose(fmt.Sprintf("%s cannot be started again: its program is gone (%v). It was: cd %s && %s", x.name(), err, quote(x.Cwd), command(x.Argv...)))
		return nil
	}
	r.Step("start " + x.name())
	if err := start(x); err != nil {
		return hinted(fail(remedy.NotRestored, x.name()+" could not be started again", err), "it was: cd "+quote(x.Cwd)+" && "+command(x.Argv...))
	}
	return nil
}

// quick has less patience: a process that was told to end may still be at it.
func quick(m Machine) Machine {
	m.Patience = min(m.Patience, time.Second)
	return m
}

// like finds a process of the same program, command line, user and network
// namespace that began after the closing did and is not claimed. A copy that
// is the child of another is none: servers fork.
func (x *record) like(proc string, claimed map[int]bool) int {
	all := x.likes(proc)
	for _, pid := range all {
		if !claimed[pid] && !slices.Contains(all, parentOf(proc, pid)) {
			return pid
		}
	}
	return 0
}

func (x *record) likes(proc string) (out []int) {
	list, _ := os.ReadDir(proc)
	here, _ := os.Readlink(filepath.Join(proc, "thread-self", "ns", "net"))
	for _, d := range list {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == x.PID {
			continue
		}
		dir := filepath.Join(proc, d.Name())
		if exe, err := os.Readlink(filepath.Join(dir, "exe")); err != nil || exe != x.Exe {
			continue
		}
		other, err := recordOf(proc, pid)
		ns, _ := os.Readlink(filepath.Join(dir, "ns", "net"))
		if err == nil && other.Start >= x.Since && slices.Equal(other.Argv, x.Argv) && other.Title == x.Title && other.UID == x.UID && ns == here && other.alive(proc) {
			out = append(out, pid)
		}
	}
	return out
}

// changed: a process leaves no trace that somebody else could edit.
func (s *processStep) changed(context.Context, *run) ([]Diff, error) { return nil, nil }
