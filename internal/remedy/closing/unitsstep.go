package closing

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/remedy"
)

// unitsStep stops units and keeps them stopped.
type unitsStep struct {
	Manager []string    `json:"manager"`
	Stop    []string    `json:"stop"`
	Disable []string    `json:"disable"`
	Mask    []string    `json:"mask"`
	Was     []unitState `json:"was"`
}

// unitSteps makes one step for each manager.
func (p *Plan) unitSteps(_ context.Context, w *work) error {
	for _, key := range sortedKeys(w.units) {
		u := w.units[key]
		s := &unitsStep{Manager: u.manager, Stop: u.stop}
		for _, n := range u.stop {
			st := u.states[n]
			s.Was = append(s.Was, *st)
			if st.enabled() {
				s.Disable = append(s.Disable, n)
			}
			p.unitNotes(s, u, st)
		}
		for _, n := range u.also {
			s.Was = append(s.Was, *u.states[n])
			p.breaks(n + " is stopped with it, because it needs " + strings.Join(u.stop, " or "))
		}
		p.unitWants(u)
		p.Steps = append(p.Steps, s.step())
		p.takeUnits(s, u)
	}
	return nil
}

// unitNotes decides on masking, and says what else wakes a unit.
func (p *Plan) unitNotes(s *unitsStep, u *unitWork, st *unitState) {
	pulled := u.pulledIn(st)
	switch {
	case st.props["Transient"] == "yes" || st.Enabled == "transient":
		p.note(st.Name + " was made by systemd-run and is gone once it is stopped: undo cannot start it again")
	case len(pulled) == 0 && st.Enabled != "generated":
	case strings.HasPrefix(st.props["FragmentPath"], "/etc/systemd/system/"):
		p.note(st.Name + " is pulled in by " + strings.Join(pulled, ", ") + " and cannot be masked, since its file is in /etc/systemd/system: it starts again with them")
	default:
		s.Mask = append(s.Mask, st.Name)
	}
	if st.props["BusName"] != "" {
		p.note(st.Name + " may be started by a call over D-Bus (" + st.props["BusName"] + ")")
	}
}

// pulledIn lists the units that start this one, other than by the links that
// disabling removes.
func (u *unitWork) pulledIn(st *unitState) (out []string) {
	links := installs(st)
	for _, n := range st.list("WantedBy", "RequiredBy", "UpheldBy", "BoundBy") {
		if slices.Contains(u.stop, n) || slices.Contains(u.also, n) && !slices.Contains(st.list("RequiredBy", "BoundBy"), n) || slices.Contains(out, n) {
			continue
		}
		if st.enabled() && slices.Contains(links, n) {
			continue
		}
		out = append(out, n)
	}
	return out
}

// installs reads the [Install] section: who wants the unit once it is enabled.
func installs(st *unitState) (out []string) {
	for _, f := range st.Files {
		section := ""
		for line := range strings.Lines(string(f.Text)) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "[") {
				section = line
			}
			k, v, ok := strings.Cut(line, "=")
			if ok && section == "[Install]" && slices.Contains([]string{"WantedBy", "RequiredBy", "UpheldBy"}, strings.TrimSpace(k)) {
				out = append(out, strings.Fields(v)...)
			}
		}
	}
	return out
}

// unitWants says who wants the units and will miss them.
func (p *Plan) unitWants(u *unitWork) {
	for _, n := range u.stop {
		for _, by := range u.states[n].list("WantedBy", "UpheldBy") {
			if strings.HasSuffix(by, ".target") || slices.Contains(u.stop, by) || slices.Contains(u.also, by) {
				continue
			}
			p.breaks(by + " wants " + n + " and will miss it")
		}
	}
}

// takeUnits notes every listener that goes with the units.
func (p *Plan) takeUnits(s *unitsStep, u *unitWork) {
	stopped := append(slices.Clone(u.stop), u.also...)
	for _, x := range p.seen.listeners() {
		manager, unit := managerOf(x)
		if strings.Join(manager, " ") == strings.Join(s.Manager, " ") && (slices.Contains(stopped, unit) || slices.Contains(stopped, x.ActivatedBy)) {
			p.goes(x)
		}
	}
}

func (s *unitsStep) ctl(words ...string) []string { return append(slices.Clone(s.Manager), words...) }

func (s *unitsStep) step() Step {
	out := Step{Kind: "units", Units: s, What: "stop " + strings.Join(s.Stop, ", ") + " and keep " + itOrThem(s.Stop) + " from starting"}
	for _, c := range s.commands() {
		out.Commands = append(out.Commands, command(c...))
	}
	for _, c := range s.inverse() {
		out.Undo = append(out.Undo, command(c...))
	}
	return out
}

func itOrThem(list []string) string {
	if len(list) == 1 {
		return "it"
	}
	return "them"
}

func (s *unitsStep) commands() (out [][]string) {
	out = append(out, s.ctl(append([]string{"stop", "--"}, s.Stop...)...))
	if len(s.Disable) > 0 {
		out = append(out, s.ctl(append([]string{"disable", "--"}, s.Disable...)...))
	}
	if len(s.Mask) > 0 {
		out = append(out, s.ctl(append([]string{"mask", "--"}, s.Mask...)...))
	}
	return out
}

// inverse makes the former state: what was not enabled or not running before
// is left so. Sockets go first: a service that runs already keeps its socket
// unit from starting.
func (s *unitsStep) inverse() (out [][]string) {
	if len(s.Mask) > 0 {
		out = append(out, s.ctl(append([]string{"unmask", "--"}, s.Mask...)...))
	}
	var enable, runtime, first, then []string
	for _, u := range s.Was {
		if slices.Contains(s.Disable, u.Name) {
			if u.Enabled == "enabled-runtime" {
				runtime = append(runtime, u.Name)
			} else {
				enable = append(enable, u.Name)
			}
		}
		switch {
		case !u.running():
		case rank(u.Name) == 0 && !strings.HasSuffix(u.Name, ".target"):
			first = append(first, u.Name)
		default:
			then = append(then, u.Name)
		}
	}
	for _, c := range []struct {
		words []string
		units []string
	}{{[]string{"enable", "--"}, enable}, {[]string{"enable", "--runtime", "--"}, runtime}, {[]string{"start", "--"}, first}, {[]string{"start", "--"}, then}} {
		if len(c.units) > 0 {
			out = append(out, s.ctl(append(c.words, c.units...)...))
		}
	}
	return out
}

func (s *unitsStep) run(ctx context.Context, r *run, argvs [][]string) error {
	for _, c := range argvs {
		r.Step(command(c...))
		if _, err := r.Run(ctx, nil, c[0], c[1:]...); err != nil {
			return fail(remedy.Failed, command(c...)+" failed", err)
		}
	}
	return nil
}

func (s *unitsStep) do(ctx context.Context, r *run) error { return s.run(ctx, r, s.commands()) }

// undo starts again, and then asks whether all is as it was.
func (s *unitsStep) undo(ctx context.Context, r *run) error {
	if err := s.run(ctx, r, s.inverse()); err != nil {
		return err
	}
	for _, was := range s.Was {
		now, err := unitNow(ctx, r.Machine, s.Manager, was.Name)
		switch {
		case err != nil:
			return err
		case now == nil:
			return fail(remedy.NotRestored, "unit "+was.Name+" is gone: it cannot be started again", nil)
		case was.running() && !now.running():
			return fail(remedy.NotRestored, fmt.Sprintf("%s was %s before and is %s now", was.Name, was.Active, now.Active), nil)
		case was.Enabled != now.Enabled && was.Enabled != "":
			r.note(fmt.Sprintf("%s was %s before and is %s now", was.Name, was.Enabled, orElse(now.Enabled, "not known")))
		}
	}
	return nil
}

// changed compares the unit files: one that was edited since would start
// something else.
func (s *unitsStep) changed(_ context.Context, r *run) (out []Diff, err error) {
	for _, u := range s.Was {
		for _, f := range u.Files {
			if strings.HasPrefix(f.Path, "/run/systemd/transient/") {
				continue
			}
			now, err := r.Files.ReadFile(f.Path)
			if os.IsNotExist(err) {
				now, err = nil, nil
			}
			if err != nil {
				return nil, fail(remedy.State, "unit file "+f.Path+" cannot be read", err)
			}
			if string(now) != string(f.Text) {
				out = append(out, diff(filepath.Clean(f.Path), f.Text, now))
			}
		}
	}
	return out, nil
}
