package closing

import (
	"context"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy"
)

// scriptStep stops a service by its init script, where no systemd runs.
type scriptStep struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Text []byte `json:"text"`
	// OpenRC tells rc-service(8) and rc-update(8) from System V's.
	OpenRC bool `json:"openrc"`
	// Links are its start links in the System V runlevels before, Runlevels
	// those of OpenRC.
	Links     []string `json:"links,omitempty"`
	Runlevels []string `json:"runlevels,omitempty"`

	socket *exposure.Socket
}

func (w *work) addScript(s *scriptStep) {
	if !slices.ContainsFunc(w.scripts, func(x *scriptStep) bool { return x.Name == s.Name }) {
		w.scripts = append(w.scripts, s)
	}
}

// script finds the init script that started a socket's holder: one that names
// its program, and whose PID file names the process. A daemon of the same
// program that somebody started by hand is not the script's.
func (p *Plan) script(_ context.Context, s *exposure.Socket) *scriptStep {
	if len(s.Processes) == 0 {
		return nil
	}
	m := p.o.Machine
	list, _ := m.Files.ReadDir("/etc/init.d")
	for _, d := range list {
		file := path.Join("/etc/init.d", d.Name())
		info, err := m.Files.Stat(file)
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || info.Size() > 1<<20 {
			continue
		}
		text, err := m.Files.ReadFile(file)
		if err != nil || !p.startedBy(text, d.Name(), s) {
			continue
		}
		out := &scriptStep{Name: d.Name(), Path: file, Text: text, OpenRC: strings.Contains(firstLine(text), "openrc-run"), socket: s}
		out.registered(m)
		return out
	}
	return nil
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

var pidFile = regexp.MustCompile(`(?:/var)?/run/[A-Za-z0-9_./@${}-]+\.pid`)

// startedBy reports whether a script names the holder's program and its PID
// file names the holder, or its parent.
func (p *Plan) startedBy(text []byte, script string, s *exposure.Socket) bool {
	lines := string(text)
	if !slices.ContainsFunc(s.Processes, func(x exposure.Process) bool { return namesProgram(lines, x.Exe) }) {
		return false
	}
	pids := map[int]bool{}
	for _, x := range s.Processes {
		pids[x.PID] = true
		pids[parentOf(p.o.Proc, x.PID)] = true
	}
	names := pidFile.FindAllString(lines, -1)
	names = append(names, "/run/"+script+".pid", "/run/"+script+"/"+script+".pid")
	for _, n := range names {
		for _, v := range []string{"$NAME", "${NAME}", "$name", "${name}", "$RC_SVCNAME", "${RC_SVCNAME}"} {
			n = strings.ReplaceAll(n, v, script)
		}
		data, err := p.o.Files.ReadFile(n)
		if err != nil || len(data) > 64 {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err == nil && pid > 1 && pids[pid] {
			return true
		}
	}
	return false
}

// namesProgram reports a script that has a program's path as a word, or its
// file name where the script puts the path together.
func namesProgram(text, exe string) bool {
	if exe == "" {
		return false
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t\n\"'`=;|&(){}:", r) }) {
		if word == exe || path.Base(word) == path.Base(exe) {
			return true
		}
	}
	return false
}

// registered reads in which runlevels it is started.
func (s *scriptStep) registered(m Machine) {
	if s.OpenRC {
		levels, _ := m.Files.ReadDir("/etc/runlevels")
		for _, l := range levels {
			if has(m, path.Join("/etc/runlevels", l.Name()), func(n string) bool { return n == s.Name }) != "" {
				s.Runlevels = append(s.Runlevels, l.Name())
			}
		}
		return
	}
	for _, level := range []string{"2", "3", "4", "5", "S"} {
		dir := "/etc/rc" + level + ".d"
		start := func(n string) bool { return len(n) > 3 && n[0] == 'S' && n[3:] == s.Name }
		if n := has(m, dir, start); n != "" {
			s.Links = append(s.Links, path.Join(dir, n))
		}
	}
}

func has(m Machine, dir string, fits func(string) bool) string {
	list, _ := m.Files.ReadDir(dir)
	i := slices.IndexFunc(list, func(d fs.DirEntry) bool { return fits(d.Name()) })
	if i < 0 {
		return ""
	}
	return list[i].Name()
}

func (p *Plan) scriptSteps(_ context.Context, w *work) error {
	for _, s := range w.scripts {
		out := Step{Kind: "script", Script: s, What: "stop " + s.Name + " by its init script and keep it from starting at boot"}
		for _, c := range s.commands() {
			out.Commands = append(out.Commands, command(c...))
		}
		for _, c := range s.inverse() {
			out.Undo = append(out.Undo, command(c...))
		}
		p.Steps = append(p.Steps, out)
		p.sameHolders(s.socket)
	}
	return nil
}

// sameHolders takes every listener that the same processes hold.
func (p *Plan) sameHolders(s *exposure.Socket) {
	p.goes(s)
	for _, x := range p.seen.listeners() {
		if slices.ContainsFunc(x.Processes, func(a exposure.Process) bool {
			return slices.ContainsFunc(s.Processes, func(b exposure.Process) bool { return a.PID == b.PID })
		}) {
			p.goes(x)
		}
	}
}

func (s *scriptStep) commands() (out [][]string) {
	switch {
	case s.OpenRC:
		out = append(out, []string{"rc-service", s.Name, "stop"})
		for _, l := range s.Runlevels {
			out = append(out, []string{"rc-update", "del", s.Name, l})
		}
	default:
		out = append(out, []string{s.Path, "stop"})
		if len(s.Links) > 0 {
			out = append(out, []string{"update-rc.d", s.Name, "disable"})
		}
	}
	return out
}

func (s *scriptStep) inverse() (out [][]string) {
	if s.OpenRC {
		for _, l := range s.Runlevels {
			out = append(out, []string{"rc-update", "add", s.Name, l})
		}
		return append(out, []string{"rc-service", s.Name, "start"})
	}
	if len(s.Links) > 0 {
		out = append(out, []string{"update-rc.d", s.Name, "enable"})
	}
	return append(out, []string{s.Path, "start"})
}

func (s *scriptStep) run(ctx context.Context, r *run, argvs [][]string) error {
	for _, c := range argvs {
		r.Step(command(c...))
		if _, err := r.Run(ctx, nil, c[0], c[1:]...); err != nil {
			return fail(remedy.Failed, command(c...)+" failed", err)
		}
	}
	return nil
}

func (s *scriptStep) do(ctx context.Context, r *run) error { return s.run(ctx, r, s.commands()) }

// undo starts it again and looks whether it is started at boot as before.
func (s *scriptStep) undo(ctx context.Context, r *run) error {
	if err := s.run(ctx, r, s.inverse()); err != nil {
		return err
	}
	for _, l := range s.Links {
		if _, err := r.Files.Stat(l); err != nil {
			r.note("the start link " + l + " was there before and is not now: see `ls /etc/rc?.d | grep " + s.Name + "`")
		}
	}
	return nil
}

func (s *scriptStep) changed(_ context.Context, r *run) ([]Diff, error) {
	now, err := r.Files.ReadFile(s.Path)
	if err != nil {
		now = nil
	}
	if string(now) == string(s.Text) {
		return nil, nil
	}
	return []Diff{diff(s.Path, s.Text, now)}, nil
}
