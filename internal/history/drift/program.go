package drift

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// mark is what is equal for one program: some words, all "" for none.
type mark [3]string

func (m mark) none() bool { return m == mark{} }

// program tells one program from another across a restart.
type program struct {
	// known: somebody is known to hold the socket.
	known bool
	// hard is container, executable and, for an interpreter, its script;
	// kernel users have theirs. byUnit and byPackage bear an upgrade that
	// moves the executable; "" where they say nothing. byName is all there is
	// when the executable could not be read.
	hard, byUnit, byPackage, byName mark
	exe                             bool
	// main is the oldest process that is not PID 1; activated: only systemd
	// holds the socket, for a service that does not run.
	main      *exposure.Process
	activated bool
}

func (p *program) compare(q *program) int {
	return cmp.Or(slices.Compare(p.hard[:], q.hard[:]), cmp.Compare(p.pid(), q.pid()))
}

func (p *program) pid() int {
	if p.main == nil {
		return 0
	}
	return p.main.PID
}

// SameProgram reports that two listeners are held by one program, in one run
// of it or in two: same container, and same executable (and script), or same
// unit or package and process name. False when either owner is not known.
func SameProgram(a, b *exposure.Socket) bool {
	p, q := programOf(a), programOf(b)
	return sameProgram(&p, &q)
}

func sameProgram(p, q *program) bool {
	if !p.known || !q.known {
		return false
	}
	same := func(a, b mark) bool { return !a.none() && a == b }
	return p.hard == q.hard || same(p.byUnit, q.byUnit) || same(p.byPackage, q.byPackage) ||
		(!p.exe || !q.exe) && same(p.byName, q.byName)
}

// SameInstance reports that a process holds both, or that systemd holds one
// for the service that holds the other.
func SameInstance(a, b *exposure.Socket) bool {
	p, q := programOf(a), programOf(b)
	if p.known && q.known && p.main == nil && q.main == nil {
		return p.hard == q.hard
	}
	return handedOver(&row{Socket: a, prog: p}, &row{Socket: b, prog: q}) ||
		slices.ContainsFunc(a.Processes, func(x exposure.Process) bool {
			return slices.ContainsFunc(b.Processes, func(y exposure.Process) bool { return sameRun(&x, &y) })
		})
}

// startTolerance: when a process began is computed from the clock, which may
// have been set meanwhile.
const startTolerance = 2 * time.Second

// sameRun: one process, not a later one with its number. PID 1 is nobody's
// server: it holds sockets for others.
func sameRun(a, b *exposure.Process) bool {
	if a.PID != b.PID || a.PID <= 1 {
		return false
	}
	if a.Exe != b.Exe && a.Exe != "" && b.Exe != "" {
		return false // it became another program (execve)
	}
	return a.Started.IsZero() || b.Started.IsZero() || a.Started.Sub(b.Started).Abs() <= startTolerance
}

func programOf(s *exposure.Socket) program {
	if k := s.Kernel; k != nil {
		return program{known: true, hard: mark{"kernel", k.User, k.Detail}}
	}
	main := oldest(s.Processes)
	if main == nil {
		return program{}
	}
	p := program{known: true, main: main, exe: main.Exe != ""}
	inside := containerName(s.Container)
	run := script(main)
	p.hard = mark{inside, main.Exe, run}
	p.byName = mark{inside, main.Name, "name"}
	if !p.exe {
		p.hard = p.byName
	}
	if main.PID == 1 && s.ActivatedBy != "" {
		p.activated, p.main = true, nil
		p.hard = mark{"socket", s.ActivatedBy}
		return p
	}
	if strings.HasSuffix(s.Unit, ".service") && !strings.HasPrefix(s.Unit, "user@") {
		p.byUnit = mark{inside, s.Unit, main.Name}
	}
	if s.Package != "" && run == "" {
		p.byPackage = mark{inside, s.Package, main.Name}
	}
	return p
}

// oldest is the process that began first, PID 1 only when it is alone.
func oldest(procs []exposure.Process) *exposure.Process {
	var best *exposure.Process
	for i := range procs {
		p := &procs[i]
		if best == nil || best.PID == 1 || p.PID != 1 && older(p, best) {
			best = p
		}
	}
	return best
}

func older(p, q *exposure.Process) bool {
	return cmp.Or(p.Started.Compare(q.Started), cmp.Compare(p.PID, q.PID)) < 0
}

// containerName is what stays of a container when it is made anew.
func containerName(c *exposure.Container) string {
	switch {
	case c == nil:
		return ""
	case c.Name != "":
		return c.Runtime + " " + c.Name
	}
	return c.Runtime + " container"
}

// interpreters run programs that are not their own executable.
var interpreters = []string{"python", "pypy", "perl", "ruby", "node", "nodejs", "deno", "bun", "java", "php", "bash", "sh", "dash",
	"zsh", "lua", "luajit", "tclsh", "mono", "dotnet", "Rscript", "guile", "beam.smp", "uwsgi", "gunicorn"}

func interprets(exe string) bool {
	name := strings.TrimRight(path.Base(exe), "0123456789.-")
	return slices.Contains(interpreters, name)
}

// script is what an interpreter runs: the first argument that is no option,
// or a module or code with the option that says so. "" for other programs.
func script(p *exposure.Process) string {
	if !interprets(cmp.Or(p.Exe, p.Name)) {
		return ""
	}
	words := strings.Fields(p.Cmdline)
	for i := 1; i < len(words); i++ {
		switch w := words[i]; {
		case slices.Contains([]string{"-m", "-jar", "-c", "-e"}, w):
			return strings.Join(words[i:min(i+2, len(words))], " ")
		case slices.Contains([]string{"-cp", "-classpath", "--class-path", "-W", "-X", "-I", "-r"}, w):
			i++
		case !strings.HasPrefix(w, "-"):
			return w
		}
	}
	return path.Base(p.Exe)
}
